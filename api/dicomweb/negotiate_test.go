package dicomweb_test

import (
	"net/url"
	"testing"

	"medvault/api/dicomweb"
)

const (
	implicit  = "1.2.840.10008.1.2"
	explicit  = "1.2.840.10008.1.2.1"
	bigEndian = "1.2.840.10008.1.2.2"
	jpeg      = "1.2.840.10008.1.2.4.50"
	j2k       = "1.2.840.10008.1.2.4.90"
	rle       = "1.2.840.10008.1.2.5"
	private   = "1.2.3.4"
)

func TestNegotiation(t *testing.T) {
	const (
		dicom   = "application/dicom; transfer-syntax="
		octets  = "application/octet-stream; transfer-syntax="
		related = `multipart/related; type="application/dicom"`
		frame   = `multipart/related; type="application/octet-stream"`
	)
	for _, row := range []struct {
		resource, accept, query, stored string
		single                          bool
		want                            string // "" is 406
		multipart, asStored             bool
	}{
		// Instances: no transfer syntax asked is Explicit VR Little Endian.
		{"instance", "", "", explicit, false, dicom + explicit, true, true},
		{"instance", "*/*", "", implicit, false, dicom + explicit, true, false},
		{"instance", "*/*", "", bigEndian, true, dicom + explicit, true, false},
		{"instance", "multipart/*", "", explicit, true, dicom + explicit, true, true},
		{"instance", "multipart/related", "", explicit, true, dicom + explicit, true, true},
		{"instance", related, "", implicit, false, dicom + explicit, true, false},
		{"instance", "multipart/related; type=application/dicom", "", explicit, false, dicom + explicit, true, true},
		{"instance", `multipart/related; type="*/*"`, "", explicit, false, dicom + explicit, true, true},
		{"instance", related + "; transfer-syntax=*", "", implicit, false, dicom + implicit, true, true},
		{"instance", related + `; transfer-syntax="*"`, "", jpeg, false, dicom + jpeg, true, true},
		{"instance", `multipart/related; type="application/dicom; transfer-syntax=*"`, "", jpeg, false, dicom + jpeg, true, true},
		{"instance", related + "; transfer-syntax=" + jpeg, "", jpeg, false, dicom + jpeg, true, true},
		{"instance", related + "; transfer-syntax=" + explicit, "", bigEndian, false, dicom + explicit, true, false},
		// Never mislabelled, never on the wire.
		{"instance", "*/*", "", jpeg, false, "", false, false},
		{"instance", related, "", private, false, "", false, false},
		{"instance", related + "; transfer-syntax=" + j2k, "", jpeg, false, "", false, false},
		{"instance", related + "; transfer-syntax=" + implicit, "", implicit, false, "", false, false},
		{"instance", related + "; transfer-syntax=" + bigEndian, "", bigEndian, false, "", false, false},
		{"instance", frame, "", explicit, false, "", false, false},
		{"instance", `multipart/related; type="nonsense"`, "", explicit, false, "", false, false},
		{"instance", "image/jpeg", "", explicit, true, "", false, false},
		// One instance may come without parts, several may not.
		{"instance", "application/dicom", "", explicit, true, dicom + explicit, false, true},
		{"instance", "application/*", "", explicit, true, dicom + explicit, false, true},
		{"instance", "application/dicom; transfer-syntax=*", "", jpeg, true, dicom + jpeg, false, true},
		{"instance", "application/dicom", "", explicit, false, "", false, false},
		// All ranges count, the best first; the query goes before the header.
		{"instance", "text/html, " + related + ";q=0.1", "", explicit, false, dicom + explicit, true, true},
		{"instance", "application/dicom;q=0.2, " + related + ";q=0.1", "", explicit, true, dicom + explicit, false, true},
		{"instance", related + "; transfer-syntax=" + j2k + ", " + related, "", implicit, false, dicom + explicit, true, false},
		{"instance", related, `accept=application/dicom;transfer-syntax=*`, jpeg, true, dicom + jpeg, false, true},
		{"instance", related, "accept=" + url.QueryEscape(`multipart/related; type="application/dicom"; transfer-syntax=*`), jpeg, false, dicom + jpeg, true, true},
		{"instance", related, "accept=image/gif", explicit, false, dicom + explicit, true, true},
		{"instance", "", "accept=image/gif", explicit, false, "", false, false},

		// Frames: octets when not compressed.
		{"frame", "", "", explicit, false, octets + explicit, true, true},
		{"frame", frame, "", implicit, false, octets + explicit, true, true},
		{"frame", frame + `; transfer-syntax="*"`, "", explicit, false, octets + explicit, true, true},
		{"frame", `multipart/related; type="*/*"`, "", bigEndian, false, octets + explicit, true, true},
		{"frame", "multipart/related; type=application/octet-stream", "", explicit, false, octets + explicit, true, true},
		{"frame", "application/octet-stream", "", explicit, true, octets + explicit, false, true},
		{"frame", "application/octet-stream", "", explicit, false, "", false, false},
		{"frame", `multipart/related; type="image/jpeg"`, "", explicit, false, "", false, false},
		// Compressed ones under their own name, or under the asked one with the syntax.
		{"frame", frame + `; transfer-syntax="*"`, "", jpeg, false, octets + jpeg, true, true},
		{"frame", frame + "; transfer-syntax=" + rle, "", rle, false, octets + rle, true, true},
		{"frame", `multipart/related; type="*/*"`, "", j2k, false, "image/jp2; transfer-syntax=" + j2k, true, true},
		{"frame", "*/*; transfer-syntax=*", "", rle, false, "image/dicom-rle; transfer-syntax=" + rle, true, true},
		{"frame", `multipart/related; type="image/jpeg"`, "", jpeg, false, "image/jpeg; transfer-syntax=" + jpeg, true, true},
		{"frame", "image/*", "", jpeg, true, "image/jpeg; transfer-syntax=" + jpeg, false, true},
		{"frame", frame + "; transfer-syntax=*", "", private, false, octets + private, true, true},
		{"frame", "", "", jpeg, false, "", false, false},
		{"frame", "*/*", "", jpeg, false, "", false, false},
		{"frame", frame, "", jpeg, false, "", false, false},
		{"frame", `multipart/related; type="image/jp2"`, "", jpeg, false, "", false, false},
		{"frame", related, "", explicit, false, "", false, false},

		// Bulk data; the stored column is the SOP class here.
		{"7FE00010", "", "", "", true, "application/octet-stream", true, false},
		{"7FE00010", "application/octet-stream", "", "", true, "application/octet-stream", false, false},
		{"00420011", "application/pdf", "", "1.2.840.10008.5.1.4.1.1.104.1", true, "application/pdf", false, false},
		{"7FE00010", "application/pdf", "", "1.2.840.10008.5.1.4.1.1.104.1", true, "", false, false},
	} {
		got, multipart, asStored, ok := dicomweb.Form(row.resource, row.accept, row.query, row.stored, row.single)
		if !ok {
			got, multipart, asStored = "", false, false
		}
		if got != row.want || multipart != row.multipart || asStored != row.asStored {
			t.Errorf("%s stored as %q, Accept %q, query %q, single %v:\n got %q multipart=%v asStored=%v\nwant %q multipart=%v asStored=%v",
				row.resource, row.stored, row.accept, row.query, row.single, got, multipart, asStored, row.want, row.multipart, row.asStored)
		}
	}
}

