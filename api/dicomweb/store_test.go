package dicomweb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"medvault/api/dicomweb"
	"medvault/vault"
	"medvault/vault/record"
)

const related = `multipart/related; type="application/dicom"; boundary=b`

func TestStoreBodies(t *testing.T) {
	for _, row := range []struct {
		name, contentType, body string
		want                    []string
	}{
		{"one part", related, "--b\r\nContent-Type: application/dicom\r\n\r\nONE\r\n--b--\r\n", []string{"ONE"}},
		{"two parts", related, "--b\r\n\r\nONE\r\n--b\r\n\r\nTWO\r\n--b--", []string{"ONE", "TWO"}},
		{"leading line break", related, "\r\n--b\r\nContent-Type: application/dicom\r\n\r\nONE\r\n--b--", []string{"ONE"}},
		{"preamble and epilogue", related, "hello\r\n--b\r\n\r\nONE\r\n--b--\r\nbye", []string{"ONE"}},
		{"line feeds only", related, "--b\nContent-Type: application/dicom\n\nONE\n--b--\n", []string{"ONE"}},
		{"part of a length", related, "--b\r\nContent-Type: application/dicom\r\nContent-Length: 3\r\n\r\nONE\r\n--b--", []string{"ONE"}},
		{"unquoted type", "multipart/related; type=application/dicom; boundary=b", "--b\r\n\r\nONE\r\n--b--", []string{"ONE"}},
		{"no type", "multipart/related; boundary=b", "--b\r\n\r\nONE\r\n--b--", []string{"ONE"}},
		{"boundary with a space", `Multipart/Related; Boundary="a b"; Type="Application/DICOM"`, "--a b\r\n\r\nONE\r\n--a b--", []string{"ONE"}},
		{"octets", related, "--b\r\nContent-Type: application/octet-stream\r\n\r\nONE\r\n--b--", []string{"ONE"}},
		{"quoted-printable is not undone", related, "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nO=4EE\r\n--b--", []string{"O=4EE"}},
		{"a part that is none", related, "--b\r\nContent-Type: text/plain\r\n\r\nX\r\n--b\r\n\r\nONE\r\n--b--", []string{"refused", "ONE"}},
		{"the boundary's beginning inside", related, "--b\r\n\r\nON\r\n--E\r\n--b--", []string{"ON\r\n--E"}},
		{"empty part", related, "--b\r\n\r\n\r\n--b--", []string{""}},
		{"single part", "application/dicom", "ONE", []string{"ONE"}},
		{"no parts", related, "--b--\r\n", nil},
	} {
		got, err := dicomweb.Instances(row.contentType, strings.NewReader(row.body))
		if err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, %v; want %q", row.name, got, err, row.want)
		}
		got, err = dicomweb.Instances(row.contentType, iotest.OneByteReader(strings.NewReader(row.body)))
		if err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s, byte by byte: %q, %v; want %q", row.name, got, err, row.want)
		}
	}
}

func TestACutBodyNeverEndsCleanly(t *testing.T) {
	const whole = "--b\r\nContent-Type: application/dicom\r\n\r\nONE\r\n--b\r\n\r\nTWO\r\n--b--"
	for cut := range len(whole) {
		got, err := dicomweb.Instances(related, strings.NewReader(whole[:cut]))
		if err == nil {
			t.Errorf("cut after %q: %q without error; want an error", whole[:cut], got)
		}
		for i, s := range got {
			if s != []string{"ONE", "TWO"}[i] {
				t.Errorf("cut after %q: instance %q; want whole ones only", whole[:cut], s)
			}
		}
	}
}

func TestStoreContentTypes(t *testing.T) {
	for contentType, wantInvalid := range map[string]bool{
		"": false, "text/plain": false, "nonsense": false, "multipart/form-data; boundary=b": false,
		`multipart/related; type="application/dicom+json"; boundary=b`: false,
		`multipart/related; type="application/dicom"`:                  true, // no boundary
	} {
		_, err := dicomweb.Instances(contentType, strings.NewReader("--b\r\n\r\nONE\r\n--b--"))
		if err == nil || errors.Is(err, record.ErrInvalid) != wantInvalid {
			t.Errorf("Content-Type %q: %v; want a refusal, of the request %v", contentType, err, wantInvalid)
		}
	}
}

