package portable

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"medvault/vault"
)

// readme says what the package is, for whoever opens it first (IHE PDI asks for it).
func (l *layout) readme(w io.Writer, p *vault.Package) error {
	instances := 0
	for _, s := range l.studies {
		instances += s.count()
	}
	_, err := fmt.Fprintf(w, readme, p.ID, p.Created.Format(time.RFC3339), instances, len(l.studies), len(l.documents), p.Withheld)
	return err
}

const readme = `Everything that Medvault holds of one patient, in the original.

Package   %s
Made      %s
Contents  %d images and other DICOM instances of %d studies, %d documents
Withheld  %d documents that exist and are not here

INDEX.HTM            open this in a browser: what there is
DICOMDIR, DICOM/     the images, byte for byte as they were sent; any DICOM viewer opens
                     DICOMDIR (IHE Portable Data for Imaging). Where an instance lacks what a
                     DICOMDIR must say, numbers are counted and dates are 19000101
DOCUMENTS/           reports and other documents as they were sent. What was corrected since
                     then stands corrected in DICOMDIR, the pages and FHIR
FHIR/BUNDLE.JSON     the same for other hospitals' systems, FHIR R4
FHIR/AUDIT.NDJSON    who was at the documents, FHIR AuditEvent, each with its proof
IHE_PDI/ACCESS.HTM   who was at the documents, in plain words
MANIFEST.JSON        every file with its size and SHA-256
SIGNATURE.TXT        the SHA-256 of MANIFEST.JSON, signed with the key of the vault's log

Whether anything was changed: medvault export verify FILE --log-key KEY

This package names the patient. Whoever has it without encryption can read it: keep it as
you keep a medical record.
`

// index is the page for people. It has no script and loads nothing.
func (l *layout) index(w io.Writer, p *vault.Package) error {
	view := indexView{Created: p.Created.Format("2006-01-02 15:04 MST"), Package: string(p.ID), Withheld: p.Withheld,
		Name: l.patient.shownName(), ID: l.patient.id, Birth: day(l.patient.birth)}
	for _, s := range l.studies {
		st := studyView{Date: day(s.date), Description: s.description, Modalities: strings.Join(s.modalities(), ", "), Instances: s.count()}
		for _, se := range s.series {
			st.Series = append(st.Series, seriesView{Number: se.number, Modality: se.modality, Description: se.description, Path: se.path, Instances: len(se.instances)})
		}
		view.Studies = append(view.Studies, st)
	}
	for _, d := range l.documents {
		title := d.title
		if title == "" {
			title = d.path
		}
		view.Documents = append(view.Documents, documentView{Path: d.path, Title: title, Category: d.category, Stored: d.stored.Format(time.DateOnly), Size: d.size})
	}
	for _, c := range p.Consents {
		view.Consents = append(view.Consents, consentView{Decision: c.Decision, Purpose: string(c.Purpose), To: strings.TrimSpace(c.Recipient + " " + c.Country), From: c.From.Format(time.DateOnly)})
	}
	return pages().ExecuteTemplate(w, "index", view)
}

type indexView struct {
	Created, Package, Name, ID, Birth string
	Withheld                          int
	Studies                           []studyView
	Documents                         []documentView
	Consents                          []consentView
}

type studyView struct {
	Date, Description, Modalities string
	Instances                     int
	Series                        []seriesView
}

type seriesView struct {
	Number, Modality, Description, Path string
	Instances                           int
}

type documentView struct {
	Path, Title, Category, Stored string
	Size                          int64
}

type consentView struct{ Decision, Purpose, To, From string }

func (p patient) shownName() string {
	var all []string
	for _, group := range []string{p.name, p.ideographic} {
		if s := strings.Join(strings.Fields(strings.ReplaceAll(group, "^", " ")), " "); s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, " ")
}

// day is a DA value as people write it; what is none stays as it is.
func day(da string) string {
	if d, err := time.Parse("20060102", da); err == nil {
		return d.Format(time.DateOnly)
	}
	return da
}

// accessPage is the access log for people, the newest first, written page by page.
func accessPage(ctx context.Context, w io.Writer, p *vault.Package, language string) error {
	t := pages()
	if err := t.ExecuteTemplate(w, "access", nil); err != nil {
		return err
	}
	err := p.AccessLog(ctx, language, func(page vault.AccessLog) error { return t.ExecuteTemplate(w, "lines", page.Lines) })
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, "access-end", nil)
}

func pages() *template.Template { return template.Must(template.New("").Parse(pageTemplates)) }

const pageTemplates = `{{define "head"}}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}h2{margin-top:2rem}</style>
{{end}}{{define "index"}}{{template "head"}}<title>Medical documents</title></head><body>
<h1>Everything that is held</h1>
<p>{{.Name}}{{with .Birth}}, born {{.}}{{end}}{{with .ID}}, Patient ID {{.}}{{end}}<br>made {{.Created}}, package {{.Package}}</p>
{{with .Withheld}}<p><strong>{{.}} documents exist and are not in this package.</strong></p>{{end}}
<h2>Images</h2>
{{range .Studies}}<h3>{{.Date}} {{.Description}}</h3><p>{{.Modalities}}, {{.Instances}} instances</p>
<table><tr><th>Series</th><th>Kind</th><th>Description</th><th>Instances</th><th>Folder</th></tr>
{{range .Series}}<tr><td>{{.Number}}</td><td>{{.Modality}}</td><td>{{.Description}}</td><td>{{.Instances}}</td><td><a href="{{.Path}}/">{{.Path}}</a></td></tr>
{{end}}</table>{{else}}<p>none</p>{{end}}
<p>Images open in a DICOM viewer: let it open the file DICOMDIR.</p>
<h2>Documents</h2>
{{if .Documents}}<table><tr><th>Document</th><th>Category</th><th>Stored</th><th>Bytes</th></tr>
{{range .Documents}}<tr><td><a href="{{.Path}}">{{.Title}}</a></td><td>{{.Category}}</td><td>{{.Stored}}</td><td>{{.Size}}</td></tr>
{{end}}</table>{{else}}<p>none</p>{{end}}
<h2>What was consented to, refused or restricted</h2>
{{if .Consents}}<table><tr><th>Decision</th><th>Purpose</th><th>Recipient or country</th><th>From</th></tr>
{{range .Consents}}<tr><td>{{.Decision}}</td><td>{{.Purpose}}</td><td>{{.To}}</td><td>{{.From}}</td></tr>
{{end}}</table>{{else}}<p>nothing is on record</p>{{end}}
<h2>More</h2>
<ul><li><a href="IHE_PDI/ACCESS.HTM">Who was at these documents</a></li>
<li><a href="FHIR/BUNDLE.JSON">For other hospitals (FHIR R4)</a></li>
<li><a href="README.TXT">What the files are</a>, <a href="MANIFEST.JSON">their checksums</a>, <a href="SIGNATURE.TXT">the signature</a></li></ul>
</body></html>
{{end}}{{define "access"}}{{template "head"}}<title>Access log</title></head><body>
<h1>Who was at these documents</h1><p>The newest first. <a href="../FHIR/AUDIT.NDJSON">With the proof of each line</a>.</p>
<table><tr><th>When</th><th>What</th></tr>
{{end}}{{define "lines"}}{{range .}}<tr><td>{{.Time.UTC.Format "2006-01-02 15:04:05"}}</td><td>{{.Words}}</td></tr>
{{end}}{{end}}{{define "access-end"}}</table></body></html>
{{end}}`
