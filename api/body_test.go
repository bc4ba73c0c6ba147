package api_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api"
	"medvault/api/answer"
	"medvault/vault/record"
)

// newReadingGateway has a route that takes longer than idle between two reads of a body,
// and longer again to store it.
func newReadingGateway(t *testing.T, idle time.Duration) gateway {
	t.Helper()
	return newGateway(t, func(c *api.Config) {
		c.BodyIdle = idle
		c.Mount = func(r gin.IRouter) {
			r.POST("/read", func(c *gin.Context) {
				_, err := io.ReadFull(c.Request.Body, make([]byte, 1))
				time.Sleep(idle * 3 / 2)
				if _, rest := io.ReadAll(c.Request.Body); err != nil || rest != nil {
					answer.Error(c, record.ErrInvalid)
					return
				}
				select {
				case <-c.Request.Context().Done():
					answer.Error(c, c.Request.Context().Err())
				case <-time.After(2 * idle):
					answer.JSON(c, 200, "read")
				}
			})
		}
	})
}

func TestABodyThatSendsNothingIsCutOff(t *testing.T) {
	const idle = 300 * time.Millisecond
	g := newReadingGateway(t, idle)
	addr, _ := g.listening(t)
	dial := func(head string) (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"+head+"\r\n")
		return c, bufio.NewReader(c)
	}
	authorized := "Authorization: " + g.bearer() + "\r\n"
	answered := func(name string, in *bufio.Reader, status int) {
		t.Helper()
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != status {
			t.Errorf("%s: %v, %v; want %d", name, resp, err, status)
			return
		}
		io.Copy(io.Discard, resp.Body)
	}
	ended := func(name string, in *bufio.Reader) {
		t.Helper()
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection ended with %v; want it closed", name, err)
		}
	}

	c, in := dial(authorized)
	io.WriteString(c, "012")
	answered("three of ten bytes", in, 400)
	ended("three of ten bytes", in)

	_, in = dial("")
	answered("no token and no body", in, 401)
	ended("no token and no body", in)

	c, in = dial(authorized)
	for i := range 10 { // slow, but never idle
		io.WriteString(c, string(rune('0'+i)))
		time.Sleep(idle / 5)
	}
	answered("a slow body", in, 200)
	io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	answered("the next request on that line", in, 200)
}

func TestABodyThatSendsNothingIsCutOffInHTTP2(t *testing.T) {
	const idle = 300 * time.Millisecond
	g := newReadingGateway(t, idle)
	server := httptest.NewUnstartedServer(g.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, row := range []struct {
		name   string
		pause  time.Duration // between the bytes of the body
		status int
	}{{"never idle", idle / 5, 200}, {"idle", 3 * idle, 400}} {
		body, pen := io.Pipe()
		go func() {
			for range 8 {
				if _, err := io.WriteString(pen, "x"); err != nil {
					break
				}
				time.Sleep(row.pause)
			}
			pen.Close()
		}()
		req, err := http.NewRequest("POST", server.URL+"/read", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", g.bearer())
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		body.Close()
		if resp.StatusCode != row.status || resp.ProtoMajor != 2 {
			t.Errorf("%s: %d over %s; want %d over HTTP/2", row.name, resp.StatusCode, resp.Proto, row.status)
		}
	}
}
