package answer

import (
	"context"
	"errors"
	"net/http"

	"medvault/vault/record"
)

// CodeNoIdentity is answered to who shows no credential at all.
const CodeNoIdentity = "no-identity"

const retryAfterSeconds = 10

// row is how one sentinel is answered when its error carries no Refusal.
type row struct {
	sentinel error
	status   int
	code     string
	message  string
}

// rows lists the sentinels, the gravest first: an error that wraps two of them is
// answered by the one that stands higher here.
func rows() []row {
	return []row{
		{record.ErrTampered, http.StatusInternalServerError, "integrity-broken", "the stored bytes did not verify and were withheld; tell the operator the request id"},
		{record.ErrUnauthenticated, http.StatusUnauthorized, CodeNoIdentity, "send a bearer token in the Authorization header"},
		{record.ErrNotFound, http.StatusNotFound, "not-found", "there is nothing here that you may see"},
		{record.ErrDenied, http.StatusForbidden, "denied", "your role, purpose or relationship to the patient does not permit this"},
		{record.ErrErased, http.StatusGone, "erased", "this patient's documents have been erased for good"},
		{record.ErrConflict, http.StatusConflict, "conflict", "another document is stored under this identity; nothing was changed"},
		{record.ErrTooLarge, http.StatusRequestEntityTooLarge, "too-large", "send less in one request"},
		{record.ErrUnreadable, http.StatusUnprocessableEntity, "unreadable", "the document cannot be read; nothing was kept"},
		{record.ErrNotAcceptable, http.StatusNotAcceptable, "not-acceptable", "ask for a media type and transfer syntax that the document has"},
		{record.ErrInvalid, http.StatusBadRequest, "bad-request", "correct the request and send it again"},
		{record.ErrTooMany, http.StatusTooManyRequests, "too-many", "ask again later"},
		{record.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "keys, a quorum of regions or the catalog are missing now; try again"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "timeout", "this took too long; try again"},
		{context.Canceled, http.StatusServiceUnavailable, "canceled", "the request was given up before it was answered; try again"},
	}
}

// tell is the table: what a client learns of an error. An error of no known kind is
// an internal error and nothing more.
func tell(err error) (status int, code, message string) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = record.ErrTooLarge
	}
	for _, r := range rows() {
		if !errors.Is(err, r.sentinel) {
			continue
		}
		// Absent, and denied to one who may not know, must be the same answer to the
		// byte; and what damage was found is for the operator's log only.
		if r.sentinel == record.ErrNotFound || r.sentinel == record.ErrTampered {
			return r.status, r.code, r.message
		}
		var refusal *record.Refusal
		if errors.As(err, &refusal) && refusal.Kind == r.sentinel {
			return r.status, refusal.Code, refusal.Advice
		}
		return r.status, r.code, r.message
	}
	return http.StatusInternalServerError, "internal", "something went wrong here; tell the operator the request id"
}