func FuzzStoreBody(f *testing.F) {
	f.Add("--b\r\n\r\nONE\r\n--b--", "multipart/related; boundary=b")
	f.Add("\r\n--b\nContent-Type: a/b\n\nONE\n--b\r\n", related)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		got, err := dicomweb.Instances(contentType, strings.NewReader(body))
		total := 0
		for _, s := range got {
			if s != "refused" {
				total += len(s)
			}
		}
		if total > len(body) {
			t.Errorf("%d bytes of instances from a body of %d, %v", total, len(body), err)
		}
	})
}

func stored(n int, study string) dicomweb.Put {
	return dicomweb.Put{Receipt: vault.Receipt{
		ID: record.ObjectID(strings.Repeat("0", 32)), Patient: "paaaaaaaaaaaaaaaaaaaaaaaaaa", SOPClass: "1.9",
		SOPInstance: fmt.Sprintf("1.4.%d", n), Study: study, Series: "1.3",
	}}
}

func refused(err error) dicomweb.Put {
	return dicomweb.Put{Receipt: vault.Receipt{SOPClass: "1.9", SOPInstance: "1.4.9", Study: "1.2"}, Err: err}
}

func TestStoreStatus(t *testing.T) {
	unreadable := dicomweb.Put{Err: record.Refuse(record.ErrUnreadable, "not-dicom", "send DICOM")}
	keysDown := record.Refuse(record.ErrUnavailable, "keys-unavailable", "try again")
	noQuorum := record.Refuse(record.ErrUnavailable, "no-quorum", "try again")
	for _, row := range []struct {
		name   string
		study  string
		puts   []dicomweb.Put
		broken error
		status int
		reason int // of the last failure; 0 is none
	}{
		{"all stored", "", []dicomweb.Put{stored(1, "1.2"), stored(2, "1.2")}, nil, 200, 0},
		{"some", "", []dicomweb.Put{stored(1, "1.2"), unreadable}, nil, 202, 49152},
		{"none readable", "", []dicomweb.Put{unreadable, unreadable}, nil, 409, 49152},
		{"no parts", "", nil, nil, 400, 0},
		{"other bytes", "", []dicomweb.Put{refused(record.ErrConflict)}, nil, 409, 45070},
		{"another study", "1.7", []dicomweb.Put{refused(record.ErrConflict)}, nil, 409, 43265},
		{"another study by its code", "", []dicomweb.Put{refused(record.Refuse(record.ErrInvalid, "study-mismatch", "x"))}, nil, 409, 43265},
		{"SOP class", "", []dicomweb.Put{refused(record.Refuse(record.ErrUnreadable, "unsupported-sop-class", "x"))}, nil, 409, 290},
		{"transfer syntax", "", []dicomweb.Put{refused(record.Refuse(record.ErrUnreadable, "unsupported-transfer-syntax", "x"))}, nil, 409, 49442},
		{"denied", "", []dicomweb.Put{refused(record.ErrDenied), refused(record.ErrDenied)}, nil, 403, 292},
		{"erased", "", []dicomweb.Put{refused(record.ErrErased)}, nil, 409, 292},
		{"keys down", "", []dicomweb.Put{refused(keysDown)}, nil, 503, 272},
		{"no quorum", "", []dicomweb.Put{refused(noQuorum)}, nil, 503, 0xA700},
		{"no quorum for some", "", []dicomweb.Put{stored(1, "1.2"), refused(noQuorum)}, nil, 202, 0xA700},
		{"different reasons", "", []dicomweb.Put{unreadable, refused(keysDown)}, nil, 409, 272},
		{"too large", "", []dicomweb.Put{refused(record.ErrTooLarge)}, nil, 413, 0xA700},
		{"unknown", "", []dicomweb.Put{refused(errors.New("x"))}, nil, 500, 272},
		{"too long after one", "", []dicomweb.Put{stored(1, "1.2")}, record.ErrTooLarge, 413, 0xA700},
		{"cut after one", "", []dicomweb.Put{stored(1, "1.2")}, io.ErrUnexpectedEOF, 400, 49152},
	} {
		status, body := dicomweb.StoreResponse(row.study, row.puts, row.broken)
		if status != row.status {
			t.Errorf("%s: status %d; want %d", row.name, status, row.status)
		}
		if got := lastReason(t, body); got != row.reason {
			t.Errorf("%s: reason %d; want %d", row.name, got, row.reason)
		}
	}
}

