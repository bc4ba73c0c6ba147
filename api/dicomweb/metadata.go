package dicomweb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// metadata answers with one JSON array of the documents' attributes (PS3.18
// 10.4.1.1.2), streamed document by document.
func (f *face) metadata(c *gin.Context) {
	query, err := parseQuery(c.Request.URL.RawQuery)
	if err != nil {
		answer.Error(c, err)
		return
	}
	contentType, err := jsonType(accepted(c.Request.Header, query))
	if err != nil {
		answer.Error(c, err)
		return
	}
	opened, err := f.open(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	tag := f.etag(opened, contentType)
	if matches(c.Request.Header.Values("If-None-Match"), tag) {
		c.Header("ETag", tag)
		c.Status(http.StatusNotModified)
		return
	}

	// The first document is read before the status is sent: what fails there is
	// answered by its own status.
	ctx := c.Request.Context()
	first, err := f.attributes(ctx, opened.Documents[0])
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Content-Type", contentType)
	c.Header("ETag", tag)
	c.Header("Cache-Control", "private, no-cache") // kept by the client, asked again each time
	if opened.Withheld > 0 {
		c.Status(http.StatusPartialContent)
	} else {
		c.Status(http.StatusOK)
	}
	if c.Request.Method == http.MethodHead {
		return
	}
	c.Writer.WriteString("[")
	c.Writer.Write(first)
	for _, h := range opened.Documents[1:] {
		next, err := f.attributes(ctx, h)
		if err != nil {
			answer.Error(c, err)
			return
		}
		c.Writer.WriteString(",")
		c.Writer.Write(next)
	}
	c.Writer.WriteString("]")
}

// attributes are a document's metadata with absolute bulk data URIs.
func (f *face) attributes(ctx context.Context, h *vault.Handle) ([]byte, error) {
	raw, err := h.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	return absolute(raw, f.url(h.Study, h.Series, h.Instance))
}

// absolute puts the instance's address before each bulk data URI. In compact JSON
// the text looked for cannot be part of a value: its quotes would be escaped.
func absolute(raw json.RawMessage, instance string) ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, fmt.Errorf("metadata of a document: %w", err)
	}
	at, err := json.Marshal(instance)
	if err != nil {
		return nil, err
	}
	prefix := append([]byte(`"BulkDataURI":`), at[:len(at)-1]...)
	return bytes.ReplaceAll(compact.Bytes(), []byte(`"BulkDataURI":"bulk/`), append(prefix, "/bulkdata/"...)), nil
}

// etag names what metadata would answer. A stored document never changes under its id,
// only what it is corrected to does; weak, because the wording may change with us.
func (f *face) etag(o *vault.Opened, contentType string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%d\n", f.base, contentType, o.Withheld)
	for _, d := range o.Documents {
		fmt.Fprintf(h, "%s %s %s %s %s %s\n", d.ID, d.View, d.Edition, d.Study, d.Series, d.Instance)
	}
	return `W/"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`
}

// matches is RFC 9110 13.1.2 by weak comparison.
func matches(headers []string, tag string) bool {
	for _, h := range headers {
		for candidate := range strings.SplitSeq(h, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}
