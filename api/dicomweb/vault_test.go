package dicomweb_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/dicomweb"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// house is a whole vault behind this face; the header As says who asks.
type house struct {
	t   *testing.T
	dir string
	url string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	v := vaulttest.New(t, vaulttest.Options{AutoCare: vaulttest.Actor(record.RoleClinician).ID})
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	group := engine.Group("/dicomweb", func(c *gin.Context) {
		answer.SetActor(c, vaulttest.Actor(record.Role(c.GetHeader("As"))))
	})
	dicomweb.Register(group, dicomweb.Config{Vault: v.Vault, BaseURL: server.URL + "/dicomweb"})
	return &house{t: t, dir: v.Dir, url: server.URL + "/dicomweb"}
}

// reply is a finished answer; err is how reading its body ended.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (h *house) do(role record.Role, method, target string, header map[string]string, body io.Reader) reply {
	h.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = h.url + target
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, target, body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("As", string(role))
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, got, err}
}

func (h *house) get(role record.Role, target, accept string) reply {
	h.t.Helper()
	header := map[string]string{}
	if accept != "" {
		header["Accept"] = accept
	}
	return h.do(role, "GET", target, header, nil)
}

func body(instances ...[]byte) []byte {
	var b bytes.Buffer
	for _, i := range instances {
		b.WriteString("--b\r\nContent-Type: application/dicom\r\n\r\n")
		b.Write(i)
		b.WriteString("\r\n")
	}
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

func (h *house) store(path string, body []byte) reply {
	h.t.Helper()
	return h.do(record.RoleRadiology, "POST", path, map[string]string{"Content-Type": related}, bytes.NewReader(body))
}

// stored stores instances that must all be taken.
func (h *house) stored(instances ...[]byte) reply {
	h.t.Helper()
	r := h.store("/studies", body(instances...))
	if r.status != http.StatusOK {
		h.t.Fatalf("store = %d %s; want 200", r.status, r.body)
	}
	return r
}

type bodyPart struct {
	header map[string][]string
	body   []byte
}

func (h *house) parts(r reply) (parts []bodyPart) {
	h.t.Helper()
	kind, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || kind != "multipart/related" || r.err != nil {
		h.t.Fatalf("%d %q, read %v, %v; want multipart/related", r.status, r.header.Get("Content-Type"), r.err, err)
	}
	reader := multipart.NewReader(bytes.NewReader(r.body), params["boundary"])
	for {
		p, err := reader.NextRawPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			h.t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			h.t.Fatal(err)
		}
		parts = append(parts, bodyPart{p.Header, b})
	}
}

func (h *house) dataset(r reply) map[string]element {
	h.t.Helper()
	var d map[string]element
	if err := json.Unmarshal(r.body, &d); err != nil {
		h.t.Fatalf("%v in %d %s", err, r.status, r.body)
	}
	return d
}

func (h *house) datasets(r reply) []map[string]element {
	h.t.Helper()
	var all []map[string]element
	if err := json.Unmarshal(r.body, &all); err != nil {
		h.t.Fatalf("%v in %d %.300s", err, r.status, r.body)
	}
	return all
}

func first(t *testing.T, e element) (s string) {
	t.Helper()
	if len(e.Value) == 0 {
		t.Fatalf("an attribute of VR %s without value", e.VR)
	}
	if err := json.Unmarshal(e.Value[0], &s); err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	asStored = `multipart/related; type="application/dicom"; transfer-syntax=*`
	small    = 64
)

func ct(p imagingtest.Patient, o imagingtest.Options) []byte {
	if o.Rows == 0 {
		o.Rows, o.Columns = small, small
	}
	return imagingtest.CT(p, o)
}

func address(p imagingtest.Patient, o imagingtest.Options) string {
	return "/studies/" + p.StudyUID(o) + "/series/" + p.SeriesUID(o) + "/instances/" + p.InstanceUID(o)
}

