package api

import (
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// idleBodies cuts off a body of which no byte comes for Config.BodyIdle. How long a
// whole body takes is not limited: a study may take hours over a slow line.
func (s *Server) idleBodies(c *gin.Context) {
	whole := c.Request.Body
	if whole == nil || whole == http.NoBody {
		return
	}
	b := &idleBody{ReadCloser: whole, line: http.NewResponseController(c.Writer), idle: s.cfg.BodyIdle, streams: c.Request.ProtoMajor > 1}
	c.Request.Body = b
	// net/http looks at the body it made when it ends the request, and reads what a
	// handler left of it: under a deadline too.
	defer func() {
		if b.over == nil && !b.streams {
			b.limit(b.idle)
		}
		c.Request.Body = whole
	}()
	c.Next()
}

type idleBody struct {
	io.ReadCloser
	line    *http.ResponseController
	idle    time.Duration
	streams bool  // HTTP/2: a deadline ends the stream even while nobody reads
	over    error // how reading it ended
}

func (b *idleBody) Read(p []byte) (int, error) {
	if b.over != nil {
		return 0, b.over
	}
	b.limit(b.idle)
	n, err := b.ReadCloser.Read(p)
	b.over = err
	// Only the client's silence counts, not how long the vault takes between two reads.
	// In HTTP/1 a deadline that passes meanwhile does nothing, and net/http lifts it at
	// the end of the body.
	if b.streams {
		b.limit(0)
	}
	return n, err
}

// limit lets reads wait d from now; 0 is for ever. A writer without deadlines, as in
// a test without a network, has no line that could hang.
func (b *idleBody) limit(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = b.line.SetReadDeadline(at)
}
