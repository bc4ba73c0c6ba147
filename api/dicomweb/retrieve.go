package dicomweb

import (
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// retrieve answers GET of a study, series or instance (PS3.18 10.4): each document
// that can be had in a form the client takes. 206 when that is not all of them.
func (f *face) retrieve(c *gin.Context) {
	query, err := parseQuery(c.Request.URL.RawQuery)
	if err != nil {
		answer.Error(c, err)
		return
	}
	opened, err := f.open(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	single := c.Param("instance") != "" && len(opened.Documents) == 1
	sendings := choose(accepted(c.Request.Header, query), single, opened.Documents)
	if len(sendings) == 0 {
		answer.Error(c, notAcceptable())
		return
	}
	status := http.StatusOK
	if opened.Withheld > 0 || len(sendings) < len(opened.Documents) {
		status = http.StatusPartialContent
	}

	ctx := c.Request.Context()
	r := newReply(c, status, sendings[0].form)
	for _, s := range sendings {
		h, at := s.document, f.url(s.document.Study, s.document.Series, s.document.Instance)
		var ok bool
		if s.form.asStored {
			ok = r.read(s.form, at, func() (io.ReadCloser, error) { return h.Reader(ctx) })
		} else {
			ok = r.part(s.form, at, func(w io.Writer) error { return h.Explicit(ctx, w) })
		}
		if !ok {
			return
		}
	}
	r.end()
}

// sending is a document and the form it goes out in.
type sending struct {
	document *vault.Handle
	form     form
}

// choose finds a form for each document; the ones that have none are left out. Only
// a lone document can get a form without parts, so all forms are of one shape.
func choose(ranges []mediaType, single bool, documents []*vault.Handle) []sending {
	var all []sending
	for _, h := range documents {
		best, ok := firstForm(ranges, single, func(w wanted) (form, bool) { return instanceForm(w, h.TransferSyntax) })
		if ok {
			all = append(all, sending{h, best})
		}
	}
	return all
}