func TestAStudyComesBackByteForByte(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(1)
	var originals [][]byte
	for i, syntax := range []string{explicit, implicit, bigEndian, imagingtest.Deflated, jpeg, imagingtest.Unknown} {
		originals = append(originals, ct(p, imagingtest.Options{Study: 1, Series: 1, Instance: i, TransferSyntax: syntax}))
	}
	answered := h.dataset(h.stored(originals...))
	if got := len(answered["00081199"].Value); got != len(originals) || len(answered["00081198"].Value) != 0 {
		t.Fatalf("stored %d of %d: %v", got, len(originals), answered)
	}

	// The address in the answer leads to the study.
	parts := h.parts(h.get(record.RoleClinician, first(t, answered["00081190"]), asStored))
	if len(parts) != len(originals) {
		t.Fatalf("retrieved %d parts; want %d", len(parts), len(originals))
	}
	for _, part := range parts {
		if !slices.ContainsFunc(originals, func(o []byte) bool { return bytes.Equal(o, part.body) }) {
			t.Errorf("a part of %d bytes, %v, is none of the originals", len(part.body), part.header)
		}
	}
	// And the address of each part to that instance alone.
	for _, part := range parts {
		one := h.get(record.RoleClinician, part.header["Content-Location"][0], "application/dicom; transfer-syntax=*")
		if one.status != 200 || !bytes.Equal(one.body, part.body) || one.header.Get("Content-Type") != part.header["Content-Type"][0] {
			t.Errorf("%s = %d %s, %d bytes; want the part as it was", part.header["Content-Location"], one.status, one.header.Get("Content-Type"), len(one.body))
		}
	}

	// Without a transfer syntax all that needs no decoder comes in Explicit VR Little
	// Endian, and the status says that it is not everything.
	r := h.get(record.RoleClinician, "/studies/"+p.StudyUID(imagingtest.Options{Study: 1}), "")
	parts = h.parts(r)
	if r.status != http.StatusPartialContent || len(parts) != 4 {
		t.Fatalf("by default %d with %d parts; want 206 with the 4 that are not compressed", r.status, len(parts))
	}
	for _, part := range parts {
		if got := part.header["Content-Type"][0]; got != "application/dicom; transfer-syntax="+explicit {
			t.Errorf("by default a part is %s; want explicit little endian", got)
		}
		if !bytes.Contains(part.body[:400], []byte(explicit+"\x00")) {
			t.Error("the file meta information of a converted part names another transfer syntax")
		}
	}
	if r := h.get(record.RoleClinician, address(p, imagingtest.Options{Study: 1, Series: 1, Instance: 4}), ""); r.status != http.StatusNotAcceptable {
		t.Errorf("a compressed instance by default = %d; want 406", r.status)
	}
}

func TestParentsMustMatch(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(2)
	a, b := imagingtest.Options{Study: 1, Series: 1, Instance: 1}, imagingtest.Options{Study: 2, Series: 2, Instance: 2}
	h.stored(ct(p, a), ct(p, b))
	for _, target := range []string{
		"/studies/" + p.StudyUID(a) + "/series/" + p.SeriesUID(b),
		"/studies/" + p.StudyUID(b) + "/series/" + p.SeriesUID(a) + "/instances/" + p.InstanceUID(a),
		"/studies/" + p.StudyUID(a) + "/series/" + p.SeriesUID(a) + "/instances/" + p.InstanceUID(b),
		"/studies/" + p.StudyUID(a) + "/series/" + p.SeriesUID(a) + "/instances/" + p.InstanceUID(b) + "/metadata",
		"/studies/" + p.StudyUID(a) + "/series/" + p.SeriesUID(a) + "/instances/" + p.InstanceUID(b) + "/frames/1",
		"/studies/2.999.1.2.3",
	} {
		if r := h.get(record.RoleClinician, target, ""); r.status != http.StatusNotFound {
			t.Errorf("GET %s = %d; want 404", target, r.status)
		}
	}
}

