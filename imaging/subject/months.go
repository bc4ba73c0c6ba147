package subject

import (
	"strings"
	"sync"
)

// The names of the months: English, German, French and Spanish, whole and short. A
// name that several lists have counts as the first's.
var monthLists = sync.OnceValue(func() (lists [][]string) {
	for _, list := range []string{
		"january february march april may june july august september october november december",
		"jan feb mar apr may jun jul aug sep oct nov dec",
		"januar februar märz april mai juni juli august september oktober november dezember",
		"jan feb mär apr mai jun jul aug sept okt nov dez",
		"janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
		"janv févr mars avr mai juin juil août sept oct nov déc",
		"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
		"ene feb mar abr may jun jul ago sept oct nov dic",
	} {
		lists = append(lists, strings.Fields(list))
	}
	return lists
})

type monthName struct{ month, list int }

// months finds a month by its folded name.
var months = sync.OnceValue(func() map[string]monthName {
	all := map[string]monthName{}
	for list, names := range monthLists() {
		for i, name := range names {
			folded := letters(name)
			if _, taken := all[folded]; !taken {
				all[folded] = monthName{month: i + 1, list: list}
			}
		}
	}
	return all
})

func monthNames(list int) []string { return monthLists()[list] }
