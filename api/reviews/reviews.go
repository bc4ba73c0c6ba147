// Package reviews is the face of what persons decide about the de-identified view:
// /api/v1/reviews, where withheld documents are looked at and released or refused, and
// /api/v1/rederivations, where two persons bring all documents to today's rules.
package reviews

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault}
	r = r.Group("", answer.WholePath)
	r.GET("/reviews", f.list)
	r.GET("/reviews/:object", f.show)
	r.GET("/reviews/:object/preview", f.preview)
	r.POST("/reviews/:object/release", f.release)
	r.POST("/reviews/:object/refuse", f.refuse)
	r.POST("/rederivations", f.rederive)
	r.GET("/rederivations", f.rederivations)
	r.GET("/rederivations/:id", f.rederivation)
	r.POST("/rederivations/:id/approve", f.approve)
}

type face struct{ vault *vault.Vault }

func (f *face) list(c *gin.Context) {
	q, err := queryOf(c.Request.URL.Query())
	if err != nil {
		answer.Error(c, err)
		return
	}
	page, err := f.vault.Reviews(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, page)
}

func queryOf(values url.Values) (q vault.ReviewQuery, err error) {
	if err := only(values, "state", "after", "limit"); err != nil {
		return q, err
	}
	q.State = values.Get("state")
	if after := values.Get("after"); after != "" {
		if q.After, err = record.ParseObjectID(after); err != nil {
			return q, badQuery("after", "the value of next in the page before")
		}
	}
	if limit := values.Get("limit"); limit != "" {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 {
			return q, badQuery("limit", "a number from 1")
		}
	}
	return q, nil
}

// only refuses parameters that would be ignored: whoever sends one believes it counts.
func only(values url.Values, known ...string) error {
	for name, v := range values {
		ok := false
		for _, k := range known {
			ok = ok || name == k
		}
		if !ok || len(v) > 1 && name != "mask" {
			return record.Refuse(record.ErrInvalid, "unsupported-parameter", "parameters are "+strings.Join(known, ", ")+", each at most once but for mask")
		}
	}
	return nil
}

func badQuery(name, want string) error {
	return record.Refuse(record.ErrInvalid, "bad-"+name, name+" must be "+want)
}

func (f *face) show(c *gin.Context) {
	id, err := objectOf(c, "object")
	if err != nil {
		answer.Error(c, err)
		return
	}
	review, err := f.vault.Review(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, review)
}

// preview answers with a picture that was drawn whole: what fails on the way has a
// status of its own.
func (f *face) preview(c *gin.Context) {
	id, err := objectOf(c, "object")
	if err != nil {
		answer.Error(c, err)
		return
	}
	o, err := previewOf(c.Request.URL.Query())
	if err != nil {
		answer.Error(c, err)
		return
	}
	var picture bytes.Buffer
	if err := f.vault.Preview(c.Request.Context(), answer.Actor(c), id, o, &picture); err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "image/png", picture.Bytes())
}

func previewOf(values url.Values) (o vault.PreviewOptions, err error) {
	if err := only(values, "frame", "unmasked", "mask"); err != nil {
		return o, err
	}
	if n := values.Get("frame"); n != "" {
		if o.Frame, err = strconv.Atoi(n); err != nil || o.Frame < 1 {
			return o, badQuery("frame", "a number from 1")
		}
	}
	if u := values.Get("unmasked"); u != "" {
		if o.Unmasked, err = strconv.ParseBool(u); err != nil {
			return o, badQuery("unmasked", "true or false")
		}
	}
	for _, m := range values["mask"] {
		mask, err := parseMask(m)
		if err != nil {
			return o, err
		}
		o.Masks = append(o.Masks, mask)
	}
	return o, nil
}

// parseMask reads x,y,width,height.
func parseMask(s string) (m vault.Mask, err error) {
	parts := strings.Split(s, ",")
	into := []*int{&m.X, &m.Y, &m.Width, &m.Height}
	if len(parts) != len(into) {
		return m, badQuery("mask", "x,y,width,height in pixels")
	}
	for i, part := range parts {
		if *into[i], err = strconv.Atoi(part); err != nil {
			return m, badQuery("mask", "x,y,width,height in pixels")
		}
	}
	return m, nil
}

// Released is the answer to POST release.
type Released struct {
	Object record.ObjectID `json:"object"` // what stands in the place of the withheld one
}

func (f *face) release(c *gin.Context) {
	var body vault.NewRelease
	id, err := objectOf(c, "object")
	if err == nil {
		err = answer.Body(c.Request.Body, &body, `{"masks": [{"frame": 1, "x": 0, "y": 0, "width": 10, "height": 10}], "accept": ["…"], "reason": "…"}`)
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	now, err := f.vault.Release(c.Request.Context(), answer.Actor(c), id, body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Released{now})
}

// NewRefusal is the body of POST refuse.
type NewRefusal struct {
	Reason string `json:"reason"`
}

func (f *face) refuse(c *gin.Context) {
	var body NewRefusal
	id, err := objectOf(c, "object")
	if err == nil {
		err = answer.Body(c.Request.Body, &body, `{"reason": "…"}`)
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	if err := f.vault.Refuse(c.Request.Context(), answer.Actor(c), id, body.Reason); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// objectOf is the id of the path. What is no id cannot exist.
func objectOf(c *gin.Context, name string) (record.ObjectID, error) {
	id, err := record.ParseObjectID(c.Param(name))
	if err != nil {
		return "", record.ErrNotFound
	}
	return id, nil
}
