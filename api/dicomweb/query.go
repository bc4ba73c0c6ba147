package dicomweb

import (
	"net/url"
	"strings"

	"medvault/vault/record"
)

// maxParameters bounds what one query may ask.
const maxParameters = 256

// parameter is one name=value of a query.
type parameter struct{ name, value string }

// parseQuery splits a raw query at & only. net/url drops a pair that holds a
// semicolon, and accept=multipart/related;type="application/dicom" does.
func parseQuery(raw string) ([]parameter, error) {
	var all []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if len(all) == maxParameters {
			return nil, badQuery("too-many-parameters", "send fewer query parameters")
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, badQuery("bad-query", "a name in the query is not percent-encoded correctly")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, badQuery("bad-query", "a value in the query is not percent-encoded correctly")
		}
		all = append(all, parameter{name, value})
	}
	return all, nil
}

func badQuery(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }

// acceptParameters are the values of the accept query parameter (PS3.18 8.3.3.1). A
// plus that was sent bare has become a space: no media type holds one before its
// parameters, so it is put back.
func acceptParameters(query []parameter) []string {
	var values []string
	for _, p := range query {
		if p.name != "accept" {
			continue
		}
		kind, params, found := strings.Cut(p.value, ";")
		kind = strings.ReplaceAll(strings.TrimSpace(kind), "dicom ", "dicom+")
		if found {
			kind += ";" + params
		}
		values = append(values, kind)
	}
	return values
}