func TestWhoMaySeeWhat(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(3)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1}
	h.stored(ct(p, o))
	study := "/studies/" + p.StudyUID(o)
	for _, role := range []record.Role{record.RoleOperator, record.RoleResearcher, record.RoleAuditor} {
		for _, path := range []string{"", "/metadata"} {
			if r := h.get(role, study+path, ""); r.status != http.StatusNotFound && r.status != http.StatusForbidden {
				t.Errorf("%s reads %s: %d; want a refusal", role, path, r.status)
			}
		}
	}
	if r := h.get(record.RoleAuditor, study, ""); bytes.Contains(r.body, []byte(p.ID)) {
		t.Errorf("a refusal names the patient: %s", r.body)
	}
	if r := h.do(record.RoleAuditor, "POST", "/studies", map[string]string{"Content-Type": related}, bytes.NewReader(body(ct(p, imagingtest.Options{Instance: 9})))); r.status != http.StatusForbidden {
		t.Errorf("an auditor stores: %d %s; want 403", r.status, r.body)
	}

	// Quality finds the study under its own names and nothing in it names the patient.
	found := h.datasets(h.get(record.RoleQuality, "/studies", ""))
	if len(found) != 1 {
		t.Fatalf("quality finds %d studies; want 1", len(found))
	}
	url := first(t, found[0]["00081190"])
	var all []byte
	for _, r := range []reply{h.get(record.RoleQuality, "/studies", ""), h.get(record.RoleQuality, url, asStored), h.get(record.RoleQuality, url, ""), h.get(record.RoleQuality, url+"/metadata", "")} {
		if r.status != 200 {
			t.Errorf("quality: %d %.200s; want 200", r.status, r.body)
		}
		all = append(all, r.body...)
	}
	if leaks := imagingtest.Leaks(all, p.Identifiers()); len(leaks) > 0 {
		t.Errorf("the de-identified view holds %d of the patient's identifiers", len(leaks))
	}
}

// A held instance among others leaves the rest, and the status says so; alone it is
// refused with its reason.
func TestWhatIsHeldIsLeftOut(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(10)
	h.stored(ct(p, imagingtest.Options{Study: 1, Series: 1, Instance: 1}), ct(p, imagingtest.Options{Study: 1, Series: 2, Instance: 2, Modality: "US"}))
	study := first(t, h.datasets(h.get(record.RoleQuality, "/studies", ""))[0]["0020000D"])

	r := h.get(record.RoleQuality, "/studies/"+study, asStored)
	if parts := h.parts(r); r.status != http.StatusPartialContent || len(parts) != 1 {
		t.Errorf("a study with a held instance = %d with %d parts; want 206 with the other one", r.status, len(parts))
	}
	r = h.get(record.RoleQuality, "/studies/"+study+"/metadata", "")
	if all := h.datasets(r); r.status != http.StatusPartialContent || len(all) != 1 {
		t.Errorf("its metadata = %d with %d datasets; want 206 with 1", r.status, len(all))
	}
	if r := h.get(record.RoleClinician, "/studies/"+p.StudyUID(imagingtest.Options{Study: 1}), asStored); r.status != 200 || len(h.parts(r)) != 2 {
		t.Errorf("for a clinician the study = %d; want 200 with both", r.status)
	}

	alone := imagingtest.NewPatient(11)
	h.stored(ct(alone, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Modality: "US"}))
	if all := h.datasets(h.get(record.RoleQuality, "/studies", "")); len(all) != 1 {
		t.Errorf("quality finds %d studies; want only the one that is released in part", len(all))
	}
}

func TestFrames(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(4)
	native := imagingtest.Options{Study: 1, Series: 1, Instance: 1, Frames: 3, Rows: small, Columns: small}
	packed := imagingtest.Options{Study: 1, Series: 1, Instance: 2, Frames: 3, Rows: small, Columns: small, TransferSyntax: jpeg, Fragments: 2, FragmentBytes: 600, OffsetTable: true}
	whole := imagingtest.CT(p, native)
	h.stored(whole, imagingtest.CT(p, packed))
	const frame = small * small * 2

	r := h.get(record.RoleClinician, address(p, native)+"/frames/3,1", "")
	parts := h.parts(r)
	if len(parts) != 2 || len(parts[0].body) != frame || len(parts[1].body) != frame {
		t.Fatalf("frames/3,1 = %d parts; want 2 of %d bytes", len(parts), frame)
	}
	if want := whole[len(whole)-frame:]; !bytes.Equal(parts[0].body, want) {
		t.Error("the first part of frames/3,1 is not the last frame")
	}
	if bytes.Equal(parts[0].body, parts[1].body) {
		t.Error("frames 3 and 1 are the same bytes")
	}
	if got := parts[0].header["Content-Type"][0]; got != "application/octet-stream; transfer-syntax="+explicit {
		t.Errorf("a frame is %s; want octets", got)
	}
	for _, accept := range []string{
		`multipart/related; type="application/octet-stream"`, `multipart/related; type="application/octet-stream"; transfer-syntax="*"`,
		`multipart/related; type="*/*"`, `multipart/related; type=application/octet-stream`, "application/octet-stream",
	} {
		for _, target := range []string{address(p, native), address(p, packed)} {
			r := h.get(record.RoleClinician, target+"/frames/2", accept)
			compressedPlain := target == address(p, packed) && !strings.Contains(accept, "*")
			if want := map[bool]int{false: 200, true: 406}[compressedPlain]; r.status != want || r.err != nil {
				t.Errorf("frame 2 as %s = %d, %v; want %d", accept, r.status, r.err, want)
			}
		}
	}
	parts = h.parts(h.get(record.RoleClinician, address(p, packed)+"/frames/2", `multipart/related; type="image/jpeg"`))
	if len(parts) != 1 || parts[0].header["Content-Type"][0] != "image/jpeg; transfer-syntax="+jpeg || len(parts[0].body) != 600 {
		t.Errorf("a compressed frame: %d parts; want one of 600 bytes as image/jpeg", len(parts))
	}
	for list, want := range map[string]int{"4": 404, "1,4": 404, "0": 400, "x": 400} {
		if r := h.get(record.RoleClinician, address(p, native)+"/frames/"+list, ""); r.status != want {
			t.Errorf("frames/%s = %d; want %d", list, r.status, want)
		}
	}
}