func TestJSONIsNeverMultipart(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                  "application/dicom+json",
		"*/*":                               "application/dicom+json",
		"application/dicom+json":            "application/dicom+json",
		"application/json":                  "application/json",
		"text/html, application/json;q=0.1": "application/json",
		"application/json;q=0.1, */*":       "application/dicom+json",
		`multipart/related; type="application/dicom+xml"`:  "",
		`multipart/related; type="application/dicom+json"`: "",
		"application/dicom+json;q=0":                       "",
	} {
		if got := dicomweb.JSONType(accept); got != want {
			t.Errorf("JSON for Accept %q = %q; want %q", accept, got, want)
		}
	}
}

func TestBulkDataURIsBecomeAbsolute(t *testing.T) {
	got, err := dicomweb.Absolute([]byte(`{ "00080005": {"vr":"CS","Value":["\"BulkDataURI\":\"bulk/no"]},
		"00091010": {"vr":"SQ","Value":[{"00091011":{"vr":"OB","BulkDataURI": "bulk/00091011"}}]},
		"7FE00010": {"vr":"OW","BulkDataURI":"bulk/7FE00010"}}`), "http://h/studies/1/series/2/instances/3")
	want := `{"00080005":{"vr":"CS","Value":["\"BulkDataURI\":\"bulk/no"]},` +
		`"00091010":{"vr":"SQ","Value":[{"00091011":{"vr":"OB","BulkDataURI":"http://h/studies/1/series/2/instances/3/bulkdata/00091011"}}]},` +
		`"7FE00010":{"vr":"OW","BulkDataURI":"http://h/studies/1/series/2/instances/3/bulkdata/7FE00010"}}`
	if err != nil || string(got) != want {
		t.Errorf("Absolute = %s, %v; want %s", got, err, want)
	}
}
