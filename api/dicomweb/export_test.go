package dicomweb

import (
	"io"
	"net/http"

	"medvault/vault"
)

// What the tests need to see of the parsers and builders.

type MediaType = mediaType

var ParseAccept = parseAccept

// Form is a form as a test states it: media; transfer syntax, whether in parts and
// whether as stored.
func Form(resource, accept, acceptQuery, stored string, single bool) (contentType string, multipart, asStored, ok bool) {
	h := http.Header{}
	if accept != "" {
		h.Set("Accept", accept)
	}
	query, err := parseQuery(acceptQuery)
	if err != nil {
		return "", false, false, false
	}
	f, ok := firstForm(accepted(h, query), single, func(w wanted) (form, bool) {
		switch resource {
		case "instance":
			return instanceForm(w, stored)
		case "frame":
			return frameForm(w, stored)
		}
		return bulkForm(w, stored, resource)
	})
	return f.contentType(), f.multipart, f.asStored, ok
}

// JSONType is the JSON media type an Accept header gets; "" is 406.
func JSONType(accept string) string {
	h := http.Header{}
	if accept != "" {
		h.Set("Accept", accept)
	}
	t, err := jsonType(accepted(h, nil))
	if err != nil {
		return ""
	}
	return t
}

// Searched is a parsed search.
type Searched struct {
	Query             vault.Query
	Include           []string
	All, Fuzzy, Empty bool
}

func ParseSearch(level vault.Level, ref vault.Ref, raw string) (Searched, error) {
	query, err := parseQuery(raw)
	if err != nil {
		return Searched{}, err
	}
	s, err := parseSearch(level, ref, query)
	return Searched{s.query, s.include, s.all, s.fuzzy, s.none}, err
}

var ParseFrames = parseFrames

var Absolute = absolute

// Instances reads a store body: the bytes of each instance, "refused" for a part that
// says it is none, and how reading ended.
func Instances(contentType string, body io.Reader) (instances []string, err error) {
	r, err := http.NewRequest(http.MethodPost, "/studies", body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	b, err := readBody(r)
	if err != nil {
		return nil, err
	}
	for {
		i, err := b.next()
		if err == io.EOF {
			return instances, nil
		}
		if err != nil {
			return instances, err
		}
		if i.refused != nil {
			instances = append(instances, "refused")
			continue
		}
		all, err := io.ReadAll(i)
		if err != nil {
			return instances, err
		}
		if i.broken != nil {
			return instances, i.broken
		}
		instances = append(instances, string(all))
	}
}

// Put is what the vault said of one instance.
type Put struct {
	Receipt vault.Receipt
	Err     error
}

// StoreResponse is the status and body that a store request is answered with.
func StoreResponse(study string, puts []Put, broken error) (int, []byte) {
	f := &face{base: "http://vault.example/dicomweb"}
	o := storing{study: study, url: f.url, broken: broken}
	for _, p := range puts {
		o.add(p.Receipt, p.Err)
	}
	return o.status(), o.response()
}

// Result is a search result as it is answered.
func Result(s Searched, m vault.Match) map[string]any {
	f := &face{base: "http://vault.example/dicomweb"}
	r := f.result(search{query: s.Query, include: s.Include, all: s.All}, m)
	out := map[string]any{}
	for tag, raw := range r {
		out[tag] = string(raw)
	}
	return out
}

// ETag is the entity tag of the metadata of what was opened.
func ETag(o *vault.Opened, contentType string) string {
	f := &face{base: "http://vault.example/dicomweb"}
	return f.etag(o, contentType)
}