func TestMetadata(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(5)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: small, Columns: small}
	whole := imagingtest.CT(p, o)
	h.stored(whole, ct(p, imagingtest.Options{Study: 1, Series: 1, Instance: 2}))
	study := "/studies/" + p.StudyUID(o)

	r := h.get(record.RoleClinician, study+"/metadata", "")
	if r.status != 200 || r.header.Get("Content-Type") != "application/dicom+json" || len(h.datasets(r)) != 2 {
		t.Fatalf("metadata = %d %s %.200s; want an array of 2", r.status, r.header.Get("Content-Type"), r.body)
	}
	one := h.get(record.RoleClinician, address(p, o)+"/metadata", "application/json")
	var attributes []map[string]struct{ BulkDataURI string }
	if err := json.Unmarshal(one.body, &attributes); err != nil || len(attributes) != 1 {
		t.Fatalf("metadata of an instance: %v in %.200s", err, one.body)
	}
	for tag := range attributes[0] {
		if strings.HasPrefix(tag, "0002") || strings.HasSuffix(tag, "0000") {
			t.Errorf("metadata hold %s; want no file meta and no group lengths", tag)
		}
	}
	uri := attributes[0]["7FE00010"].BulkDataURI
	bulk := h.parts(h.get(record.RoleClinician, uri, ""))
	if len(bulk) != 1 || bulk[0].header["Content-Location"][0] != uri || !bytes.HasSuffix(whole, bulk[0].body) || len(bulk[0].body) != small*small*2 {
		t.Errorf("bulk data at %s: %d parts; want the pixels under that address", uri, len(bulk))
	}
	if r := h.get(record.RoleClinician, strings.TrimSuffix(uri, "7FE00010")+"7FE00008", ""); r.status != 404 {
		t.Errorf("bulk data of an absent element = %d; want 404", r.status)
	}

	tag := r.header.Get("ETag")
	again := h.do(record.RoleClinician, "GET", study+"/metadata", map[string]string{"If-None-Match": tag}, nil)
	if tag == "" || again.status != http.StatusNotModified || len(again.body) != 0 {
		t.Errorf("metadata again with ETag %q = %d; want 304", tag, again.status)
	}
	if r := h.do(record.RoleClinician, "GET", address(p, o)+"/metadata", map[string]string{"If-None-Match": tag}, nil); r.status != 200 {
		t.Errorf("other metadata with that ETag = %d; want 200", r.status)
	}
	if r := h.do(record.RoleOperator, "GET", study+"/metadata", map[string]string{"If-None-Match": tag}, nil); r.status == http.StatusNotModified {
		t.Error("an ETag tells an operator that it holds; want a refusal")
	}
}

