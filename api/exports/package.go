package exports

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/portable"
	"medvault/vault"
	"medvault/vault/record"
)

// Headers that name a package before its first part.
const (
	HeaderPackage = "Medvault-Package" // id
	HeaderPatient = "Medvault-Patient" // token
)

// packaged answers with multipart/mixed: what was made for the package, each file with its
// path as Content-Location, then the manifest, and last its signature, without which the
// answer was cut. The documents that the manifest names are fetched one by one.
func (f *face) packaged(c *gin.Context, body NewExport) {
	p, err := f.vault.Package(c.Request.Context(), answer.Actor(c), vault.PackageRequest{Patient: body.Patient, Issuer: body.Issuer, PatientID: body.PatientID,
		Ground: vault.Ground{Case: body.Case}})
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header(HeaderPackage, string(p.ID))
	c.Header(HeaderPatient, string(p.Patient))
	out := &parts{c: c, w: multipart.NewWriter(c.Writer), contentType: "multipart/mixed"}
	_, err = portable.Make(c.Request.Context(), p, answer.Language(c), func(path, mediaType string) (io.Writer, error) {
		return out.next(mediaType, path), nil
	})
	if err == nil {
		err = out.w.Close()
	}
	if err != nil {
		answer.Error(c, err) // breaks the connection once a byte is out
	}
}

// PackageKey is the answer to GET exports/{id}.
type PackageKey struct {
	Package record.ObjectID     `json:"package"`
	Patient record.PatientToken `json:"patient"`
	Key     []byte              `json:"key"` // 32 bytes: keep with it on disk what has come, while not all of it has
}

// key tells whoever fetches a package the key of what they have fetched so far.
func (f *face) key(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	patient, err := record.ParsePatientToken(c.Query("patient"))
	if err != nil {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-patient", "name the patient of the package: patient=TOKEN"))
		return
	}
	key, err := f.vault.PackageKey(c.Request.Context(), answer.Actor(c), patient, id, byCase(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	answer.JSON(c, http.StatusOK, PackageKey{Package: id, Patient: patient, Key: key})
}

// byCase is the ground that a query names: case=ID.
func byCase(c *gin.Context) vault.Ground { return vault.Ground{Case: record.ObjectID(c.Query("case"))} }

// document streams the original of a document from a byte on, which a Range header may
// name (RFC 9110 14.1.2, one range that is open at its end). Each request is decided anew.
func (f *face) document(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("object"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	ctx := c.Request.Context()
	h, err := f.vault.OpenPackaged(ctx, answer.Actor(c), id, byCase(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	from, err := rangeFrom(c.GetHeader("Range"), h.Size)
	if err != nil {
		answer.Error(c, err)
		return
	}
	body, err := h.Reader(ctx)
	if err != nil {
		answer.Error(c, err)
		return
	}
	defer body.Close()
	// What was given before is restored again and dropped: the hash at the end is of all.
	if _, err := io.CopyN(io.Discard, body, from); err != nil {
		answer.Error(c, err)
		return
	}
	ahead := bufio.NewReaderSize(body, 64<<10)
	if _, err := ahead.Peek(1); err != nil && err != io.EOF {
		answer.Error(c, err)
		return
	}
	status := http.StatusOK
	if from > 0 {
		status = http.StatusPartialContent
		c.Header("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, h.Size-1, h.Size))
	}
	c.Header("Accept-Ranges", "bytes")
	c.Header("Content-Type", "application/octet-stream")
	c.Header("Content-Length", strconv.FormatInt(h.Size-from, 10))
	if sum, err := hex.DecodeString(h.SHA256); err == nil && len(sum) == 32 {
		c.Header("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":") // RFC 9530
	}
	c.Status(status)
	c.Writer.WriteHeaderNow()
	if _, err := ahead.WriteTo(c.Writer); err != nil {
		answer.Error(c, err)
	}
}

// rangeFrom is the first byte that is asked for.
func rangeFrom(header string, size int64) (int64, error) {
	if header == "" {
		return 0, nil
	}
	text, ok := strings.CutPrefix(header, "bytes=")
	text, open := strings.CutSuffix(text, "-")
	from, err := strconv.ParseInt(text, 10, 64)
	if !ok || !open || err != nil || from < 0 || from > 0 && from >= size {
		return 0, record.Refuse(record.ErrInvalid, "bad-range", "Range is bytes=N-, from a byte to the end")
	}
	return from, nil
}
