package operations

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// registerVerifications adds what proves and mends the regions.
func (f *face) registerVerifications(r gin.IRouter) {
	r.POST("/verifications", f.verify)
	r.GET("/verifications", f.verifications)
	r.GET("/verifications/:id", f.verification)
	r.POST("/repairs", f.repair)
	r.GET("/quarantine", f.quarantine)
	r.POST("/quarantine/:id/deletions", f.discard)
}

// Progress is one line of a verification that is answered as
// application/x-ndjson: ID first, by which it can be resumed should it be cut; Done and
// Total while it runs; the last line holds Report or, when it could not be finished,
// Error. An answer without such a line was cut.
type Progress struct {
	ID     record.ObjectID `json:"id,omitempty"`
	Done   int64           `json:"done"`
	Total  int64           `json:"total"`
	Report *vault.Report   `json:"report,omitempty"`
	Error  *answer.Problem `json:"error,omitempty"`
}

func (f *face) verify(c *gin.Context) {
	var o vault.VerifyOptions
	if err := decode(c.Request.Body, &o); err != nil {
		answer.Error(c, err)
		return
	}
	o.Level = cmp.Or(o.Level, vault.LevelList)
	out := &lines{c: c}
	o.Begun = func(id record.ObjectID) {
		if aloud(c) {
			out.tell(Progress{ID: id})
		}
	}
	answerAloud(c, out, func(ctx context.Context, progress func(done, total int64)) (any, any, error) {
		report, err := f.vault.Verify(ctx, answer.Actor(c), o, progress)
		report = whole(report)
		return report, Progress{Done: report.Checked, Total: report.Checked, Report: &report}, err
	})
}

// whole makes lists of what might be null.
func whole(r vault.Report) vault.Report {
	if r.Regions == nil {
		r.Regions = []string{}
	}
	if r.Findings == nil {
		r.Findings = []vault.Finding{}
	}
	return r
}

// RepairProgress is to a repair what Progress is to a verification.
type RepairProgress struct {
	Done   int64               `json:"done"`
	Total  int64               `json:"total"`
	Report *vault.RepairReport `json:"report,omitempty"`
	Error  *answer.Problem     `json:"error,omitempty"`
}

func (f *face) repair(c *gin.Context) {
	var o vault.RepairOptions
	if err := decode(c.Request.Body, &o); err != nil {
		answer.Error(c, err)
		return
	}
	if _, err := record.ParseObjectID(string(o.Object)); o.Object != "" && err != nil {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-object", "object is an object id of 32 hex digits"))
		return
	}
	answerAloud(c, &lines{c: c}, func(ctx context.Context, progress func(done, total int64)) (any, any, error) {
		report, err := f.vault.Repair(ctx, answer.Actor(c), o, progress)
		return report, RepairProgress{Done: report.Checked, Total: report.Checked, Report: &report}, err
	})
}

func aloud(c *gin.Context) bool {
	return strings.Contains(c.GetHeader("Accept"), "application/x-ndjson")
}

// answerAloud answers with what a long act came to: line by line where that is asked
// for, the last line being its second result, or else whole, its first. The status goes
// out with the first line, so a refusal before it has a status of its own.
func answerAloud(c *gin.Context, out *lines, do func(context.Context, func(done, total int64)) (whole, last any, err error)) {
	if !aloud(c) {
		report, _, err := do(c.Request.Context(), nil)
		if err != nil {
			answer.Error(c, err)
			return
		}
		answer.JSON(c, http.StatusOK, report)
		return
	}
	_, last, err := do(c.Request.Context(), out.progress)
	switch {
	case err == nil:
		out.tell(last)
	case out.begun:
		c.Error(err) // for the log line of the request
		out.tell(Progress{Error: &answer.Problem{Code: answer.Code(err), Message: answer.Message(err), RequestID: answer.RequestID(c)}})
	default:
		answer.Error(c, err)
	}
}

// lines writes one JSON object a line, at once.
type lines struct {
	c *gin.Context

	mu    sync.Mutex
	begun bool
	last  time.Time
}

// progress may be called from any goroutine of the act.
func (l *lines) progress(done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= 200*time.Millisecond {
		l.last = now
		l.write(Progress{Done: done, Total: total})
	}
}

func (l *lines) tell(line any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(line)
}

// write is called with mu held. A client that has gone ends the act through its context,
// so the error of the write tells nothing new.
func (l *lines) write(line any) {
	if !l.begun {
		l.begun = true
		l.c.Header("Content-Type", "application/x-ndjson")
		l.c.Status(http.StatusOK)
	}
	data, err := json.Marshal(line)
	if err != nil {
		panic(err) // numbers and strings always marshal
	}
	l.c.Writer.Write(append(data, '\n'))
	l.c.Writer.Flush()
}

// Verifications is the answer to GET verifications: the newest first, and the last one
// of every level of every region that came to its end.
type Verifications struct {
	Verifications []vault.Verification   `json:"verifications"`
	Last          []vault.RegionVerified `json:"last"`
}

func (f *face) verifications(c *gin.Context) {
	var before time.Time
	var limit int
	var err error
	if text := c.Query("before"); text != "" {
		before, err = time.Parse(time.RFC3339, text)
	}
	if text := c.Query("limit"); text != "" && err == nil {
		limit, err = strconv.Atoi(text)
	}
	if err != nil {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-query", "before is a time as 2026-01-02T15:04:05Z, limit a number"))
		return
	}
	list, err := f.vault.Verifications(c.Request.Context(), answer.Actor(c), before, limit)
	if err != nil {
		answer.Error(c, err)
		return
	}
	last, err := f.vault.LastVerified(c.Request.Context())
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Verifications{append([]vault.Verification{}, list...), append([]vault.RegionVerified{}, last...)}) // empty lists, not null
}

func (f *face) verification(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	report, err := f.vault.VerificationReport(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, whole(report))
}

// Quarantine is the answer to GET quarantine.
type Quarantine struct {
	Quarantine []vault.Quarantined `json:"quarantine"`
	Away       []string            `json:"away"` // regions that did not answer
}

func (f *face) quarantine(c *gin.Context) {
	list, away, err := f.vault.Quarantine(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Quarantine{append([]vault.Quarantined{}, list...), append([]string{}, away...)}) // empty lists, not null
}

// Discarded is the answer to POST quarantine/{id}/deletions.
type Discarded struct {
	Item    vault.Quarantined `json:"item"`
	Deleted bool              `json:"deleted"` // false: proposed, for another person
}

func (f *face) discard(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	item, deleted, err := f.vault.Discard(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Discarded{item, deleted})
}