func TestSearches(t *testing.T) {
	h := newHouse(t)
	p, other := imagingtest.NewPatient(6), imagingtest.NewPatient(7)
	a, b := imagingtest.Options{Study: 1, Series: 1, Instance: 1}, imagingtest.Options{Study: 2, Series: 2, Instance: 2}
	h.stored(ct(p, a), ct(p, b), ct(p, imagingtest.Options{Study: 1, Series: 1, Instance: 3}), ct(other, a))

	for _, row := range []struct {
		target string
		status int
		count  int
	}{
		{"/studies", 200, 3},
		{"/studies?PatientID=" + p.ID, 200, 2},
		{"/studies?00100020=" + p.ID, 200, 2},
		{"/studies?PatientID=nobody", 204, 0},
		{"/studies?StudyInstanceUID=" + p.StudyUID(a) + "," + other.StudyUID(a), 200, 2},
		{"/studies?ModalitiesInStudy=CT&PatientID=" + p.ID, 200, 2},
		{"/studies?PatientID=" + p.ID + "&limit=1", 200, 1},
		{"/studies?PatientID=" + p.ID + "&limit=0", 204, 0},
		{"/studies?PatientID=" + p.ID + "&limit=1&offset=2", 204, 0},
		{"/studies/" + p.StudyUID(a) + "/series", 200, 1},
		{"/studies/" + p.StudyUID(a) + "/instances", 200, 2},
		{"/studies/" + p.StudyUID(a) + "/series/" + p.SeriesUID(a) + "/instances", 200, 2},
		{"/studies/" + p.StudyUID(a) + "/series/" + p.SeriesUID(b) + "/instances", 204, 0},
		{"/series?Modality=CT", 200, 3},
		{"/instances?SOPInstanceUID=" + p.InstanceUID(b), 200, 1},
		{"/studies?PatientWeight=70", 400, 0},
		{"/studies?StudyDate=yesterday", 400, 0},
	} {
		r := h.get(record.RoleClinician, row.target, "")
		if r.status != row.status {
			t.Errorf("GET %s = %d %.200s; want %d", row.target, r.status, r.body, row.status)
			continue
		}
		if r.status == 200 {
			if got := len(h.datasets(r)); got != row.count {
				t.Errorf("GET %s finds %d; want %d", row.target, got, row.count)
			}
		}
	}

	r := h.get(record.RoleClinician, "/studies?PatientID="+p.ID+"&limit=1&fuzzymatching=true", "")
	warnings := strings.Join(r.header.Values("Warning"), "\n")
	if !strings.Contains(warnings, "299 "+h.url+": The fuzzymatching parameter is not supported.") || !strings.Contains(warnings, "There are 1 additional results") {
		t.Errorf("warnings %q; want one of fuzzy matching and one of more results", warnings)
	}
	found := h.datasets(h.get(record.RoleClinician, "/studies?StudyInstanceUID="+p.StudyUID(a), ""))[0]
	if first(t, found["00100020"]) != p.ID || string(found["00201208"].Value[0]) != "2" || first(t, found["00080061"]) != "CT" {
		t.Errorf("study = %v; want its patient, its count and its modality", found)
	}
	if r := h.get(record.RoleClinician, first(t, found["00081190"]), asStored); r.status != 200 {
		t.Errorf("the RetrieveURL of a result = %d; want 200", r.status)
	}
}

