// Package evidence is the report of a quarter as regulators read it: sections of lines,
// each of which names the query or command that produced it. The JSON is what is signed;
// the page and the PDF are made of it and of nothing else, byte for byte the same each
// time, so that whoever holds the JSON can tell whether they say the same.
package evidence

import (
	"fmt"
	"html/template"
	"io"
	"time"
)

// Report is the evidence of one quarter.
type Report struct {
	Version  int       `json:"version"` // 1
	Vault    string    `json:"vault"`
	Quarter  string    `json:"quarter"` // as "2026Q4"
	From     time.Time `json:"from"`
	To       time.Time `json:"to"` // the first moment after it
	Partial  bool      `json:"partial,omitempty"`
	Issued   time.Time `json:"issued"`
	By       string    `json:"by"`
	LogSize  int64     `json:"logSize"` // leaves when it was made
	Sections []Section `json:"sections"`
	LogKey   string    `json:"logKey"` // as the vault tells it: compare it with one from elsewhere
	// Signed is a note under the key of the log that names this report.
	Signed string `json:"signed,omitempty"`
}

// Section is one subject. Promises are the rows of the policy it is evidence of.
type Section struct {
	Name     string `json:"name"` // a code, as "access-reviews"
	Title    string `json:"title"`
	Promises string `json:"promises"`
	Lines    []Line `json:"lines"`
}

// Line is one fact. Source is the query or command that tells it again.
type Line struct {
	What   string `json:"what"`
	Value  string `json:"value"`
	Alert  bool   `json:"alert,omitempty"` // somebody has to see to it
	Source string `json:"source"`
}

// Add appends a line.
func (s *Section) Add(what, value string, alert bool, source string) {
	s.Lines = append(s.Lines, Line{what, value, alert, source})
}

// Alerts counts the lines that somebody has to see to.
func (r Report) Alerts() (n int) {
	for _, s := range r.Sections {
		for _, l := range s.Lines {
			if l.Alert {
				n++
			}
		}
	}
	return n
}

func (r Report) heading() []string {
	partial := ""
	if r.Partial {
		partial = " (the quarter has not ended)"
	}
	return []string{
		"Vault " + r.Vault,
		fmt.Sprintf("%s to %s%s", r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), partial),
		fmt.Sprintf("Issued %s by %s over %d leaves of the log", r.Issued.UTC().Format(time.RFC3339), r.By, r.LogSize),
		fmt.Sprintf("%d lines need attention; they are marked with !", r.Alerts()),
	}
}

// WriteHTML writes the report as one page without a script.
func (r Report) WriteHTML(w io.Writer) error {
	return template.Must(template.New("evidence").Parse(page)).Execute(w, struct {
		Report
		Heading []string
	}{r, r.heading()})
}

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evidence {{.Quarter}}</title>
<style>body{font:15px/1.45 sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}.alert{background:#fee}code,pre{font-size:12px;overflow-wrap:anywhere;white-space:pre-wrap}</style></head>
<body><h1>Evidence {{.Quarter}}</h1>
{{range .Heading}}<p>{{.}}</p>{{end}}
{{range .Sections}}<h2>{{.Title}}</h2><p>Promises {{.Promises}}</p>
<table><tr><th></th><th>What</th><th>Value</th><th>Produced by</th></tr>
{{range .Lines}}<tr{{if .Alert}} class="alert"{{end}}><td>{{if .Alert}}!{{end}}</td><td>{{.What}}</td><td>{{.Value}}</td><td><code>{{.Source}}</code></td></tr>
{{end}}</table>{{end}}
<h2>Signature</h2><p>Over the JSON of this report, under the key of the log; medvault evidence verify checks it, and that this page says the same.</p><pre>{{.Signed}}</pre>
</body></html>
`
