package dicomweb

import (
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
)

// reply streams an answer of one body or of several parts. The status line goes out
// with the first byte, so whatever fails before it is still answered by its own
// status; whatever fails after it breaks the connection.
type reply struct {
	c      *gin.Context
	status int
	parts  *multipart.Writer // nil: a single body
	buf    []byte
}

func newReply(c *gin.Context, status int, f form) *reply {
	r := &reply{c: c, status: status, buf: make([]byte, 64<<10)}
	if f.multipart {
		r.parts = multipart.NewWriter(c.Writer)
	}
	return r
}

// part sends one part with what write writes. False: the request has been answered,
// with an error or, when it was HEAD, with the headers; write then got an error at its
// first byte.
func (r *reply) part(f form, location string, write func(io.Writer) error) bool {
	p := &part{reply: r, form: f, location: location}
	err := write(p)
	if r.headOnly() && r.c.Writer.Written() {
		return false
	}
	if err == nil {
		err = p.begin() // a value of no bytes is a part, too
	}
	if err != nil {
		answer.Error(r.c, err)
		return false
	}
	return !r.headOnly()
}

// headOnly says that the answer ends where its body would begin.
func (r *reply) headOnly() bool { return r.c.Request.Method == http.MethodHead }

// read is part for what comes from a reader.
func (r *reply) read(f form, location string, open func() (io.ReadCloser, error)) bool {
	return r.part(f, location, func(w io.Writer) error {
		body, err := open()
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.CopyBuffer(w, struct{ io.Reader }{body}, r.buf)
		return err
	})
}

// end closes the last part. Without it no client takes the answer for whole.
func (r *reply) end() {
	if r.parts == nil {
		return
	}
	if err := r.parts.Close(); err != nil {
		answer.Error(r.c, err)
	}
}

// part is the writer of one part; its header goes out with its first byte.
type part struct {
	reply    *reply
	form     form
	location string
	body     io.Writer // nil before the first byte
}

func (p *part) Write(b []byte) (int, error) {
	if err := p.begin(); err != nil {
		return 0, err
	}
	if p.reply.headOnly() {
		return 0, http.ErrBodyNotAllowed
	}
	return p.body.Write(b)
}

func (p *part) begin() (err error) {
	if p.body != nil {
		return nil
	}
	r := p.reply
	if r.parts == nil {
		r.c.Header("Content-Type", p.form.contentType())
		r.c.Header("Content-Location", p.location)
		r.c.Status(r.status)
		r.c.Writer.WriteHeaderNow()
		p.body = r.c.Writer
		return nil
	}
	if !r.c.Writer.Written() {
		r.c.Header("Content-Type", `multipart/related; type="`+p.form.media+`"; boundary=`+r.parts.Boundary())
		r.c.Status(r.status)
		r.c.Writer.WriteHeaderNow()
	}
	if r.headOnly() {
		return nil
	}
	p.body, err = r.parts.CreatePart(textproto.MIMEHeader{
		"Content-Type":     {p.form.contentType()},
		"Content-Location": {p.location},
	})
	return err
}
