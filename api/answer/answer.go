// Package answer is what every HTTP face shares: who asks, and how an answer or a
// refusal is written. What a client is told about an error comes from the table in
// this package, never from the error's own text.
package answer

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"medvault/vault"
	"medvault/vault/record"
)

type actorKey struct{}
type requestKey struct{}
type officerKey struct{}

// SetActor is called once, by the authentication in front of the faces.
func SetActor(c *gin.Context, a record.Actor) { c.Set(actorKey{}, a) }

// Actor is who sent this request. Without authentication it is the zero Actor,
// which may do nothing.
func Actor(c *gin.Context) record.Actor {
	v, _ := c.Get(actorKey{})
	a, _ := v.(record.Actor)
	return a
}

// SetRequestID is called once, first of all.
func SetRequestID(c *gin.Context, id string) { c.Set(requestKey{}, id) }

// RequestID names this request in its answer and in the log.
func RequestID(c *gin.Context) string {
	v, _ := c.Get(requestKey{})
	id, _ := v.(string)
	return id
}

// SetOfficer says whom refusals name as the one to write to. It is called once, first of
// all; without it they name nobody.
func SetOfficer(c *gin.Context, o vault.Officer) { c.Set(officerKey{}, &o) }

// officer is whom an answer of that status names: people who are refused have to know
// whom to ask.
func officer(c *gin.Context, status int) *vault.Officer {
	if status != http.StatusForbidden && status != http.StatusNotFound && status != http.StatusGone {
		return nil
	}
	v, _ := c.Get(officerKey{})
	o, _ := v.(*vault.Officer)
	return o
}

// JSON answers with v. What cannot be marshalled is answered as an internal error.
func JSON(c *gin.Context, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		Error(c, err)
		return
	}
	c.Data(status, "application/json", body)
}

// Problem is the body of every refusal.
type Problem struct {
	Code      string `json:"code"`    // kebab-case, for machines
	Message   string `json:"message"` // says what to do; no patient data
	RequestID string `json:"requestId,omitempty"`
	// Officer is the data protection officer, of 403, 404 and 410.
	Officer *vault.Officer `json:"officer,omitempty"`
}

// Error refuses or fails the request and ends it. Once a body has begun there is no
// answer left to give, so the connection is broken: call it last, and return.
func Error(c *gin.Context, err error) {
	c.Error(err) // for the log line of the request
	if c.Writer.Written() {
		panic(http.ErrAbortHandler) // a clean end would make half a body look whole
	}
	status, code, message := tell(err)
	// Headers that described the body which now does not come.
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "ETag"} {
		c.Writer.Header().Del(name)
	}
	switch status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="medvault"`
		if code != CodeNoIdentity {
			challenge += `, error="invalid_token"`
		}
		c.Header("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	body, err := json.Marshal(Problem{Code: code, Message: message, RequestID: RequestID(c), Officer: officer(c, status)})
	if err != nil {
		panic(err) // strings always marshal
	}
	c.Abort()
	c.Data(status, "application/json", body)
}

// Status is the status code with which Error answers err.
func Status(err error) int { status, _, _ := tell(err); return status }

// Code is the machine-readable reason with which Error answers err.
func Code(err error) string { _, code, _ := tell(err); return code }

// Message is the advice with which Error answers err: for faces that report one
// status an instance inside a larger answer.
func Message(err error) string { _, _, message := tell(err); return message }