func TestStoreTellsEachInstanceApart(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(8)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1}
	good := ct(p, o)
	changed := o
	changed.Padding = 100
	garbage := bytes.Repeat([]byte("no picture "), 50)

	mixed := h.store("/studies", body(garbage, good, garbage))
	d := h.dataset(mixed)
	if mixed.status != http.StatusAccepted || len(d["00081199"].Value) != 1 || len(d["0008119A"].Value) != 2 {
		t.Errorf("garbage around a good one = %d %s; want 202 naming all three", mixed.status, mixed.body)
	}
	if token := mixed.header.Get("Medvault-Patient"); len(token) != 27 || !bytes.Contains(mixed.body, []byte(token)) {
		t.Errorf("Medvault-Patient = %q; want the patient's token, as in the answer", token)
	}

	again := h.store("/studies", body(good))
	if again.status != 200 || !bytes.Contains(again.body, []byte(`"00091004":{"vr":"CS","Value":["YES"]}`)) {
		t.Errorf("the same bytes again = %d %s; want 200 and present", again.status, again.body)
	}
	for _, row := range []struct {
		name, path string
		body       []byte
		status     int
		reason     int
	}{
		{"other bytes under the same UID", "/studies", body(ct(p, changed)), 409, 45070},
		{"into another study", "/studies/2.999.5", body(ct(p, imagingtest.Options{Study: 5})), 409, 43265},
		{"garbage only", "/studies", body(garbage), 409, 49152},
		{"nothing", "/studies", []byte("--b--\r\n"), 400, 0},
		{"nothing, without a line break", "/studies", []byte("--b--"), 400, 0},
		{"cut in the second", "/studies", body(good, ct(p, imagingtest.Options{Study: 1, Series: 1, Instance: 7}))[:len(good)+2000], 400, 49152},
		{"cut in the headers of the second", "/studies", append(bytes.TrimSuffix(body(good), []byte("--b--\r\n")), "--b\r\nContent-"...), 400, 49152},
	} {
		r := h.store(row.path, row.body)
		if r.status != row.status {
			t.Errorf("%s = %d %s; want %d", row.name, r.status, r.body, row.status)
			continue
		}
		if row.reason != 0 {
			if got := lastReason(t, r.body); got != row.reason {
				t.Errorf("%s: reason %d; want %d", row.name, got, row.reason)
			}
		}
		if strings.HasPrefix(row.name, "cut") && len(h.dataset(r)["00081199"].Value) != 1 {
			t.Errorf("%s: %s; want the first instance named as stored", row.name, r.body)
		}
	}
	if r := h.get(record.RoleClinician, address(p, imagingtest.Options{Study: 1, Series: 1, Instance: 7}), asStored); r.status != 404 {
		t.Errorf("the instance that was cut = %d; want 404", r.status)
	}
	if r := h.get(record.RoleClinician, address(p, o), "application/dicom; transfer-syntax=*"); !bytes.Equal(r.body, good) {
		t.Error("after the conflict the stored instance is another; want the first")
	}

	single := ct(p, imagingtest.Options{Study: 1, Series: 1, Instance: 8})
	if r := h.do(record.RoleRadiology, "POST", "/studies/"+p.StudyUID(o), map[string]string{"Content-Type": "application/dicom"}, struct{ io.Reader }{bytes.NewReader(single)}); r.status != 200 {
		t.Errorf("one instance as application/dicom, chunked = %d %s; want 200", r.status, r.body)
	}
}

// What is found damaged after the first byte has gone out must not look whole.
func TestDamageBreaksTheConnection(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(9)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1} // 0.5 MB
	h.stored(imagingtest.CT(p, o))
	damaged := 0
	err := filepath.WalkDir(filepath.Join(h.dir, "regions"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "objects") {
			return err
		}
		sealed, err := os.ReadFile(path)
		if err != nil || len(sealed) < 400_000 {
			return err
		}
		sealed[len(sealed)*6/10] ^= 1
		damaged++
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.WriteFile(path, sealed, 0o600)
	})
	if err != nil || damaged == 0 {
		t.Fatalf("damaged %d objects, %v", damaged, err)
	}
	for _, accept := range []string{asStored, "application/dicom; transfer-syntax=*", "application/dicom"} {
		if r := h.get(record.RoleClinician, address(p, o), accept); r.status == 200 && r.err == nil {
			t.Errorf("damaged in every region, as %s: 200 and a clean end; want a broken connection or an error", accept)
		}
	}
}

func TestWhoMayNotStoreIsNotRead(t *testing.T) {
	v := vaulttest.New(t, vaulttest.Options{})
	engine := gin.New()
	dicomweb.Register(engine.Group("/dicomweb", func(c *gin.Context) { answer.SetActor(c, vaulttest.Actor(record.RolePatient)) }),
		dicomweb.Config{Vault: v.Vault, BaseURL: "http://vault.example"})
	req := httptest.NewRequest("POST", "/dicomweb/studies", endless{t})
	req.Header.Set("Content-Type", related)
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, req)
	if w.Code != http.StatusForbidden {
		t.Errorf("a patient stores = %d %s; want 403", w.Code, w.Body)
	}
}

// endless is a body that nobody may read.
type endless struct{ t *testing.T }

func (e endless) Read([]byte) (int, error) {
	e.t.Error("the body was read before it was asked who may store")
	return 0, io.EOF
}

