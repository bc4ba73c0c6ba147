package reports

import (
	"fmt"
	"strings"
)

// acroForm has the head of the report in fields, with and without appearance.
func acroForm(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	all := w.lines()
	c.lines(append([]line{all[0]}, all[7:]...), margin, pageHeight-200, pageWidth-2*margin)
	w.noteLines(append(all[:1:1], all[7:]...))
	var fields, widgets strings.Builder
	y := pageHeight - 90
	for i, l := range all[1:7] {
		text := l.String()
		look := newCanvas(d.fonts)
		look.WriteString("/Tx BMC q\n")
		look.show(text, 2, 4, textSize)
		look.WriteString("Q EMC\n")
		appearance := ""
		if i == 2 && !w.chinese { // shown by programs that make one up
			for n := range l {
				l[n].mute = l[n].kind == ""
			}
		}
		w.noteLines([]line{l})
		if i != 2 || w.chinese {
			appearance = fmt.Sprintf("/AP << /N %d 0 R >>", d.f.stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 500 16] /Resources << %s >>", d.fonts.resource()), look.Bytes(), true))
		}
		n := d.f.add(fmt.Sprintf("<< /Type /Annot /Subtype /Widget /FT /Tx /T %s /TU %s /V %s /DA (/F1 10 Tf 0 g) /Rect [%.0f %.0f %.0f %.0f] /F 4 %s >>",
			d.f.text(fmt.Sprintf("field%d %s", i, w.person.mrn)), d.f.text(text), d.f.text(text), margin, y, margin+500, y+16, appearance))
		fmt.Fprintf(&fields, "%d 0 R ", n)
		fmt.Fprintf(&widgets, "%d 0 R ", n)
		y -= 18
	}
	d.catalog = fmt.Sprintf("/AcroForm << /Fields [%s] /DR << %s >> /DA (/F1 10 Tf 0 g) >>", fields.String(), d.fonts.resource())
	d.page(c, fmt.Sprintf("/Annots [%s]", widgets.String()))
	d.end()
}

// annotations name the patient in notes, stamps, links and their authors.
func annotations(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	title := w.title()
	var all strings.Builder
	add := func(body string) { fmt.Fprintf(&all, "%d 0 R ", d.f.add(body)) }
	look := newCanvas(d.fonts)
	ids := w.identifiers()
	look.show(ids[0].String(), 2, 4, textSize)
	stamp := d.f.stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 200 16] /Resources << %s >>", d.fonts.resource()), look.Bytes(), true)
	add(fmt.Sprintf("<< /Type /Annot /Subtype /Text /Rect [500 700 520 720] /Contents %s /T %s >>", d.f.text("Call "+title+" back"), d.f.text(w.person.reporter)))
	add(fmt.Sprintf("<< /Type /Annot /Subtype /FreeText /Rect [300 200 500 216] /DA (/F1 10 Tf 0 g) /Contents %s /AP << /N %d 0 R >> /F 4 >>", d.f.text(ids[0].String()), stamp))
	add(fmt.Sprintf("<< /Type /Annot /Subtype /Link /Rect [100 100 200 120] /A << /S /URI /URI %s >> >>", d.f.text("https://his.example.org/patient?id="+w.person.mrn)))
	w.noteLines(ids[:2])
	d.page(c, fmt.Sprintf("/Annots [%s]", all.String()))
	d.end()
}

// attachment carries a file that names the patient, by its name too.
func attachment(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	title := w.title()
	embedded := d.f.stream("/Type /EmbeddedFile /Subtype /text#2Fplain", []byte("Letter: "+title+"\n"), w.r.IntN(2) == 0)
	name := d.f.text(title + ".txt")
	spec := d.f.add(fmt.Sprintf("<< /Type /Filespec /F %s /UF %s /Desc %s /EF << /F %d 0 R >> >>", name, name, d.f.text("for "+w.person.doctor), embedded))
	d.catalog = fmt.Sprintf("/Names << /EmbeddedFiles << /Names [%s %d 0 R] >> >>", name, spec)
	d.page(c, "")
	d.end()
}

// metadata names the patient in the document information and in XMP.
func metadata(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	title := w.title()
	info := d.f.add(fmt.Sprintf("<< /Title %s /Author %s /Subject %s /Keywords %s /PatientPhone %s >>", d.f.text(title), d.f.text(w.person.reporter), d.f.text(w.person.address), d.f.text(w.person.accession), d.f.text(w.person.phone)))
	d.trailer = fmt.Sprintf("/Info %d 0 R", info)
	packet := fmt.Sprintf(`<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>%s</dc:title><dc:creator>%s</dc:creator><dc:description>%s</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`,
		xml(title), xml(w.person.reporter), xml(w.person.email))
	d.catalog = fmt.Sprintf("/Metadata %d 0 R /Lang (en) /PageLabels << /Nums [0 << /P %s >>] >>", d.f.stream("/Type /Metadata /Subtype /XML", []byte(packet), false), d.f.text(w.person.mrn))
	d.page(c, fmt.Sprintf("/PieceInfo << /HIS << /LastModified (D:20240101) /Private << /Patient %s >> >> >>", d.f.text(w.person.mrn)))
	d.end()
}

// outlines names the patient in bookmarks, destinations, scripts and structure.
func outlines(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	page := d.page(c, "")
	title := w.title()
	tree, item := d.f.reserve(), d.f.reserve()
	d.f.put(tree, fmt.Sprintf("<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count 1 >>", item, item))
	d.f.put(item, fmt.Sprintf("<< /Title %s /Parent %d 0 R /Dest [%d 0 R /Fit] >>", d.f.text(title), tree, page))
	script := d.f.add(fmt.Sprintf("<< /S /JavaScript /JS %s >>", d.f.text("app.alert('"+title+"');")))
	element := d.f.reserve()
	structure := d.f.add(fmt.Sprintf("<< /Type /StructTreeRoot /K %d 0 R >>", element))
	d.f.put(element, fmt.Sprintf("<< /Type /StructElem /S /P /P %d 0 R /T %s /ActualText %s /Alt %s >>", structure, d.f.text(title), d.f.text(title), d.f.text(w.person.phone)))
	d.catalog = fmt.Sprintf("/Outlines %d 0 R /StructTreeRoot %d 0 R /Names << /Dests << /Names [%s [%d 0 R /Fit]] >> /JavaScript << /Names [%s %d 0 R] >> >>",
		tree, structure, d.f.text(w.person.mrn), page, d.f.text("init "+w.person.mrn), script)
	d.end()
}
