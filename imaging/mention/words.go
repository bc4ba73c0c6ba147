package mention

import (
	"strings"

	"medvault/imaging/descriptor"
)

// plainWord reports a word in small letters that means something else than a name.
func plainWord(word string) bool {
	return descriptor.Knows(word) || strings.Contains(wordsAndNames, " "+word+" ")
}

// wordsAndNames are names that are words of English, as long as they are in small
// letters.
const wordsAndNames = " rose grace hope faith summer autumn winter spring april june august dawn iris lily violet daisy ruby pearl amber crystal jade opal heather holly olive fern hazel ginger rusty rich jack mark grant chase drew will bill frank earnest miles dean glen dale cliff brook lane heath stone wood woods hill field fields rivers lake pool marsh moss bush reed rice bean berry apple cherry pepper sage wolf lamb bird crane swan finch drake fish pike bass baker cook carpenter smith mason miller tanner turner cooper fisher hunter gardener shepherd farmer butler carter porter parker walker rider page king prince knight noble earl duke bishop pope church cross bell ball bond cash price sharp strong short long little small young best wise good love week frost snow rain storm waters wells ford banks bridges street house castle hall park stark power powers battle steel silver gold green gray grey brown white black blue case post stamp flood burns head foot hand back rush nail hooks temple driver singer weaver major chance lucky angel precious destiny trinity harmony melody patience prudence victor norm gene carol robin martin eagle song tang gang bang hang sang rang pang fang wing king ping cart hart hurt colt holt wilder savage moody gamble sparks flowers garden gates gale tower towers rock rocks sands shores beach meadow forest glass pane stock stocks sell sells buy law laws judge justice rule ruler abbot monk friar nunn archer bowler hooker barber sawyer draper thatcher potter glover chandler spicer fuller dyer skinner slaughter speed swift quick blunt keen bright light dark fair loud darling dear dearest pride joyce merry blithe gay jolly blessing comfort honor honour constance mercy charity "
