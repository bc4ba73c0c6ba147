package dicomweb

import (
	"bufio"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// maxInstances bounds one request, because its answer names each.
const maxInstances = 100_000

// store answers a STOW-RS request (PS3.18 10.5): instances stream from the body into
// the vault one after the other, each on its own success or failure.
func (f *face) store(c *gin.Context) {
	ref, err := target(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
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
	body, err := readBody(c.Request)
	if err != nil {
		unsupported := new(unsupportedType)
		if errors.As(err, &unsupported) {
			c.AbortWithStatusJSON(http.StatusUnsupportedMediaType, answer.Problem{Code: "unsupported-media-type", Message: unsupported.Error(), RequestID: answer.RequestID(c)})
			return
		}
		answer.Error(c, err)
		return
	}

	// Before a byte of the body is read.
	if err := f.vault.MayStore(c.Request.Context(), answer.Actor(c)); err != nil {
		answer.Error(c, err)
		return
	}

	outcome := storing{study: ref.Study, url: f.url}
	for {
		instance, err := body.next()
		if err == io.EOF {
			break
		}
		if err == nil && outcome.parts == maxInstances {
			err = record.Refuse(record.ErrTooLarge, "too-many-instances", "send fewer instances in one request")
		}
		if err != nil {
			outcome.broken = err
			break
		}
		if instance.refused != nil {
			outcome.add(vault.Receipt{}, instance.refused)
			continue
		}
		receipt, err := f.vault.Put(c.Request.Context(), answer.Actor(c), vault.Upload{Kind: record.KindDICOM, Body: instance, Study: ref.Study})
		if instance.broken != nil {
			// The body was cut within this instance. The vault met the same error and
			// has kept nothing of it.
			outcome.add(receipt, cut(instance.broken))
			outcome.broken = instance.broken
			break
		}
		outcome.add(receipt, err)
	}
	f.answerStore(c, contentType, &outcome)
}

// answerStore chooses between the response that names every instance and, where
// nothing was stored for one reason that is not the instances' fault, that reason.
func (f *face) answerStore(c *gin.Context, contentType string, o *storing) {
	status := o.status()
	if len(o.stored) == 0 {
		switch status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable, http.StatusInternalServerError:
			answer.Error(c, o.failed[0].err)
			return
		}
		if len(o.failed) == 0 {
			answer.Error(c, record.Refuse(record.ErrInvalid, "no-instances", "send one instance in each part and close the body with its boundary"))
			return
		}
	}
	if tokens := o.patients(); len(tokens) > 0 {
		c.Header("Medvault-Patient", strings.Join(tokens, ","))
	}
	for _, failure := range o.failed {
		c.Error(failure.err) // for the log line of the request
	}
	c.Data(status, contentType, o.response())
}

// storing is what became of a store request so far.
type storing struct {
	study  string // of the target; "" when mixed studies are allowed
	url    func(study, series, instance string) string
	parts  int
	stored []stored
	failed []failed
	broken error // the body itself could not be read on
}

type stored struct {
	part    int
	receipt vault.Receipt
}

type failed struct {
	part    int
	receipt vault.Receipt // UIDs as far as they were read
	err     error
	reason  int
}

func (o *storing) add(r vault.Receipt, err error) {
	o.parts++
	if err == nil {
		o.stored = append(o.stored, stored{o.parts, r})
		return
	}
	reason := failureReason(err)
	if o.study != "" && r.Study != "" && r.Study != o.study && errors.Is(err, record.ErrConflict) {
		reason = reasonStudy
	}
	o.failed = append(o.failed, failed{o.parts, r, err, reason})
}

// maxTokens bounds the header that lists patients: proxies refuse longer ones.
const maxTokens = 32

// patients lists the tokens of whose documents were stored, each once; none when
// they are too many.
func (o *storing) patients() []string {
	var tokens []string
	for _, s := range o.stored {
		if t := string(s.receipt.Patient); !slices.Contains(tokens, t) {
			if len(tokens) == maxTokens {
				return nil
			}
			tokens = append(tokens, t)
		}
	}
	return tokens
}

// status is the status code by PS3.18 table 10.5.3-1 and 8.5.
func (o *storing) status() int {
	switch {
	case o.broken != nil:
		if answer.Status(o.broken) == http.StatusRequestEntityTooLarge {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusBadRequest
	case o.parts == 0:
		return http.StatusBadRequest
	case len(o.failed) == 0:
		return http.StatusOK
	case len(o.stored) > 0:
		return http.StatusAccepted
	}
	// Nothing was stored. Where the one reason is not a fault of the instances, it is
	// the answer.
	first := answer.Status(o.failed[0].err)
	for _, failure := range o.failed {
		if answer.Status(failure.err) != first {
			return http.StatusConflict
		}
	}
	switch first {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable, http.StatusInternalServerError:
		return first
	}
	return http.StatusConflict
}

// Failure reasons (0008,1197): PS3.18 table I.2-2 and PS3.7 annex C.
const (
	reasonProcessing    = 0x0110 // 272: processing failure, key service down
	reasonSOPClass      = 0x0122 // 290: SOP class not supported
	reasonNotAuthorised = 0x0124 // 292: refused by policy, consent or erasure
	reasonResources     = 0xA700 // 42752: no quorum of regions, or too large
	reasonStudy         = 0xA901 // 43265: does not belong to the study of the target
	reasonConflict      = 0xB00E // 45070: other bytes are stored under this SOP Instance UID
	reasonUnreadable    = 0xC000 // 49152: cannot understand
	reasonSyntax        = 0xC122 // 49442: transfer syntax not supported
)

func failureReason(err error) int {
	code := answer.Code(err)
	switch {
	case errors.Is(err, record.ErrUnauthenticated), errors.Is(err, record.ErrDenied), errors.Is(err, record.ErrErased), errors.Is(err, record.ErrNotFound):
		return reasonNotAuthorised
	case errors.Is(err, record.ErrConflict):
		if strings.Contains(code, "study") {
			return reasonStudy
		}
		return reasonConflict
	case errors.Is(err, record.ErrUnreadable), errors.Is(err, record.ErrInvalid):
		switch {
		case strings.Contains(code, "sop-class"):
			return reasonSOPClass
		case strings.Contains(code, "transfer-syntax"):
			return reasonSyntax
		case strings.Contains(code, "study"):
			return reasonStudy
		}
		return reasonUnreadable
	case errors.Is(err, record.ErrTooLarge):
		return reasonResources
	case errors.Is(err, record.ErrUnavailable):
		if strings.Contains(code, "quorum") || strings.Contains(code, "region") {
			return reasonResources
		}
		return reasonProcessing
	}
	return reasonProcessing
}

// body hands out the instances of a store request, one at a time, unbuffered.
type body struct {
	parts *multipart.Reader // nil: the body is one instance
	whole io.Reader
}

// instance is the bytes of one part.
type instance struct {
	r       io.Reader
	refused error // set when the part says itself that it is no instance
	broken  error // what ended reading before its end: a fault of the body
}

func (i *instance) Read(b []byte) (int, error) {
	n, err := i.r.Read(b)
	if err != nil && err != io.EOF {
		i.broken = err
	}
	return n, err
}

type unsupportedType struct{}

func (*unsupportedType) Error() string {
	return `send multipart/related; type="application/dicom"; boundary=…, or one instance as application/dicom`
}

// cut is why an instance failed in which the body broke off.
func cut(err error) error {
	if answer.Status(err) == http.StatusRequestEntityTooLarge {
		return err
	}
	return record.Refuse(record.ErrUnreadable, "body-cut", "the body ended before its closing boundary; send again what is not named as stored")
}

// readBody looks at the Content-Type only.
func readBody(r *http.Request) (*body, error) {
	t, err := parseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, &unsupportedType{}
	}
	switch t.Type {
	case "application/dicom":
		return &body{whole: r.Body}, nil
	case "multipart/related":
		if of := strings.ToLower(t.Params["type"]); of != "" && of != "application/dicom" {
			return nil, &unsupportedType{}
		}
		if t.Params["boundary"] == "" {
			return nil, record.Refuse(record.ErrInvalid, "no-boundary", "name the boundary in the Content-Type")
		}
		// multipart.Reader asks for 4 KiB at a time: a system call each without the buffer.
		return &body{parts: multipart.NewReader(unended(bufio.NewReaderSize(r.Body, 64<<10)), t.Params["boundary"])}, nil
	}
	return nil, &unsupportedType{}
}

// unended makes the end of r an error. multipart.Reader stops at the closing boundary
// and reads no further; a body that was cut among the headers of a part it would
// otherwise take for a whole one. The line break is for closing boundaries without.
func unended(r io.Reader) io.Reader {
	end, w := io.Pipe()
	w.CloseWithError(io.ErrUnexpectedEOF)
	return io.MultiReader(r, strings.NewReader("\r\n"), end)
}

// next is the next instance; io.EOF after the closing boundary, and only there.
func (b *body) next() (*instance, error) {
	if b.parts == nil {
		if b.whole == nil {
			return nil, io.EOF
		}
		i := &instance{r: b.whole}
		b.whole = nil
		return i, nil
	}
	p, err := b.parts.NextRawPart()
	if err != nil {
		return nil, err
	}
	if kind := p.Header.Get("Content-Type"); kind != "" {
		t, err := parseMediaType(kind)
		if err != nil || t.Type != "application/dicom" && t.Type != "application/octet-stream" {
			return &instance{refused: record.Refuse(record.ErrUnreadable, "unsupported-part-type", "send each part as application/dicom")}, nil
		}
	}
	return &instance{r: p}, nil
}
