package envelope_test

import (
	"bytes"
	"context"
	"testing"

	"medvault/keys/envelope"
)

func seeds(f *testing.F) {
	object := seal(f, header, both, map[string][]byte{envelope.Content: text(30), envelope.Identity: text(20), envelope.Facts: nil})
	f.Add(object)
	f.Add(object[:71])
	f.Add(object[71:])
	f.Add([]byte("MVOBJ\x01"))
	f.Add([]byte("\x00\x00\x00\x00MVEND\x01"))
	f.Add([]byte{})
}

// FuzzOpenObject opens whatever looks like an object. What opens must be what
// was sealed.
func FuzzOpenObject(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, object []byte) {
		o, err := open(object, header, both)
		if err != nil {
			return
		}
		for _, name := range o.Parts() {
			got, err := readPart(o, name)
			if err != nil {
				continue
			}
			if size, _ := o.Size(name); int64(len(got)) != size || !bytes.Equal(got, text(len(got))) {
				t.Errorf("part %s came back as %d bytes that were never sealed", name, len(got))
			}
		}
	})
}

// FuzzOpenFooter gives Open footers that did not come through ReadFooter.
func FuzzOpenFooter(f *testing.F) {
	_, object := load(f, "small") // the same in every fuzz worker
	genuine, err := envelope.ReadFooter(context.Background(), fetcher(object, nil), int64(len(object)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, footer []byte) {
		if _, err := envelope.Open(footer, fetcher(object, nil), header, both); err == nil && !bytes.Equal(footer, genuine) {
			t.Error("a footer that was never sealed opens")
		}
	})
}

// FuzzReadFooter feeds objects to everything that works without keys.
func FuzzReadFooter(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, object []byte) {
		size := int64(len(object))
		d, inspectErr := envelope.Inspect(bytes.NewReader(object), size)
		footer, err := envelope.ReadFooter(context.Background(), fetcher(object, nil), size)
		if inspectErr == nil && err != nil {
			t.Errorf("Inspect reads what ReadFooter refuses: %v", err)
		}
		if inspectErr == nil && (d.String() == "" || int64(len(footer)) != d.Footer-10) {
			t.Errorf("Inspect tells a footer of %d bytes, ReadFooter gives %d", d.Footer-10, len(footer))
		}
	})
}
