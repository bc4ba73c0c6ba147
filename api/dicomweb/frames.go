package dicomweb

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault/record"
)

// frames answers with the frames named in the path, one part each, in the order
// asked (PS3.18 10.4.1.1.6). Each costs one ranged read, whatever the object's size.
func (f *face) frames(c *gin.Context) {
	query, err := parseQuery(c.Request.URL.RawQuery)
	if err != nil {
		answer.Error(c, err)
		return
	}
	list, err := parseFrames(c.Param("frames"))
	if err != nil {
		answer.Error(c, err)
		return
	}
	opened, err := f.open(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	h := opened.Documents[0]
	for _, n := range list {
		if n > h.Frames {
			answer.Error(c, record.ErrNotFound)
			return
		}
	}
	best, ok := firstForm(accepted(c.Request.Header, query), len(list) == 1, func(w wanted) (form, bool) { return frameForm(w, h.TransferSyntax) })
	if !ok {
		answer.Error(c, notAcceptable())
		return
	}

	ctx := c.Request.Context()
	r := newReply(c, http.StatusOK, best)
	at := f.url(h.Study, h.Series, h.Instance) + "/frames/"
	for _, n := range list {
		if !r.read(best, at+strconv.Itoa(n), func() (io.ReadCloser, error) { return h.Frame(ctx, n) }) {
			return
		}
	}
	r.end()
}

// parseFrames reads a comma-separated list of frame numbers, counted from 1.
func parseFrames(s string) ([]int, error) {
	var list []int
	for field := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(field), 10, 31)
		if err != nil || n == 0 {
			return nil, record.Refuse(record.ErrInvalid, "bad-frame-list", "name frames by numbers from 1, separated by commas")
		}
		list = append(list, int(n))
	}
	return list, nil
}

// bulk answers with the value of one element, under the address that the metadata
// give for it (PS3.18 10.4.1.1.5).
func (f *face) bulk(c *gin.Context) {
	query, err := parseQuery(c.Request.URL.RawQuery)
	if err != nil {
		answer.Error(c, err)
		return
	}
	tag := strings.ToUpper(c.Param("tag"))
	if !isTag(tag) {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-tag", "name the element by eight hex digits"))
		return
	}
	opened, err := f.open(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	h := opened.Documents[0]
	best, ok := firstForm(accepted(c.Request.Header, query), true, func(w wanted) (form, bool) { return bulkForm(w, h.SOPClass, tag) })
	if !ok {
		answer.Error(c, notAcceptable())
		return
	}
	r := newReply(c, http.StatusOK, best)
	at := fmt.Sprintf("%s/bulkdata/%s", f.url(h.Study, h.Series, h.Instance), tag)
	if r.read(best, at, func() (io.ReadCloser, error) { return h.Bulk(c.Request.Context(), tag) }) {
		r.end()
	}
}

// isTag says whether s is eight upper-case hex digits.
func isTag(s string) bool {
	if len(s) != 8 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
