package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/api/client"
	"medvault/api/transport"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
)

// patientStory is what one patient's documents are and what became of them.
type patientStory struct {
	imagingtest.Patient
	token   record.PatientToken
	study   string // the sender's own UID
	slices  [][]byte
	report  []byte
	pdf     record.ObjectID
	objects int // sealed so far: documents and care relationships
}

// store uploads a study of three slices and a report through g.
func (g *gatewayProcess) store(t *testing.T, seed uint64) *patientStory {
	t.Helper()
	p := &patientStory{Patient: imagingtest.NewPatient(seed)}
	p.report = imagingtest.Report(p.Patient)
	radiology := g.as(record.RoleRadiology)
	for i := range 3 {
		o := imagingtest.Options{Study: 1, Instance: i + 1, Rows: 128, Columns: 128}
		p.study = p.StudyUID(o)
		slice := imagingtest.CT(p.Patient, o)
		p.slices = append(p.slices, slice)
		got, err := radiology.StoreDICOM(t.Context(), bytes.NewReader(slice))
		if err != nil || got.Present {
			t.Fatalf("StoreDICOM = %+v, %v; want stored", got, err)
		}
		p.token = got.Patient
	}
	got, err := radiology.StorePDF(t.Context(), bytes.NewReader(p.report), client.PDF{PatientID: p.ID, Issuer: p.Issuer})
	if err != nil || got.Patient != p.token {
		t.Fatalf("StorePDF = %+v, %v; want stored for %s", got, err, p.token)
	}
	p.pdf, p.objects = got.ID, len(p.slices)+1
	return p
}

// treat makes the clinician treat the patient.
func (g *gatewayProcess) treat(t *testing.T, p *patientStory) {
	t.Helper()
	if _, err := g.as(record.RoleDPO).AddCare(t.Context(), p.token, person(record.RoleClinician), time.Time{}); err != nil {
		t.Fatalf("AddCare by the dpo = %v", err)
	}
	p.objects++
}

// readsBack wants the clinician to get every document byte for byte through g.
func (g *gatewayProcess) readsBack(t *testing.T, p *patientStory) {
	t.Helper()
	clinician := g.as(record.RoleClinician)
	var got [][]byte
	partial, err := clinician.Study(t.Context(), vault.Ref{Study: p.study}, func(_ client.Instance, r io.Reader) error {
		b, err := io.ReadAll(r)
		got = append(got, b)
		return err
	})
	if err != nil || partial || len(got) != len(p.slices) {
		t.Fatalf("Study by the clinician = %d documents, partial %v, %v; want %d", len(got), partial, err, len(p.slices))
	}
	for _, b := range got {
		if !slices.ContainsFunc(p.slices, func(s []byte) bool { return bytes.Equal(s, b) }) {
			t.Errorf("the clinician got %d bytes that were not uploaded", len(b))
		}
	}
	var back bytes.Buffer
	if _, err := clinician.Document(t.Context(), p.pdf, &back); err != nil || !bytes.Equal(back.Bytes(), p.report) {
		t.Errorf("Document by the clinician = %d bytes, %v; want the %d uploaded", back.Len(), err, len(p.report))
	}
}

// refused wants an answer with this status.
func refused(t *testing.T, what string, err error, status int) {
	t.Helper()
	var answer *client.Error
	if !errors.As(err, &answer) || answer.Status != status {
		t.Errorf("%s = %v; want %d", what, err, status)
	}
}

// clean wants the operator to find every region whole, and the auditor the log.
func (g *gatewayProcess) clean(t *testing.T) vault.Report {
	t.Helper()
	report, err := g.as(record.RoleOperator).Verify(t.Context(), vault.VerifyOptions{Level: "read"}, nil)
	if err != nil || len(report.Findings) > 0 || report.Checked == 0 {
		t.Errorf("Verify = %+v, %v; want objects checked and no finding", report, err)
	}
	if audit, err := g.as(record.RoleAuditor).AuditVerify(t.Context()); err != nil || !audit.Intact || audit.Size == 0 {
		t.Errorf("AuditVerify = %+v, %v; want an intact log", audit, err)
	}
	return report
}

