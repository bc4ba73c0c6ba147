package dicom

import (
	"bytes"
	"fmt"
	"io"
)

// tagEncapsulated is Encapsulated Document.
const tagEncapsulated Tag = 0x0042_0011

// Encapsulate writes a de-identified content with a document in it, in the place of what
// it encapsulated, and returns how many bytes that are. The content is one that Scrub has
// written, which leaves the document out.
func (Scrubber) Encapsulate(w io.Writer, content, document []byte) (int, error) {
	split := Split(bytes.NewReader(content))
	header, err := split.Next()
	if err != nil {
		return 0, fmt.Errorf("encapsulate: %w", err)
	}
	at, until := int64(len(content)), int64(len(content))
	for i := int32(0); int(i) < len(header.Elements); i = header.Elements[i].Next {
		e := &header.Elements[i]
		if e.Tag < tagEncapsulated {
			continue
		}
		if at, until = e.Offset, e.Offset; e.Tag == tagEncapsulated {
			until = e.End
		}
		break
	}
	if until < at { // a value that streams: Scrub does not write one there
		return 0, fmt.Errorf("encapsulate: the content has a document already")
	}
	if len(document)%2 == 1 {
		document = append(bytes.Clone(document), 0)
	}
	_, code, _ := contentSyntax(split.Syntax)
	head := code.appendHeader(nil, tagEncapsulated, OB, uint32(len(document)))
	n := 0
	for _, part := range [][]byte{content[:at], head, document, content[until:]} {
		k, err := w.Write(part)
		if n += k; err != nil {
			return n, fmt.Errorf("write content: %w", err)
		}
	}
	return n, nil
}
