package answer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault/record"
)

// ask runs one handler behind a request id and returns what it answered.
func ask(handler gin.HandlerFunc) *httptest.ResponseRecorder {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(func(c *gin.Context) { answer.SetRequestID(c, "r-1") })
	r.GET("/", handler)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w
}

func TestTheTable(t *testing.T) {
	const secret = "WANG^XIAOMING"
	for _, row := range []struct {
		err    error
		status int
		code   string
	}{
		{record.ErrUnauthenticated, 401, "no-identity"},
		{record.Refuse(record.ErrUnauthenticated, "token-expired", "get a new one"), 401, "token-expired"},
		{record.ErrDenied, 403, "denied"},
		{record.Refuse(record.ErrDenied, "no-care-relationship", "ask the admin"), 403, "no-care-relationship"},
		{fmt.Errorf("open %s: %w", secret, record.ErrNotFound), 404, "not-found"},
		{record.Refuse(record.ErrNotFound, "no-care-relationship", "x"), 404, "not-found"},
		{fmt.Errorf("%w: %w", record.ErrNotFound, record.Refuse(record.ErrDenied, "x", "y")), 404, "not-found"},
		{record.ErrConflict, 409, "conflict"},
		{record.ErrErased, 410, "erased"},
		{record.ErrTooLarge, 413, "too-large"},
		{&http.MaxBytesError{Limit: 1}, 413, "too-large"},
		{fmt.Errorf("tag %s: %w", secret, record.ErrUnreadable), 422, "unreadable"},
		{record.ErrNotAcceptable, 406, "not-acceptable"},
		{record.Refuse(record.ErrInvalid, "unsupported-key", "leave it out"), 400, "unsupported-key"},
		{record.ErrUnavailable, 503, "unavailable"},
		{context.DeadlineExceeded, 503, "timeout"},
		{fmt.Errorf("%w: %w", record.ErrTampered, record.ErrUnavailable), 500, "integrity-broken"},
		{record.Refuse(record.ErrTampered, "x", secret), 500, "integrity-broken"},
		{errors.New("disk on fire: " + secret), 500, "internal"},
		{io.ErrUnexpectedEOF, 500, "internal"},
	} {
		w := ask(func(c *gin.Context) { answer.Error(c, row.err) })
		var p answer.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%v: body is no JSON: %v", row.err, err)
		}
		if w.Code != row.status || p.Code != row.code || p.Message == "" || p.RequestID != "r-1" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%v: %d %+v; want %d %s", row.err, w.Code, p, row.status, row.code)
		}
		if answer.Status(row.err) != row.status || answer.Code(row.err) != row.code || answer.Message(row.err) != p.Message {
			t.Errorf("%v: Status, Code and Message say %d %s %q", row.err, answer.Status(row.err), answer.Code(row.err), answer.Message(row.err))
		}
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("%v: the answer tells the error's text", row.err)
		}
		if got := w.Header().Get("WWW-Authenticate"); strings.HasPrefix(got, "Bearer") != (row.status == 401) {
			t.Errorf("%v: WWW-Authenticate is %q", row.err, got)
		}
		if got := w.Header().Get("Retry-After"); (got != "") != (row.status == 503) {
			t.Errorf("%v: Retry-After is %q", row.err, got)
		}
	}
}

func TestAbsentAndHiddenAreTheSameToTheByte(t *testing.T) {
	absent := ask(func(c *gin.Context) { answer.Error(c, record.ErrNotFound) })
	hidden := ask(func(c *gin.Context) {
		c.Header("ETag", `"x"`)
		answer.Error(c, record.Refuse(record.ErrNotFound, "no-research-consent", "this patient has not agreed"))
	})
	if absent.Body.String() != hidden.Body.String() || fmt.Sprint(absent.Header()) != fmt.Sprint(hidden.Header()) {
		t.Errorf("absent: %v %s\nhidden: %v %s", absent.Header(), absent.Body, hidden.Header(), hidden.Body)
	}
}

func TestAnErrorAfterTheFirstByteBreaksTheConnection(t *testing.T) {
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v; want http.ErrAbortHandler", p)
		}
	}()
	ask(func(c *gin.Context) {
		c.String(http.StatusOK, "half a st")
		answer.Error(c, record.ErrTampered)
	})
	t.Error("the answer ended cleanly")
}

func TestActorOfARequest(t *testing.T) {
	ask(func(c *gin.Context) {
		if a := answer.Actor(c); a != (record.Actor{}) {
			t.Errorf("nobody is %+v", a)
		}
		answer.SetActor(c, record.Actor{ID: "u"})
		if a := answer.Actor(c); a.ID != "u" {
			t.Errorf("Actor = %+v", a)
		}
	})
	if w := ask(func(c *gin.Context) { answer.JSON(c, http.StatusCreated, gin.H{"a": 1}) }); w.Code != 201 || w.Body.String() != `{"a":1}` {
		t.Errorf("JSON wrote %d %s", w.Code, w.Body)
	}
	if w := ask(func(c *gin.Context) { answer.JSON(c, http.StatusOK, func() {}) }); w.Code != 500 {
		t.Errorf("what cannot be marshalled answered %d", w.Code)
	}
}