// pending are the copies that a region still waits for.
func (g *gatewayProcess) pending(t *testing.T, region string) int64 {
	t.Helper()
	regions, err := g.as(record.RoleOperator).Regions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range regions {
		if r.Name == region {
			return r.Pending
		}
	}
	t.Fatalf("no region %s in %+v", region, regions)
	return 0
}

// wrapsOfOne are the wraps of a vault with one patient: two of the patient's keys and
// four of the house.
const wrapsOfOne = 6

// TestServe is the life of a deployment: two gateways on one PostgreSQL, a key
// service for each region, three regions at home and one abroad, an OpenID issuer,
// TLS on every link.
func TestServe(t *testing.T) {
	d := newDeployment(t, transport.AES256, false)
	a, b := d.serve("a"), d.serve("b")
	var p *patientStory
	step := func(name string, test func(*testing.T)) {
		if !t.Run(name, test) {
			t.FailNow() // the next steps stand on it
		}
	}

	step("stored through one gateway, read through the other", func(t *testing.T) {
		p = a.store(t, 1)
		_, err := b.as(record.RoleClinician).Study(t.Context(), vault.Ref{Study: p.study}, nil)
		refused(t, "Study by a clinician who does not treat the patient", err, http.StatusNotFound)
		b.treat(t, p)
		b.readsBack(t, p)
		a.readsBack(t, p)
		again, err := b.as(record.RoleRadiology).StoreDICOM(t.Context(), bytes.NewReader(p.slices[0]))
		if err != nil || !again.Present {
			t.Errorf("the same slice through the other gateway = %+v, %v; want present", again, err)
		}
	})
	step("quality sees no identity", func(t *testing.T) { seesNoIdentity(t, b, p) })
	step("others see nothing", func(t *testing.T) {
		_, err := b.as(record.RoleResearcher).Study(t.Context(), vault.Ref{Study: p.study}, nil)
		refused(t, "Study by the researcher", err, http.StatusNotFound)
		_, err = b.as(record.RoleResearcher).Document(t.Context(), p.pdf, io.Discard)
		refused(t, "Document by the researcher", err, http.StatusNotFound)
		if _, err = b.as(record.RoleOperator).Document(t.Context(), p.pdf, io.Discard); err == nil {
			t.Error("the operator got a document")
		}
	})
	step("tokens", func(t *testing.T) {
		good := d.issuer.token(t, "someone", record.RoleOperator, time.Hour)
		if _, err := a.with(good).Regions(t.Context()); err != nil {
			t.Errorf("with a good token = %v", err)
		}
		head, signature, _ := strings.Cut(good, ".")
		body, signature, _ := strings.Cut(signature, ".")
		forged := d.issuer.token(t, "someone", record.RoleAdmin, time.Hour)
		_, forgedBody, _ := strings.Cut(forged, ".")
		forgedBody, _, _ = strings.Cut(forgedBody, ".")
		for name, token := range map[string]string{
			"expired": d.issuer.token(t, "someone", record.RoleOperator, -10*time.Minute), "none": "", "nonsense": "nonsense",
			"another body": head + "." + forgedBody + "." + signature, "no signature": head + "." + body + ".",
			"another issuer's": (&tokenIssuer{url: d.issuer.url, key: d.ca.key}).token(t, "someone", record.RoleOperator, time.Hour),
		} {
			_, err := a.with(token).Regions(t.Context())
			refused(t, "token "+name, err, http.StatusUnauthorized)
		}
	})
	step("every region at home holds everything, the one abroad nothing", func(t *testing.T) {
		until(t, "copies are made", func() bool {
			return a.pending(t, "cn-north")+a.pending(t, "cn-east")+a.pending(t, "cn-south") == 0
		})
		if report := b.clean(t); report.Checked != int64(3*(p.objects+staffRecords+wrapsOfOne)) {
			t.Errorf("verified %d; want %d objects and %d wraps in each of 3 regions", report.Checked, p.objects+staffRecords, wrapsOfOne)
		}
		var wraps []string
		for _, r := range d.regions {
			data, keys := r.holds(t, r.bucket), r.holds(t, r.keys)
			data = slices.DeleteFunc(data, func(o string) bool { return strings.HasPrefix(o, "log/") })
			if r.name == "sg-1" {
				if len(data)+len(keys) > 0 {
					t.Errorf("abroad lie %v, %v; want nothing", data, keys)
				}
				continue
			}
			if len(data) != p.objects+staffRecords || len(keys) != wrapsOfOne {
				t.Errorf("%s holds %d objects and %d wraps; want %d and %d", r.name, len(data), len(keys), p.objects+staffRecords, wrapsOfOne)
			}
			for _, k := range keys { // name, version, ETag: the hash of the wrap
				wraps = append(wraps, strings.Fields(k)[1])
			}
		}
		slices.Sort(wraps)
		if len(slices.Compact(slices.Clone(wraps))) != len(wraps) {
			t.Error("two regions hold the same wrap; want each its own, under its own key service")
		}
	})
	step("every link is AES-256", func(t *testing.T) { everyLinkIs(t, d, a, aes256Suites()) })
	step("metrics", func(t *testing.T) {
		text := a.metrics()
		for _, want := range []string{`medvault_region_up{region="cn-east"} 1`, `medvault_key_service_up{region="sg-1"} 1`,
			`medvault_region_pending_copies{region="cn-south"} 0`, fmt.Sprintf(`medvault_region_objects{region="cn-north"} %d`, p.objects+staffRecords),
			`medvault_region_objects{region="sg-1"} 0`} {
			if !strings.Contains(text, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
		if found := imagingtest.Leaks([]byte(text+a.log.String()+b.log.String()), p.Identifiers()); len(found) > 0 {
			t.Errorf("metrics or logs hold %d identifiers", len(found))
		}
	})
	step("one region down", func(t *testing.T) {
		d.links["cn-east"].cut()
		until(t, "readyz names the region", func() bool {
			status, missing := a.ready()
			if status != http.StatusOK {
				t.Fatalf("readyz = %d %v; want 200 with two of three regions", status, missing)
			}
			return len(missing) == 1 && strings.HasPrefix(missing[0], "cn-east: ")
		})
		q := a.store(t, 2)
		b.treat(t, q)
		b.readsBack(t, q)
		// The report waits twice once it is redacted: what it was goes when the region is back.
		if n := b.pending(t, "cn-east"); n != int64(q.objects) && n != int64(q.objects)+1 {
			t.Errorf("cn-east waits for %d copies; want %d, or one more", n, q.objects)
		}
		d.links["cn-east"].mend()
		until(t, "the region gets its copies", func() bool { return b.pending(t, "cn-east") == 0 })
		a.clean(t)
		if status, missing := waitReady(t, a); status != http.StatusOK || len(missing) > 0 {
			t.Errorf("readyz = %d %v; want 200 and nothing missing", status, missing)
		}
	})
	step("two regions down", func(t *testing.T) {
		d.links["cn-east"].cut()
		d.links["cn-south"].cut()
		until(t, "readyz says no", func() bool {
			status, missing := b.ready()
			return status == http.StatusServiceUnavailable && len(missing) == 2
		})
		slice := imagingtest.CT(p.Patient, imagingtest.Options{Study: 2, Rows: 64, Columns: 64})
		_, err := b.as(record.RoleRadiology).StoreDICOM(t.Context(), bytes.NewReader(slice))
		refused(t, "StoreDICOM", err, http.StatusServiceUnavailable)
		if header, _ := b.over.last(); header.Get("Retry-After") == "" {
			t.Error("the refusal of an instance has no Retry-After")
		}
		_, err = b.as(record.RoleRadiology).StorePDF(t.Context(), bytes.NewReader(p.report), client.PDF{PatientID: "other"})
		refused(t, "StorePDF", err, http.StatusServiceUnavailable)
		if header, _ := b.over.last(); header.Get("Retry-After") == "" {
			t.Error("the refusal of a report has no Retry-After")
		}
		b.readsBack(t, p) // one region is enough to read
		d.links["cn-east"].mend()
		d.links["cn-south"].mend()
		waitReady(t, b)
		if got, err := b.as(record.RoleRadiology).StoreDICOM(t.Context(), bytes.NewReader(slice)); err != nil || got.Present {
			t.Errorf("StoreDICOM once they are back = %+v, %v; want stored", got, err)
		}
	})
	step("a gateway ends when its upload is stored", func(t *testing.T) { endsGracefully(t, b, p) })
	step("a gateway starts while a region is down", func(t *testing.T) {
		d.links["cn-south"].cut()
		c := d.serve("c")
		until(t, "readyz names the region", func() bool {
			status, missing := c.ready()
			return status == http.StatusOK && len(missing) == 1 && strings.HasPrefix(missing[0], "cn-south: ")
		})
		if !strings.Contains(c.log.String(), "cn-south") {
			t.Error("the log does not name the region that is down")
		}
		c.readsBack(t, p)
		q := c.store(t, 3)
		d.links["cn-south"].mend()
		until(t, "the region gets its copies", func() bool { return c.pending(t, "cn-south") == 0 })
		c.treat(t, q)
		c.readsBack(t, q)
		c.clean(t)
	})
	step("a gateway starts while a region hangs", func(t *testing.T) {
		resume := d.links["cn-north"].hang()
		defer resume()
		began := time.Now()
		e := d.serve("e")
		t.Logf("started after %v", time.Since(began))
		until(t, "readyz names the region", func() bool {
			status, missing := e.ready()
			return status == http.StatusOK && len(missing) == 1 && strings.HasPrefix(missing[0], "cn-north: ")
		})
		began = time.Now()
		q := e.store(t, 4)
		t.Logf("stored after %v", time.Since(began))
		e.treat(t, q)
		e.readsBack(t, q)
		resume()
		until(t, "the region gets its copies", func() bool { return e.pending(t, "cn-north") == 0 })
		e.clean(t)
	})
	step("keys are rotated while a region is down", func(t *testing.T) {
		d.links["cn-east"].cut()
		path, _ := d.write("rotate", nil)
		var out, stderr bytes.Buffer
		if code := run(t.Context(), []string{"keys", "rotate", "--config", path, "--json"}, &out, &stderr); code != exitFindings {
			t.Fatalf("keys rotate: exit %d: %s; want 3, since a region is behind", code, &stderr)
		}
		var done rotatedKeys
		if err := json.Unmarshal(out.Bytes(), &done); err != nil {
			t.Fatal(err)
		}
		for _, r := range done.Rotations {
			if (len(r.Pending) > 0) != (r.Service == "cn-east") {
				t.Errorf("rotated %+v; want shards pending at cn-east alone", r)
			}
		}
		a.readsBack(t, p)
		d.links["cn-east"].mend()
		waitReady(t, a)
	})
	step("keys are rotated and nothing is rewritten", func(t *testing.T) { rotates(t, d, a, p) })
}

// waitReady waits until nothing is missing.
func waitReady(t *testing.T, g *gatewayProcess) (status int, missing []string) {
	t.Helper()
	until(t, "readyz", func() bool {
		status, missing = g.ready()
		return status == http.StatusOK && len(missing) == 0
	})
	return status, missing
}

func seesNoIdentity(t *testing.T, g *gatewayProcess, p *patientStory) {
	quality := g.as(record.RoleQuality)
	studies, err := quality.Studies(t.Context(), nil)
	if err != nil || len(studies) != 1 || studies[0].Instances != len(p.slices) || studies[0].PatientName != string(p.token) {
		t.Fatalf("Studies by quality = %+v, %v; want one, of the token", studies, err)
	}
	n := 0
	_, err = quality.Study(t.Context(), vault.Ref{Study: studies[0].Study}, func(i client.Instance, r io.Reader) error {
		got, err := io.ReadAll(r)
		if found := imagingtest.Leaks(got, p.Identifiers()); len(found) > 0 {
			t.Errorf("quality sees %d identifiers", len(found))
		}
		n++
		return err
	})
	if err != nil || n != len(p.slices) {
		t.Errorf("Study by quality = %d documents, %v; want %d", n, err, len(p.slices))
	}
	_, err = quality.Document(t.Context(), p.pdf, io.Discard)
	refused(t, "the report, which has no de-identified view, by quality", err, http.StatusForbidden)
}

func aes256Suites() []string {
	return []string{"TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}
}

// everyLinkIs wants nothing else to have been spoken on any link.
func everyLinkIs(t *testing.T, d *deployment, g *gatewayProcess, want []string) {
	t.Helper()
	for name, l := range d.links {
		got := l.heard()
		t.Logf("%s: %v", name, got)
		if !slices.Equal(got, want) {
			t.Errorf("%s was spoken to by %v; want %v", name, got, want)
		}
	}
	for _, got := range d.databaseTLS() {
		t.Logf("PostgreSQL: %s", got)
		version, cipher, _ := strings.Cut(want[0], " TLS_") // PostgreSQL has OpenSSL's names
		if !strings.HasPrefix(got, strings.Replace(version, "TLS ", "TLSv", 1)+" ") || strings.Contains(cipher, "AES_256") != strings.Contains(got, "AES256-GCM") {
			t.Errorf("PostgreSQL was spoken to by %s; want %v", got, want)
		}
	}
	if _, err := g.as(record.RoleOperator).Regions(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, state := g.over.last()
	got := tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	t.Logf("gateway: %s", got)
	if !slices.Contains(want, got) {
		t.Errorf("the gateway was spoken to by %s; want %v", got, want)
	}
}

// endsGracefully asks g to end while an upload is half sent.
func endsGracefully(t *testing.T, g *gatewayProcess, p *patientStory) {
	slice := imagingtest.CT(p.Patient, imagingtest.Options{Study: 3, Rows: 512, Columns: 512})
	body, send := io.Pipe()
	type answer struct {
		stored client.Stored
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		stored, err := g.as(record.RoleRadiology).StoreDICOM(context.Background(), body)
		answered <- answer{stored, err}
	}()
	if _, err := send.Write(slice[:len(slice)/2]); err != nil {
		t.Fatal(err)
	}
	until(t, "the gateway has the upload", func() bool { // and this question
		return strings.Contains(g.metrics(), "medvault_http_requests_in_flight 2\n")
	})
	ended := make(chan int, 1)
	go func() { ended <- g.stop() }()
	until(t, "the gateway takes nothing new", func() bool {
		resp, err := (&http.Client{Transport: transport.AES256.HTTPClient(g.d.ca.roots()).Transport}).Get(g.url + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	})
	select {
	case code := <-ended:
		t.Fatalf("the gateway ended with %d while an upload was under way", code)
	case <-time.After(200 * time.Millisecond):
	}
	if _, err := send.Write(slice[len(slice)/2:]); err != nil {
		t.Fatal(err)
	}
	send.Close()
	if got := <-answered; got.err != nil || got.stored.ID == "" {
		t.Errorf("the upload under way = %+v, %v; want stored", got.stored, got.err)
	}
	if code := <-ended; code != exitClean {
		t.Errorf("the gateway ended with %d: %s", code, g.log)
	}
}

// rotates gives all keys a new version beside a running gateway.
func rotates(t *testing.T, d *deployment, g *gatewayProcess, p *patientStory) {
	admin := g.as(record.RoleAdmin)
	_, err := admin.RotateKeys(t.Context())
	refused(t, "RotateKeys through a gateway, whose credential may not", err, http.StatusForbidden)
	before := make(map[string][]string)
	for _, r := range d.regions {
		before[r.name] = r.holds(t, r.bucket)
	}
	old, err := admin.KeyStatus(t.Context())
	if err != nil || len(old) != 3*len(d.cfg.Keys.Services) {
		t.Fatalf("KeyStatus = %+v, %v; want three kinds at each service", old, err)
	}

	meanwhile := g.keepStoring(t)
	var out, stderr bytes.Buffer
	path, _ := d.write("rotate", nil)
	code := run(t.Context(), []string{"keys", "rotate", "--config", path, "--json"}, &out, &stderr)
	stored := meanwhile()
	if code != exitClean {
		t.Fatalf("keys rotate: exit %d: %s", code, &stderr)
	}
	var done rotatedKeys
	if err := json.Unmarshal(out.Bytes(), &done); err != nil || len(done.Rotations) != 3*len(d.cfg.Keys.Services) {
		t.Fatalf("keys rotate = %s, %v; want a line for each kind at each service", &out, err)
	}
	shards, rewrapped := make(map[string]int), make(map[string]int)
	for _, r := range done.Rotations {
		shards[r.Service] += r.Shards
		rewrapped[r.Service] += r.Rewrapped
		if len(r.Pending) != 0 || r.Trimmed != r.Shards {
			t.Errorf("rotated %+v; want every shard trimmed", r)
		}
	}
	for service := range shards {
		if shards[service] != 17 || (rewrapped[service] == 0) != (service == "sg-1") {
			t.Errorf("%s: %d shards, %d wraps moved; want 17 shards, wraps moved where there are any", service, shards[service], rewrapped[service])
		}
	}
	now, err := admin.KeyStatus(t.Context())
	if err != nil || len(now) != len(old) {
		t.Fatalf("KeyStatus = %+v, %v", now, err)
	}
	for i, s := range now {
		if s.Newest != old[i].Newest+1 {
			t.Errorf("%s/%s: newest %d, before %d; want one more", s.Service, s.Kind, s.Newest, old[i].Newest)
		}
	}

	until(t, "the log names the rotation", func() bool {
		return d.leaves(`"action":"keys.rotate"`) > 0 && d.leaves(`"local:`) > 0
	})
	fresh := d.serve("fresh")
	fresh.readsBack(t, p)
	g.readsBack(t, p)
	fresh.clean(t)
	for _, r := range d.regions {
		after := r.holds(t, r.bucket)
		for _, o := range before[r.name] {
			name := strings.Fields(o)[0]
			id := name[strings.LastIndexByte(name, '/')+1:]
			if !slices.Contains(after, o) && d.leaves(`"supersedes":"`+id+`"`) == 0 { // a report that was redacted meanwhile
				t.Errorf("rotation changed %s in %s", o, r.name)
			}
		}
	}
	for _, q := range stored {
		fresh.treat(t, q)
		fresh.readsBack(t, q)
	}
	q := fresh.store(t, 77) // a patient whose first wraps are of the new version
	fresh.treat(t, q)
	g.readsBack(t, q)
}

// keepStoring stores a report of one new patient after the other until it is called
// off, and tells which were taken. A patient may be put off, never refused.
func (g *gatewayProcess) keepStoring(t *testing.T) (stop func() []*patientStory) {
	t.Helper()
	radiology := g.as(record.RoleRadiology)
	enough, done := make(chan struct{}), make(chan []*patientStory)
	go func() {
		var stored []*patientStory
		putOff := 0
		defer func() {
			t.Logf("stored for %d new patients meanwhile, %d put off", len(stored), putOff)
			done <- stored
		}()
		for seed := uint64(1000); ; seed++ {
			select {
			case <-enough:
				return
			default:
			}
			p := &patientStory{Patient: imagingtest.NewPatient(seed)}
			p.study = p.StudyUID(imagingtest.Options{Study: 1})
			p.slices = [][]byte{imagingtest.CT(p.Patient, imagingtest.Options{Study: 1, Rows: 32, Columns: 32})}
			p.report = imagingtest.Report(p.Patient)
			got, err := radiology.StoreDICOM(context.Background(), bytes.NewReader(p.slices[0]))
			if err == nil {
				p.token = got.Patient
				got, err = radiology.StorePDF(context.Background(), bytes.NewReader(p.report), client.PDF{PatientID: p.ID, Issuer: p.Issuer})
				p.pdf = got.ID
			}
			var answer *client.Error
			switch {
			case err == nil:
				stored = append(stored, p)
			case errors.As(err, &answer) && answer.Status == http.StatusServiceUnavailable:
				putOff++
			default:
				t.Errorf("stored while keys are rotated: %v", err)
				return
			}
		}
	}()
	return func() []*patientStory { close(enough); return <-done }
}

// TestServeOnProductionKeys: the same on the key service as scripts/deploy sets it
// up: raft, TLS, AppRole with least privilege, audit.
func TestServeOnProductionKeys(t *testing.T) {
	d := newDeployment(t, transport.AES256, true)
	a, b := d.serve("a"), d.serve("b")
	p := a.store(t, 1)
	a.treat(t, p)
	b.readsBack(t, p)
	a.clean(t)

	// A gateway speaks to it as this does.
	server := strings.TrimPrefix(d.cfg.Keys.Services[0].Address, "https://")
	roots, err := readRoots("ca", d.cfg.Keys.Services[0].CAFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", server, transport.AES256.Client(roots))
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().CipherSuite; got != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("suite = %s", tls.CipherSuiteName(got))
	}
	conn.Close()
	rotates(t, d, a, p)
}

// TestServeModern: TLS 1.3 on every link.
func TestServeModern(t *testing.T) {
	d := newDeployment(t, transport.Modern, false)
	a := d.serve("a")
	p := a.store(t, 1)
	a.treat(t, p)
	a.readsBack(t, p)
	for name, l := range d.links {
		for _, got := range l.heard() {
			t.Logf("%s: %s", name, got)
			if !strings.HasPrefix(got, "TLS 1.3 ") {
				t.Errorf("%s was spoken to by %s; want TLS 1.3", name, got)
			}
		}
	}
	for _, got := range d.databaseTLS() {
		if !strings.HasPrefix(got, "TLSv1.3 ") {
			t.Errorf("PostgreSQL was spoken to by %s; want TLS 1.3", got)
		}
	}
	if code := run(t.Context(), []string{"regions", "--url", a.url, "--token", d.issuer.token(t, "someone", record.RoleOperator, time.Hour),
		"--ca", filepath.Join(d.dir, "ca.pem"), "--tls", "modern"}, io.Discard, a.log); code != exitClean {
		t.Errorf("regions --tls modern: exit %d: %s", code, a.log)
	}
}

// TestServeRefusesWeakLinks: what is not encrypted well enough, or shows a
// certificate nobody vouches for, keeps a gateway from starting; so does, for a new
// vault, a region that cannot be asked.
func TestServeRefusesWeakLinks(t *testing.T) {
	d := newDeployment(t, transport.AES256, false)
	stranger := newAuthority(t)
	otherCA := filepath.Join(t.TempDir(), "ca.pem")
	stranger.files(t, filepath.Dir(otherCA), "unused")
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"region's authority unknown", func(c *Config) { c.Regions[1].CAFile = otherCA }, "region cn-east"},
		{"region's authority unknown to the aws driver", func(c *Config) { c.Regions[2].CAFile = otherCA }, "region cn-south"},
		{"key service's authority unknown", func(c *Config) { c.Keys.Services[0].CAFile = otherCA }, "cn-north"},
		{"issuer's authority unknown", func(c *Config) { c.Identity.CAFile = otherCA }, "certificate"},
		{"database's authority unknown", func(c *Config) {
			c.Catalog.DSN, _, _ = strings.Cut(c.Catalog.DSN, "&sslrootcert=")
			c.Catalog.DSN += "&sslrootcert=" + otherCA
		}, "catalog"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stderr := d.fails(t, "refused", test.change)
			if code != exitFailed || !strings.Contains(stderr, test.want) || !strings.Contains(stderr, "certificate") {
				t.Errorf("serve: exit %d: %s; want 1, naming %s and its certificate", code, stderr, test.want)
			}
		})
	}
	t.Run("new vault with a region down", func(t *testing.T) {
		d.links["cn-south"].cut()
		defer d.links["cn-south"].mend()
		// It might hold another vault's house keys.
		code, stderr := d.fails(t, "refused", nil)
		if code != exitFailed || !strings.Contains(stderr, "a new vault needs every home region: region cn-south") {
			t.Errorf("serve: exit %d: %s; want 1, naming the region", code, stderr)
		}
	})
	t.Run("region with AES-128 only", func(t *testing.T) {
		l := d.links["cn-east"]
		l.cut()
		l.tls.MaxVersion, l.tls.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		l.mend()
		code, stderr := d.fails(t, "refused", nil)
		if code != exitFailed || !strings.Contains(stderr, "region cn-east") || !strings.Contains(stderr, "handshake") {
			t.Errorf("serve: exit %d: %s; want 1, naming the region and its handshake", code, stderr)
		}
	})
}

// TestServeRefusesItsConfiguration needs no servers: nothing is spoken to.
func TestServeRefusesItsConfiguration(t *testing.T) {
	d := &deployment{t: t, dir: t.TempDir(), ca: newAuthority(t)}
	d.cfg.TLS.Cert, d.cfg.TLS.Key = d.ca.files(t, d.dir, "gateway")
	d.cfg.Home = "CN"
	d.cfg.Catalog.DSN = "postgres://medvault@db.hospital.example/medvault?sslmode=verify-full"
	d.cfg.DPO = DPOConfig{Email: "dpo@hospital.example", Phone: "+86 10 0000 0000", Address: "1 Example Road, Beijing"}
	d.cfg.Identity = IdentityConfig{Issuer: "https://login.hospital.example", Audience: "medvault"}
	d.cfg.Keys.Services = []KeyServiceConfig{{Name: "transit", Driver: "transit", Address: "https://transit.hospital.example",
		AppRole: AppRoleConfig{RoleIDFile: "env:A", SecretIDFile: "env:B"}}}
	for _, name := range []string{"cn-north", "cn-east"} {
		d.cfg.Regions = append(d.cfg.Regions, RegionConfig{Name: name, Jurisdiction: "CN", Driver: "minio", Endpoint: "https://s3." + name + ".example",
			Bucket: "data", KeysBucket: "keys", Keys: "transit", AccessKeyFile: "env:A", SecretKeyFile: "env:B"})
	}
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"plain http region", func(c *Config) { c.Regions[0].Endpoint = "http://s3.example" }, "regions[0].endpoint: endpoint: plain http"},
		{"plain http region, insecure set", func(c *Config) { c.Regions[0].Endpoint, c.Regions[0].InsecurePlaintext = "http://192.0.2.1", true }, "regions[0].endpoint: endpoint: plain http"},
		{"plain http key service", func(c *Config) { c.Keys.Services[0].Address = "http://transit.example" }, "keys.services[0].address: plain http"},
		{"plain http issuer", func(c *Config) { c.Identity.Issuer = "http://login.example" }, "identity.issuer: plain http"},
		{"sslmode=disable", func(c *Config) { c.Catalog.DSN = strings.Replace(c.Catalog.DSN, "verify-full", "disable", 1) }, "catalog.dsn: found sslmode=disable"},
		{"sslmode=prefer", func(c *Config) { c.Catalog.DSN = strings.Replace(c.Catalog.DSN, "verify-full", "prefer", 1) }, "catalog.dsn: found sslmode=prefer"},
		{"insecure keys in the open", func(c *Config) {
			c.Listen = "0.0.0.0:8443"
			c.Keys.Services[0] = KeyServiceConfig{Name: "transit", Driver: "insecure", File: "/keys"}
		}, "keys.services[0].driver: insecure keeps the keys in a plain file"},
		{"listener in clear", func(c *Config) { c.Listen, c.TLS.Cert, c.TLS.Key = "0.0.0.0:8443", "", "" }, "tls.cert: listen on 0.0.0.0:8443 without TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stderr := d.fails(t, "refused", test.change)
			if code != exitUsage || !strings.Contains(stderr, test.want) {
				t.Errorf("serve: exit %d: %s; want 2 and %q", code, stderr, test.want)
			}
		})
	}
	t.Run("unknown key", func(t *testing.T) {
		path := string(d.secret("unknown.yaml", "lissten: 127.0.0.1:8443"))
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{"serve", "--config", path}, io.Discard, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "line 1: lissten: unknown key") {
			t.Errorf("serve: exit %d: %s; want 2, naming the line and the key", code, &stderr)
		}
	})
	t.Run("rotation without its credential", func(t *testing.T) {
		path, _ := d.write("rotate", nil)
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{"keys", "rotate", "--config", path}, io.Discard, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "keys.services[0].rotation: missing") {
			t.Errorf("keys rotate: exit %d: %s; want 2, naming the key", code, &stderr)
		}
	})
}