func TestHeadSaysWhatGetWould(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(21)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1}
	h.stored(ct(p, o))
	study := "/studies/" + p.StudyUID(o)
	for _, row := range []struct{ target, accept string }{
		{study, asStored}, {study, ""}, {address(p, o), "application/dicom; transfer-syntax=*"}, {address(p, o), "application/dicom"},
		{study + "/metadata", ""}, {address(p, o) + "/frames/1", `multipart/related; type="application/octet-stream"`},
		{address(p, o) + "/frames/2", `multipart/related; type="application/octet-stream"`}, {address(p, o) + "/bulkdata/7FE00010", ""},
		{"/studies", ""}, {"/instances?limit=1", ""}, {"/studies/1.2.3", ""}, {study, "text/html"}, {"/studies?Nonsense=1", ""},
	} {
		header := map[string]string{}
		if row.accept != "" {
			header["Accept"] = row.accept
		}
		get := h.do(record.RoleClinician, "GET", row.target, header, nil)
		head := h.do(record.RoleClinician, "HEAD", row.target, header, nil)
		if head.status != get.status || len(head.body) != 0 || head.err != nil {
			t.Errorf("HEAD %s as %s = %d with %d bytes, %v; want %d and none", row.target, row.accept, head.status, len(head.body), head.err, get.status)
		}
		kind := func(r reply) string { k, _, _ := strings.Cut(r.header.Get("Content-Type"), "; boundary="); return k }
		if kind(head) != kind(get) || head.header.Get("ETag") != get.header.Get("ETag") || head.header.Get("Content-Location") != get.header.Get("Content-Location") {
			t.Errorf("HEAD %s as %s says %v; GET %v", row.target, row.accept, head.header, get.header)
		}
		if said := head.header.Get("Content-Length"); said != "" && said != strconv.Itoa(len(get.body)) {
			t.Errorf("HEAD %s as %s says %s bytes; GET sends %d", row.target, row.accept, said, len(get.body))
		}
	}
}

func TestANameOfNothingFindsNobody(t *testing.T) {
	h := newHouse(t)
	h.stored(ct(imagingtest.NewPatient(22), imagingtest.Options{Study: 1}))
	for query, status := range map[string]int{
		"PatientName=": 200, "PatientName=*": 200, "PatientName=*%5E*": 200,
		"PatientName=%20": 400, "PatientName=%5E": 400, "PatientName=%3D": 400, "PatientName=%00": 400, "PatientName=%20*": 400, "PatientName=-": 400,
	} {
		if r := h.get(record.RoleClinician, "/studies?"+query, ""); r.status != status {
			t.Errorf("%s = %d %s; want %d", query, r.status, r.body, status)
		}
	}
}

func TestAWildcardTellsWhomItCannotFind(t *testing.T) {
	h := newHouse(t)
	h.stored(ct(imagingtest.NewPatient(23), imagingtest.Options{Study: 1}))
	for query, warned := range map[string]bool{"PatientName=ZH*": true, "PatientName=*": false, "PatientName=ZHANG": false, "PatientID=*": false} {
		r := h.get(record.RoleClinician, "/studies?"+query, "")
		if got := strings.Contains(strings.Join(r.header.Values("Warning"), " "), "Chinese characters"); got != warned {
			t.Errorf("%s = %d with Warning %q; want one about names in Chinese characters: %v", query, r.status, r.header.Values("Warning"), warned)
		}
	}
}

func TestWhatIsAskedForBeyondTheUsualIsReturned(t *testing.T) {
	h := newHouse(t)
	p := imagingtest.NewPatient(24)
	o := imagingtest.Options{Study: 1, Series: 1, Instance: 1}
	h.stored(ct(p, o))
	target := "/studies/" + p.StudyUID(o) + "/series/" + p.SeriesUID(o) + "/instances"
	usual := h.datasets(h.get(record.RoleClinician, target, ""))[0]
	all := h.datasets(h.get(record.RoleClinician, target+"?includefield=all", ""))[0]
	if len(all) <= len(usual) {
		t.Fatalf("includefield=all returns %d attributes; want more than the usual %d", len(all), len(usual))
	}
	for tag := range all {
		if _, known := usual[tag]; known {
			continue
		}
		one := h.datasets(h.get(record.RoleClinician, target+"?includefield="+tag, ""))[0]
		if _, ok := one[tag]; !ok || len(one) != len(usual)+1 {
			t.Errorf("includefield=%s returns %d attributes, it among them: %v; want the usual %d and it", tag, len(one), ok, len(usual))
		}
	}
}

func TestTheETagTellsWhatIsWithheld(t *testing.T) {
	o := vault.Opened{Documents: []*vault.Handle{{ID: "0123", View: record.ViewOriginal}}}
	whole := dicomweb.ETag(&o, "application/dicom+json")
	o.Withheld = 1
	if part := dicomweb.ETag(&o, "application/dicom+json"); part == whole {
		t.Error("metadata with a document withheld has the ETag of the whole: a client would keep the part for it")
	}
}
