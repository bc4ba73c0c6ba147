package dicomweb

import (
	"net/http"
	"strings"

	"medvault/vault/record"
)

// Transfer syntaxes that the wire treats specially.
const (
	implicitLE = "1.2.840.10008.1.2"
	explicitLE = "1.2.840.10008.1.2.1"
	deflated   = "1.2.840.10008.1.2.1.99"
	explicitBE = "1.2.840.10008.1.2.2"
)

// compressed says whether only a decoder could turn s into Explicit VR Little
// Endian.
func compressed(s string) bool {
	return s != implicitLE && s != explicitLE && s != deflated && s != explicitBE
}

const encapsulatedPDF = "1.2.840.10008.5.1.4.1.1.104.1"

// accepted lists what the request takes, best first: what the accept query
// parameter says, then the Accept header (PS3.18 8.7.8.1). A request that says
// nothing takes anything.
func accepted(h http.Header, query []parameter) []mediaType {
	asked := acceptParameters(query)
	header := h.Values("Accept")
	if len(asked) == 0 && strings.TrimSpace(strings.Join(header, "")) == "" {
		header = []string{"*/*"}
	}
	return append(parseAccept(asked), parseAccept(header)...)
}

// form is one way to send a document, frame or value.
type form struct {
	multipart bool
	media     string // of the part, or of the whole where there are no parts
	syntax    string // transfer syntax of what is sent; "" where none applies
	asStored  bool   // the stored bytes; otherwise converted to Explicit VR Little Endian
}

// contentType is the form's Content-Type: of each part, or of a single answer.
func (f form) contentType() string {
	if f.syntax == "" {
		return f.media
	}
	return f.media + "; transfer-syntax=" + f.syntax
}

// wanted is a range as WADO-RS reads it.
type wanted struct {
	multipart bool
	anything  bool   // "*/*" itself, which stands for the default form
	media     string // of the part; "*/*" is any
	syntax    string // "" is the default of the media type, "*" is as stored
}

func want(r mediaType) wanted {
	w := wanted{media: r.Type, syntax: r.Params["transfer-syntax"]}
	switch r.Type {
	case "*/*", "multipart/*":
		return wanted{multipart: true, anything: true, media: "*/*", syntax: w.syntax}
	case "multipart/related":
		w.multipart, w.media = true, "*/*"
		kind, ok := r.Params["type"]
		if !ok {
			break
		}
		part, err := parseMediaType(kind)
		if err != nil {
			w.media = "" // covers nothing
			break
		}
		w.media = part.Type
		if w.syntax == "" { // some put the transfer syntax inside the quotes of type
			w.syntax = part.Params["transfer-syntax"]
		}
	}
	return w
}

// covers says whether the asked media type includes m.
func (w wanted) covers(m string) bool {
	major, _, _ := strings.Cut(m, "/")
	return w.media == m || w.media == "*/*" || w.media == major+"/*"
}

// instanceForm is how a document stored in the given syntax answers w (PS3.18
// 8.7.3); false when it cannot.
func instanceForm(w wanted, stored string) (form, bool) {
	f := form{multipart: w.multipart, media: "application/dicom", syntax: stored, asStored: true}
	if !w.covers(f.media) {
		return form{}, false
	}
	switch w.syntax {
	case "*":
		return f, true
	case "", explicitLE:
		f.syntax, f.asStored = explicitLE, stored == explicitLE
		return f, !compressed(stored)
	}
	return f, w.syntax == stored && compressed(stored) || w.syntax == deflated && stored == deflated
}

// frameForm is how a frame of a document stored in the given syntax answers w.
// Frames that are not compressed leave as little endian octets. A compressed one is
// never passed off as octets unless that syntax, or any, was asked for.
func frameForm(w wanted, stored string) (form, bool) {
	f := form{multipart: w.multipart, media: "application/octet-stream", syntax: explicitLE, asStored: true}
	if !compressed(stored) {
		return f, w.covers(f.media) && (w.syntax == "" || w.syntax == "*" || w.syntax == explicitLE)
	}
	f.syntax = stored
	named := w.syntax == "*" || w.syntax == stored
	if media := frameMedia(stored); media != f.media && w.media != "application/octet-stream" && w.media != "application/*" {
		f.media = media
		return f, w.covers(media) && (named || w.syntax == "" && !w.anything)
	}
	return f, w.covers(f.media) && named
}

// frameMedia is the media type of one compressed frame (PS3.18 table 8.7.3-5).
func frameMedia(syntax string) string {
	switch syntax {
	case "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70":
		return "image/jpeg"
	case "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81":
		return "image/jls"
	case "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91":
		return "image/jp2"
	case "1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93":
		return "image/jpx"
	case "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203":
		return "image/jphc"
	case "1.2.840.10008.1.2.5":
		return "image/dicom-rle"
	}
	return "application/octet-stream"
}

// bulkForm is how the value of an element answers w.
func bulkForm(w wanted, sopClass, tag string) (form, bool) {
	if w.media == "application/pdf" && sopClass == encapsulatedPDF && tag == "00420011" {
		return form{multipart: w.multipart, media: "application/pdf"}, true
	}
	f := form{multipart: w.multipart, media: "application/octet-stream"}
	return f, w.covers(f.media) && (w.syntax == "" || w.syntax == "*" || w.syntax == explicitLE)
}

// firstForm is the best form that f finds among the ranges. A resource of several
// items takes no single-part form (PS3.18 10.4.4).
func firstForm(ranges []mediaType, single bool, f func(wanted) (form, bool)) (form, bool) {
	for _, r := range ranges {
		w := want(r)
		if !w.multipart && !single {
			continue
		}
		if form, ok := f(w); ok {
			return form, true
		}
	}
	return form{}, false
}

// jsonType is the media type for a JSON answer: never multipart (PS3.18 10.4.4).
func jsonType(ranges []mediaType) (string, error) {
	for _, r := range ranges {
		switch r.Type {
		case "*/*", "application/*", "application/dicom+json":
			return "application/dicom+json", nil
		case "application/json":
			return r.Type, nil
		}
	}
	return "", record.Refuse(record.ErrNotAcceptable, "json-only", "accept application/dicom+json")
}

func notAcceptable() error {
	return record.Refuse(record.ErrNotAcceptable, "no-acceptable-form",
		`nothing here is decoded: accept multipart/related; type="application/dicom"; transfer-syntax=*`)
}
