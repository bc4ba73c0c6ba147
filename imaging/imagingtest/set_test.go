package imagingtest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"medvault/imaging"
	"medvault/imaging/imagingtest"
)

func TestSetIsTheSameForTheSameSeed(t *testing.T) {
	first := slices.Collect(imagingtest.Set(5, 150))
	second := slices.Collect(imagingtest.Set(5, 150))
	for i := range first {
		if !bytes.Equal(first[i].Data, second[i].Data) || len(first[i].Key) != len(second[i].Key) {
			t.Errorf("object %d (%s) is not the same", i, first[i].Name)
		}
	}
	if third := slices.Collect(imagingtest.Set(6, 1)); bytes.Equal(first[0].Data, third[0].Data) {
		t.Error("two seeds make the same object")
	}
}

// The key is right only if what it lists is really in the documents.
func TestWhatTheKeyWantsGoneIsThere(t *testing.T) {
	removed, retained := 0, 0
	for o := range imagingtest.Set(7, 300, imagingtest.DefaultOptions()...) {
		if o.Syntax == imagingtest.Deflated {
			continue // not to be seen in the bytes
		}
		for _, row := range o.Key {
			switch {
			case row.Action == imagingtest.TextRemoved && len(row.Path) > 0:
				removed++
				if !slices.ContainsFunc(row.Gone, func(g []byte) bool { return bytes.Contains(o.Data, g) }) {
					t.Errorf("%s: nothing of %q is at %s", o.Name, row.Gone, row.Path)
				}
			case row.Action == imagingtest.TextRetained && !row.Word:
				retained++
				if !bytes.Contains(o.Data, row.Want) {
					t.Errorf("%s: %q is not at %s", o.Name, row.Want, row.Path)
				}
			}
		}
	}
	if removed < 5000 || retained < 5000 {
		t.Errorf("%d rows for what must go and %d for what must stay; want thousands", removed, retained)
	}
}

// TestScorePunishesBoth scores a scrubber that changes nothing and one that leaves
// nothing: neither may come near a good one.
func TestScorePunishesBoth(t *testing.T) {
	pseudonyms := func(string) imaging.Pseudonyms { return imaging.Pseudonyms{ShiftDays: -1000} }
	score := func(s imaging.Scrubber) map[imagingtest.Action]float64 {
		r, err := imagingtest.Score(s, imagingtest.Set(8, 200, imagingtest.DefaultOptions()...), pseudonyms)
		if err != nil {
			t.Fatal(err)
		}
		if r.Restored.Right != r.Restored.Required || r.Objects != 200 {
			t.Errorf("%d of %d restored", r.Restored.Right, r.Restored.Required)
		}
		percent := map[imagingtest.Action]float64{}
		for action, tally := range r.Actions {
			percent[action] = tally.Percent()
		}
		return percent
	}
	for name, c := range map[string]struct {
		scrubber  imaging.Scrubber
		good, bad []imagingtest.Action
	}{
		"changes nothing": {fixed{rewrite: func(b []byte) []byte { copy(b[:128], make([]byte, 128)); return b }},
			[]imagingtest.Action{imagingtest.TagRetained, imagingtest.TextNotNull, imagingtest.TextRetained, imagingtest.PixelsRetained},
			[]imagingtest.Action{imagingtest.TextRemoved, imagingtest.DateShifted, imagingtest.UIDChanged, imagingtest.PatIDConsistent, imagingtest.PixelsHidden}},
		"leaves nothing": {fixed{rewrite: empty},
			[]imagingtest.Action{imagingtest.TextRemoved},
			[]imagingtest.Action{imagingtest.TagRetained, imagingtest.TextNotNull, imagingtest.TextRetained, imagingtest.PixelsRetained, imagingtest.PixelsHidden}},
	} {
		t.Run(name, func(t *testing.T) {
			got := score(c.scrubber)
			for _, action := range c.good {
				if got[action] < 74 { // a quarter is deflated, which the first cannot write
					t.Errorf("%s %.1f %%; want most of it right", action, got[action])
				}
			}
			for _, action := range c.bad {
				if got[action] > 50 {
					t.Errorf("%s %.1f %%; want most of it wrong", action, got[action])
				}
			}
		})
	}
}

// fixed rewrites documents by a function; of a Scrubber it has no more than scoring
// needs. Its script holds all of the original.
type fixed struct {
	imaging.Scrubber
	rewrite func([]byte) []byte
}

func (f fixed) Begin(r io.Reader) (imaging.Incoming, error) {
	data, err := io.ReadAll(r)
	return &rewritten{f, data}, err
}

type rewritten struct {
	by   fixed
	data []byte
}

func (rewritten) Identity() imaging.Identity { return imaging.Identity{} }

func (r rewritten) Scrub(_ imaging.Pseudonyms, _ *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	patch := imaging.NewScriptWriter(script)
	patch.Put(r.data)
	written := r.by.rewrite(bytes.Clone(r.data))
	patch.Drop(int64(len(written)))
	if _, err := content.Write(written); err != nil {
		return imaging.Scrubbed{}, err
	}
	return imaging.Scrubbed{}, patch.End(original())
}

// empty is a document of one element.
func empty([]byte) []byte {
	b := append(make([]byte, 128), "DICM\x02\x00\x10\x00UI"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(imagingtest.ExplicitLE)+1))
	b = append(b, imagingtest.ExplicitLE+"\x00"...)
	return append(b, "\x08\x00\x60\x00CS\x02\x00OT"...)
}