type element struct {
	VR    string            `json:"vr"`
	Value []json.RawMessage `json:"Value"`
}

func lastReason(t *testing.T, body []byte) (reason int) {
	t.Helper()
	var d map[string]element
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, tag := range []string{"0008119A", "00081198"} {
		for _, raw := range d[tag].Value {
			var item map[string]struct {
				VR    string `json:"vr"`
				Value []any
			}
			if err := json.Unmarshal(raw, &item); err != nil {
				t.Fatal(err)
			}
			reason = int(item["00081197"].Value[0].(float64))
		}
	}
	return reason
}

func TestStoreResponse(t *testing.T) {
	_, got := dicomweb.StoreResponse("", []dicomweb.Put{
		stored(1, "1.2"),
		refused(record.Refuse(record.ErrConflict, "other-bytes", "keep the old one")),
		{Err: record.Refuse(record.ErrUnreadable, "not-dicom", "send DICOM")},
	}, nil)
	const want = `{` +
		`"00081190":{"vr":"UR","Value":["http://vault.example/dicomweb/studies/1.2"]},` +
		`"00081198":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.9"]},"00081155":{"vr":"UI","Value":["1.4.9"]},"00081197":{"vr":"US","Value":[45070]},` +
		`"00090010":{"vr":"LO","Value":["MEDVAULT"]},"00091001":{"vr":"IS","Value":[2]},"00091005":{"vr":"LO","Value":["other-bytes"]},"00091006":{"vr":"UT","Value":["keep the old one"]}}]},` +
		`"00081199":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.9"]},"00081155":{"vr":"UI","Value":["1.4.1"]},` +
		`"00081190":{"vr":"UR","Value":["http://vault.example/dicomweb/studies/1.2/series/1.3/instances/1.4.1"]},` +
		`"00090010":{"vr":"LO","Value":["MEDVAULT"]},"00091001":{"vr":"IS","Value":[1]},"00091002":{"vr":"LO","Value":["paaaaaaaaaaaaaaaaaaaaaaaaaa"]},` +
		`"00091003":{"vr":"LO","Value":["00000000000000000000000000000000"]},"00091004":{"vr":"CS","Value":["NO"]}}]},` +
		`"0008119A":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]},` +
		`"00090010":{"vr":"LO","Value":["MEDVAULT"]},"00091001":{"vr":"IS","Value":[3]},"00091005":{"vr":"LO","Value":["not-dicom"]},"00091006":{"vr":"UT","Value":["send DICOM"]}}]}}`
	if string(got) != want {
		t.Errorf("response\n got %s\nwant %s", got, want)
	}

	// A sequence that would be empty is left out; mixed studies have no one address.
	_, got = dicomweb.StoreResponse("", []dicomweb.Put{stored(1, "1.2"), stored(2, "1.5")}, nil)
	var d map[string]element
	if err := json.Unmarshal(got, &d); err != nil {
		t.Fatal(err)
	}
	if _, ok := d["00081198"]; ok || len(d) != 2 || d["00081190"].Value != nil || d["00081190"].VR != "UR" {
		t.Errorf("response to two studies = %s; want an empty RetrieveURL and the stored instances only", got)
	}
}
