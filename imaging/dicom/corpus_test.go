package dicom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"medvault/imaging"
	"medvault/imaging/dicom"
)

// TestCorpus takes identity out of every real file and puts it back. It prints and
// compares counts only: what stands in the files is named nowhere.
func TestCorpus(t *testing.T) {
	files := corpus(t)
	c := census{refused: map[string]int{}, held: map[string]int{}, reasons: map[string]int{},
		words: map[string]int{}, withheld: map[string]int{}, uids: map[string]int{}}
	for i, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.file(data); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
	t.Log("\n" + c.table(len(files)))
	if (c.accepted < 828 || c.anyone < 40) && !raced {
		t.Errorf("%d and %d restored; want at least 828 and 40", c.accepted, c.anyone)
	}
	for what, n := range map[string]int{"identifiers": sum(c.words), "original UIDs": sum(c.uids), "preambles": c.preambles} {
		if n > 0 {
			t.Errorf("%d %s left in the content", n, what)
		}
	}
}

// census is what was counted over the files.
type census struct {
	accepted, anyone int // restored bit for bit: taken, and such as must be refused but can be split
	preambles        int
	refused          map[string]int // by code
	held             map[string]int // by code; "" is shown
	reasons          map[string]int
	words, uids      map[string]int // left in the content of a view that is shown, by the tag they come from
	withheld         map[string]int // words left where the view is withheld
}

func (c *census) table(files int) string {
	var b strings.Builder
	line := func(name string, n int) { fmt.Fprintf(&b, "%-44s %5d\n", name, n) }
	list := func(name string, of map[string]int) {
		for _, key := range slices.Sorted(maps.Keys(of)) {
			line(name+" "+key, of[key])
		}
	}
	line("files", files)
	line("accepted, restored bit for bit", c.accepted)
	line("not accepted, restored bit for bit", c.anyone)
	list("refused:", c.refused)
	line("view shown", c.held[""])
	for _, code := range slices.Sorted(maps.Keys(c.held)) {
		if code != "" {
			line("view withheld: "+code, c.held[code])
		}
	}
	list("  reason:", c.reasons)
	line("identifiers left", sum(c.words))
	list("  from", c.words)
	line("identifiers in what is withheld", sum(c.withheld))
	list("  from", c.withheld)
	line("original UIDs left", sum(c.uids))
	list("  from", c.uids)
	line("preambles not empty", c.preambles)
	return b.String()
}

func sum(counts map[string]int) (n int) {
	for _, one := range counts {
		n += one
	}
	return n
}

func (c *census) file(data []byte) error {
	_, out, content, script, err := scrub(bytes.NewReader(data))
	var refusal *imaging.Refusal
	if errors.As(err, &refusal) {
		c.refused[refusal.Code]++
		if refusal.Advice == "" {
			return fmt.Errorf("refused as %s without advice", refusal.Code)
		}
		return c.nobodys(data, refusal.Code)
	}
	if err != nil {
		return err
	}
	if err := restored(data, content, script); err != nil {
		return err
	}
	c.accepted++
	c.held[out.Held]++
	for _, reason := range out.Report.Reasons {
		c.reasons[reason]++
	}
	if !bytes.Equal(content[:128], make([]byte, 128)) {
		c.preambles++
	}
	if out.Facts.Size != int64(len(content)) || !json.Valid(out.Who) || !json.Valid(out.Facts.Attributes) {
		return errors.New("size or attributes are wrong")
	}
	return c.search(data, content, out)
}

// nobodys restores files that do not say whose they are. They must be refused, but
// their bytes show as well as any whether splitting and restoring are exact.
func (c *census) nobodys(data []byte, code string) error {
	if code != "missing-patient-id" && code != "missing-uid" && code != "invalid-uid" {
		return nil
	}
	_, _, content, script, err := scrubFrom(dicom.BeginAnyone, bytes.NewReader(data))
	var refusal *imaging.Refusal
	if errors.As(err, &refusal) {
		c.refused["then "+refusal.Code]++
		return nil
	}
	if err != nil {
		return err
	}
	c.anyone++
	return restored(data, content, script)
}

