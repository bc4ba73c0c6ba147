package dicomweb_test

import (
	"maps"
	"mime"
	"reflect"
	"strings"
	"testing"

	"medvault/api/dicomweb"
)

func TestParseAccept(t *testing.T) {
	type m = dicomweb.MediaType
	none := map[string]string{}
	for _, row := range []struct {
		name    string
		headers []string
		want    []m
	}{
		{"plain", []string{"application/dicom+json"}, []m{{"application/dicom+json", none, 1}}},
		{"upper case", []string{"Application/DICOM; Transfer-Syntax=1.2"}, []m{{"application/dicom", map[string]string{"transfer-syntax": "1.2"}, 1}}},
		{"quoted type", []string{`multipart/related; type="application/dicom"`}, []m{{"multipart/related", map[string]string{"type": "application/dicom"}, 1}}},
		{"unquoted type", []string{`multipart/related; type=application/dicom; boundary=b`}, []m{{"multipart/related", map[string]string{"type": "application/dicom", "boundary": "b"}, 1}}},
		{"quoted star", []string{`multipart/related; type="application/octet-stream"; transfer-syntax="*"`}, []m{{"multipart/related", map[string]string{"type": "application/octet-stream", "transfer-syntax": "*"}, 1}}},
		{"comma and semicolon within quotes", []string{`a/b; x="1,2;3", c/d`}, []m{{"a/b", map[string]string{"x": "1,2;3"}, 1}, {"c/d", none, 1}}},
		{"escaped quote", []string{`a/b; x="1\"2,3"`}, []m{{"a/b", map[string]string{"x": `1"2,3`}, 1}}},
		{"by q, equals in order", []string{"a/b;q=0.5, c/d, e/f;q=0.5, g/h;q=0.9"}, []m{{"c/d", none, 1}, {"g/h", none, 0.9}, {"a/b", none, 0.5}, {"e/f", none, 0.5}}},
		{"q=0 is refused", []string{"a/b;q=0, c/d;q=0.001"}, []m{{"c/d", none, 0.001}}},
		{"several headers", []string{"a/b", "c/d"}, []m{{"a/b", none, 1}, {"c/d", none, 1}}},
		{"unreadable ranges are passed over", []string{`nonsense, a/, /b, a b/c, a/b; =1, a/b; x="open, c/d`, "e/f; q=2, g/h"}, []m{{"g/h", none, 1}}},
		{"empty parameters", []string{"a/b; ; c=d;"}, []m{{"a/b", map[string]string{"c": "d"}, 1}}},
		{"twice the same parameter", []string{"a/b; c=d; C=e"}, nil},
		{"nothing", []string{""}, nil},
	} {
		if got := dicomweb.ParseAccept(row.headers); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: ParseAccept(%q) = %v; want %v", row.name, row.headers, got, row.want)
		}
	}
}

// Whatever the standard library reads as one media type, ours reads the same.
func FuzzParseAccept(f *testing.F) {
	for _, s := range []string{
		"application/dicom", `multipart/related; type="application/dicom"; boundary="a b"`, "a/b;q=0.3,c/d", `a/b; x="\"";y=z`,
		"multipart/related; type=application/dicom", ";", `"`, `a/b;x="`, `a/b;x="\`, "*/*", "a/b; q=NaN",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := dicomweb.ParseAccept([]string{s})
		for _, m := range got {
			if !(m.Q > 0 && m.Q <= 1) || m.Type != strings.ToLower(m.Type) || strings.Count(m.Type, "/") != 1 {
				t.Errorf("ParseAccept(%q) gives %v", s, m)
			}
		}
		if strings.ContainsAny(s, `*%,\`) { // RFC 2231, lists, and escapes that mime reads its own way
			return
		}
		kind, params, err := mime.ParseMediaType(s)
		if err != nil || strings.Count(kind, "/") != 1 {
			return
		}
		if _, ok := params["q"]; ok {
			return
		}
		for _, v := range params {
			if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return
			}
		}
		if len(got) != 1 || got[0].Type != kind || !maps.Equal(got[0].Params, params) {
			t.Errorf("ParseAccept(%q) = %v; mime reads %s %v", s, got, kind, params)
		}
	})
}
