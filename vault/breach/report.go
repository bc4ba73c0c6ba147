package breach

import (
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

// row is one line of a report: what it is about in both languages, and what is said.
type row struct {
	English, Chinese string
	Lines            []string
}

// rows are the report in order: what, when, how many, which kinds of data, what was done,
// by whom, and the contact (PIPL, article 57).
func (f Facts) rows() []row {
	rows := []row{
		{"Incident", "事件编号", []string{f.Incident}},
		{"What happened", "事件概述", []string{f.What}},
		{"Discovered", "发现时间", []string{clock(f.Discovered)}},
		{"To be told until", "告知期限", []string{clock(f.Due)}},
	}
	if f.First != nil && f.Last != nil {
		rows = append(rows, row{"Acts found in the log", "日志中的行为时间", []string{clock(*f.First) + " – " + clock(*f.Last)}})
	}
	rows = append(rows,
		row{"Patients affected", "受影响患者人数", []string{fmt.Sprint(f.Patients)}},
		row{"Patients told", "已告知患者人数", []string{fmt.Sprint(f.Told)}},
		row{"What was done with their data", "涉及的行为", counted(acts(), f.Acts)},
		row{"Kinds of data (documents of those affected)", "涉及的信息种类（受影响患者的文档数）", counted(categories(), f.Categories)})
	done := []string{}
	for _, m := range f.Done {
		w := said(measures(), m.Did)
		done = append(done, fmt.Sprintf("%s, %s: %s / %s (%s)", clock(m.At), m.By, w.en, w.zh, m.Target))
	}
	return append(rows,
		row{"What was done, and by whom", "已采取的措施及执行人", done},
		row{"Data protection officer", "个人信息保护负责人", []string{f.Officer.line()}},
		row{"This account", "报告", []string{clock(f.At) + ", " + f.By}})
}

func counted(table map[string]words, counts map[string]int64) []string {
	lines := []string{}
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		w := said(table, code)
		lines = append(lines, fmt.Sprintf("%s / %s: %d", w.en, w.zh, counts[code]))
	}
	return lines
}

const title = "Report of a personal data breach / 个人信息安全事件报告"

const drillTitle = "DRILL, NOTHING HAS HAPPENED / 演练，并未发生任何事件"

// WriteText writes the report to the authority as plain text.
func (f Facts) WriteText(w io.Writer) error {
	var b strings.Builder
	if f.Drill {
		fmt.Fprintln(&b, drillTitle)
	}
	fmt.Fprintf(&b, "%s\n\n", title)
	for _, r := range f.rows() {
		fmt.Fprintf(&b, "%s / %s\n", r.English, r.Chinese)
		for _, line := range r.Lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		if len(r.Lines) == 0 {
			fmt.Fprintln(&b, "  -")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteHTML writes it as one page without a script.
func (f Facts) WriteHTML(w io.Writer) error {
	return template.Must(template.New("report").Parse(page)).Execute(w, struct {
		Drill, Title string
		Rows         []row
	}{map[bool]string{true: drillTitle}[f.Drill], title, f.rows()})
}

const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}th{text-align:left;vertical-align:top;width:35%;padding-right:1rem}td p{margin:0}.drill{color:#a00;font-weight:bold}</style></head>
<body>{{if .Drill}}<p class="drill">{{.Drill}}</p>{{end}}<h1>{{.Title}}</h1>
<table>{{range .Rows}}<tr><th>{{.English}}<br>{{.Chinese}}</th><td>{{range .Lines}}<p>{{.}}</p>{{else}}-{{end}}</td></tr>{{end}}</table>
</body></html>
`