// search looks in the content, up to its pixels, for the words and UIDs of the original
// that name people, places and instances.
func (c *census) search(data, content []byte, out imaging.Scrubbed) error {
	about, err := dicom.New().Describe(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	var attributes map[string]attribute
	if err := json.Unmarshal(about, &attributes); err != nil {
		return err
	}
	words, uids := map[string]string{}, map[string]string{}
	gather(attributes, words, uids)

	shown := map[string]bool{}
	for _, word := range strings.FieldsFunc(strings.ToLower(string(header(content, out))), notInWord) {
		shown[word] = true
	}
	var deidentified map[string]attribute
	if err := json.Unmarshal(out.Facts.Attributes, &deidentified); err != nil {
		return err
	}
	everyText(deidentified, func(tag, text string) {
		if !vocabulary(tag) {
			for _, word := range strings.FieldsFunc(strings.ToLower(text), notInWord) {
				shown[word] = true
			}
		}
	})
	kept := map[string]bool{} // words of what every file of the kind says
	everyText(deidentified, func(tag, text string) {
		if vocabulary(tag) {
			for _, word := range strings.FieldsFunc(strings.ToLower(text), notInWord) {
				kept[word] = true
			}
		}
	})
	for word, tag := range words {
		switch {
		case !shown[word] || kept[word] || word == "removed": // the dummy for a name
		case out.Held == "":
			c.words[tag]++
		default:
			c.withheld[tag]++
		}
	}
	for uid, tag := range uids {
		if shown[uid] || bytes.Contains(content, []byte(uid+"\x00")) || bytes.Contains(content, []byte(uid+" ")) {
			c.uids[tag]++
		}
	}
	return nil
}

// header is the content without what lies in its frames.
func header(content []byte, out imaging.Scrubbed) []byte {
	f := out.Facts.Frames
	switch {
	case f == nil:
		return content
	case len(f.Fragments) > 0 && len(f.Fragments[0]) > 0:
		return content[:f.Fragments[0][0][0]]
	case f.Length > 0:
		return content[:f.Offset]
	}
	return content
}

func notInWord(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' && r != '_'
}

// gather collects the values that name somebody: words of names, ids, and UIDs of
// instances, at every depth.
func gather(attributes map[string]attribute, words, uids map[string]string) {
	everyText(attributes, func(tag, text string) {
		switch tag {
		case "00100010", "00101001", "00101005", "00101060", "00080090", "00081048", "00081050", "00081060", "00081070", "00321032",
			"00402008", "00404037", "0040A075", "0040A123", "00700084", "00102297", "300600A6", "300E0008", "40080114", "00080080":
			for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
				if len([]rune(word)) >= 4 {
					words[word] = tag
				}
			}
		case "00100020", "00101000", "00080050", "00200010", "00401001", "00380010":
			if id := strings.ToLower(strings.TrimSpace(text)); len(id) >= 5 {
				words[id] = tag
			}
		case "00080018", "0020000D", "0020000E", "00200052", "00081155", "30060024", "00880140", "00620021":
			if uid := strings.TrimSpace(text); len(uid) > 10 && !strings.HasPrefix(uid, "1.2.840.10008.") {
				uids[uid] = tag
			}
		}
	})
}

// everyText calls f with every text value at every depth.
func everyText(attributes map[string]attribute, f func(tag, text string)) {
	for tag, a := range attributes {
		for _, v := range a.Value {
			var text string
			var name map[string]string
			var item map[string]attribute
			switch {
			case json.Unmarshal(v, &text) == nil:
				f(tag, text)
			case a.VR == "PN" && json.Unmarshal(v, &name) == nil:
				for _, group := range name {
					f(tag, group)
				}
			case a.VR == "SQ" && json.Unmarshal(v, &item) == nil:
				everyText(item, f)
			}
		}
	}
}

// vocabulary are attributes whose values come from a list or from the maker of the
// device: that a patient is called like one of their words is chance.
func vocabulary(tag string) bool {
	switch tag {
	case "00080005", "00080008", "00080016", "00080060", "00080070", "00081090", "00181020", "00120062", "00120063", "00280004":
		return true
	}
	return false
}
