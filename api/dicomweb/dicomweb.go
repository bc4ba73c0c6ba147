// Package dicomweb is the DICOMweb face of the vault: STOW-RS (store.go), WADO-RS
// (retrieve.go, metadata.go, frames.go) and QIDO-RS (search.go) of DICOM PS3.18.
// It translates and decides nothing.
//
// Where the standard leaves room:
//
//   - A store request may also be one instance, Content-Type application/dicom.
//     Metadata with separate bulk data (application/dicom+json, +xml) is 415.
//   - The same bytes again are stored once and answered as stored. Other bytes under
//     a SOP Instance UID that is taken are failure reason 45070. The reasons used
//     are listed in store.go.
//   - Each item of a Store Instances Response also carries private elements of the
//     creator "MEDVAULT": part number, and on success patient token, object id and
//     whether it was here already, on failure a code and advice. The header
//     Medvault-Patient lists the patient tokens of what was stored, up to 32.
//   - A match key that is not supported is 400: a filter that is dropped returns
//     other patients' studies.
//   - Nothing is ever decoded. What only a decoder could turn into the asked
//     transfer syntax is 406, or left out of a larger answer, which is then 206.
//   - HEAD is answered as GET up to the first byte of the body.
//   - URLs are built from the configured base: clients send Host without its port.
package dicomweb

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault   *vault.Vault // required
	BaseURL string       // required: where clients reach the group that Register is given, as http://127.0.0.1:8042/dicomweb
}

// Register adds the DICOMweb routes to r, which is the group that BaseURL names.
// It stands behind authentication (answer.SetActor).
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault, base: strings.TrimRight(cfg.BaseURL, "/")}

	r = r.Group("", answer.WholePath)
	r.OPTIONS("", capabilities)
	r.OPTIONS("/", capabilities)

	r.POST("/studies", f.store)
	r.POST("/studies/:study", f.store)

	answer.Get(r, "/studies", f.search(vault.LevelStudy))
	answer.Get(r, "/series", f.search(vault.LevelSeries))
	answer.Get(r, "/instances", f.search(vault.LevelInstance))
	answer.Get(r, "/studies/:study/series", f.search(vault.LevelSeries))
	answer.Get(r, "/studies/:study/instances", f.search(vault.LevelInstance))
	answer.Get(r, "/studies/:study/series/:series/instances", f.search(vault.LevelInstance))

	const study, series, instance = "/studies/:study", "/studies/:study/series/:series", "/studies/:study/series/:series/instances/:instance"
	for _, resource := range []string{study, series, instance} {
		answer.Get(r, resource, f.retrieve)
		answer.Get(r, resource+"/metadata", f.metadata)
	}
	answer.Get(r, instance+"/frames/:frames", f.frames)
	answer.Get(r, instance+"/bulkdata/:tag", f.bulk)
}

type face struct {
	vault *vault.Vault
	base  string // without a slash at its end
}

// url is the address of a study, series or instance; levels not needed are "".
func (f *face) url(study, series, instance string) string {
	u := f.base + "/studies/" + study
	if series != "" {
		u += "/series/" + series
	}
	if instance != "" {
		u += "/instances/" + instance
	}
	return u
}

// target is the resource that the request's path names.
func target(c *gin.Context) (vault.Ref, error) {
	ref := vault.Ref{Study: c.Param("study"), Series: c.Param("series"), Instance: c.Param("instance")}
	for _, uid := range []string{ref.Study, ref.Series, ref.Instance} {
		if uid != "" && !plausibleUID(uid) {
			return vault.Ref{}, record.Refuse(record.ErrInvalid, "bad-uid", "a UID in the path is not one: send digits and dots")
		}
	}
	return ref, nil
}

// plausibleUID admits more than PS3.5 9.1, because what was stored with a crooked
// UID must be found again; it keeps out whatever could mean something in a path.
func plausibleUID(s string) bool {
	if s == "" || len(s) > 128 || strings.Trim(s, ".") == "" {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// open asks the vault for what the path names: at least one document.
func (f *face) open(c *gin.Context) (*vault.Opened, error) {
	ref, err := target(c)
	if err != nil {
		return nil, err
	}
	opened, err := f.vault.Open(c.Request.Context(), answer.Actor(c), ref)
	if err == nil && len(opened.Documents) == 0 {
		err = record.ErrNotFound
	}
	return opened, err
}

// capabilities describes the service in a line a service (PS3.18 8.9).
func capabilities(c *gin.Context) {
	c.Header("Allow", "OPTIONS")
	answer.JSON(c, http.StatusOK, map[string]any{
		"store":    []string{"POST studies", "POST studies/{study}"},
		"search":   []string{"GET studies", "GET series", "GET instances", "GET studies/{study}/series", "GET studies/{study}/instances", "GET studies/{study}/series/{series}/instances"},
		"retrieve": []string{"study", "series", "instance", "metadata", "frames", "bulkdata"},
		"match":    matchKeys(),
	})
}
