package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"medvault/vault/record"
)

// Vault is the front door. Build it with New; safe for concurrent use.
type Vault struct{}

// Upload is one document on its way in.
type Upload struct {
	Kind      record.Kind // zero: told from the first bytes
	Body      io.Reader   // read once, to its end
	Study     string      // DICOM: when set, the instance must belong to it
	PatientID string      // PDF: required
	Issuer    string      // PDF: Issuer of Patient ID; default the actor's institution's
	Category  string      // policy 1.1; default "imaging" for DICOM, "report" for PDF
	Title     string      // PDF: sealed with it
}

// Receipt tells the sender what became of an upload. The UIDs are the sender's
// own and are filled as far as they were read, also when Put failed.
type Receipt struct {
	ID                                   record.ObjectID
	Patient                              record.PatientToken
	Present                              bool // the same bytes were here already
	SOPClass, SOPInstance, Study, Series string
	Regions                              []string // that hold it now
}

// Put stores a document: see put.go.
func (v *Vault) Put(ctx context.Context, a record.Actor, up Upload) (Receipt, error) {
	return Receipt{}, errStub
}

// Level of a search.
type Level string

const (
	LevelStudy    Level = "study"
	LevelSeries   Level = "series"
	LevelInstance Level = "instance"
)

// Query is a search at one level. Match keys are DICOM keywords; supported are
// StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, PatientID,
// IssuerOfPatientID, PatientName, PatientBirthDate, StudyDate, Modality,
// ModalitiesInStudy, AccessionNumber and SOPClassUID; any other is ErrInvalid
// with code "unsupported-key", because a filter that is dropped returns other
// patients' studies.
type Query struct {
	Level         Level
	Study, Series string // from the URL; "" is any
	Match         map[string][]string
	Limit, Offset int // Limit 0: the vault's maximum
}

// Match is one result, in the view the actor may see.
type Match struct {
	Attributes              map[string]json.RawMessage // DICOM JSON by tag, counts included
	Study, Series, Instance string
	Patient                 record.PatientToken
	View                    record.View
}

// Page is a part of the results; More is how many lie beyond it.
type Page struct {
	Matches []Match
	More    int
}

// Find searches what the actor may see.
func (v *Vault) Find(ctx context.Context, a record.Actor, q Query) (Page, error) {
	return Page{}, errStub
}

// Ref names what to open: by UIDs, original or mapped, or by object id.
type Ref struct {
	Study, Series, Instance string
	Document                record.ObjectID
}

// Opened is what lies under a Ref and may be read. Withheld counts what the actor
// may know of but cannot be given now, as de-identified views held for review.
type Opened struct {
	Documents []*Handle
	Withheld  int
}

// Open decides and writes the log leaves; every Handle it returns may be read.
func (v *Vault) Open(ctx context.Context, a record.Actor, ref Ref) (*Opened, error) {
	return nil, errStub
}

// Handle is one document that may be read, in one view.
type Handle struct {
	ID                                record.ObjectID
	Patient                           record.PatientToken
	Kind                              record.Kind
	View                              record.View
	Study, Series, Instance, SOPClass string // as this view shows them
	TransferSyntax                    string
	Size                              int64 // bytes of this view
	Category, Title                   string
	Frames                            int
}

// Reader streams the view's bytes; the last read fails unless the whole matched
// its SHA-256.
func (h *Handle) Reader(ctx context.Context) (io.ReadCloser, error) { return nil, errStub }

// Explicit writes the view in Explicit VR Little Endian; what only a decoder could
// do is ErrNotAcceptable, before the first byte.
func (h *Handle) Explicit(ctx context.Context, w io.Writer) error { return errStub }

// Metadata returns the view's attributes as one DICOM JSON object. A BulkDataURI
// is "bulk/GGGGEEEE".
func (h *Handle) Metadata(ctx context.Context) (json.RawMessage, error) { return nil, errStub }

// Frame streams frame n (from 1) by one ranged read. Beyond the last: ErrNotFound.
func (h *Handle) Frame(ctx context.Context, n int) (io.ReadCloser, error) { return nil, errStub }

// Bulk streams the value of a top-level element, named by eight hex digits.
func (h *Handle) Bulk(ctx context.Context, tag string) (io.ReadCloser, error) { return nil, errStub }

// Care is one care relationship.
type Care struct {
	ID        record.ObjectID     `json:"id"`
	Patient   record.PatientToken `json:"patient"`
	Clinician string              `json:"clinician"`
	From      time.Time           `json:"from"`
	Until     *time.Time          `json:"until,omitempty"`
	Ended     *time.Time          `json:"ended,omitempty"`
	Origin    string              `json:"origin"` // "manual", "dev-auto-care"
}

// AddCare states that a clinician treats a patient from now until then (zero: open).
func (v *Vault) AddCare(ctx context.Context, a record.Actor, p record.PatientToken, clinician string, until time.Time) (Care, error) {
	return Care{}, errStub
}

// EndCare ends a care relationship now.
func (v *Vault) EndCare(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID) error {
	return errStub
}

// ListCare lists a patient's care relationships, ended ones included.
func (v *Vault) ListCare(ctx context.Context, a record.Actor, p record.PatientToken) ([]Care, error) {
	return nil, errStub
}

// RegionStatus is what the vault knows of one region.
type RegionStatus struct {
	Name         string `json:"name"`
	Jurisdiction string `json:"jurisdiction"`
	Reachable    bool   `json:"reachable"`
	KeyService   bool   `json:"keyService"` // it can wrap and unwrap now
	Objects      int64  `json:"objects"`    // the catalog says it holds
	Bytes        int64  `json:"bytes"`
	Pending      int64  `json:"pending"` // copies still to be made
	Problem      string `json:"problem,omitempty"`
}

// Regions tells the state of every region.
func (v *Vault) Regions(ctx context.Context, a record.Actor) ([]RegionStatus, error) {
	return nil, errStub
}

// VerifyOptions chooses what to prove.
type VerifyOptions struct {
	Level  string // "list" or "read"
	Region string // "" is all
}

// Finding is one thing that is not as it must be.
type Finding struct {
	Type     string `json:"type"` // missing, wrong-size, damaged, foreign, unreachable
	Region   string `json:"region"`
	Object   string `json:"object"` // object id, or the key where there is none
	Evidence string `json:"evidence"`
	Repair   string `json:"repair"`
}

// Report of a verification.
type Report struct {
	Level    string    `json:"level"`
	Regions  []string  `json:"regions"`
	Checked  int64     `json:"checked"`
	Findings []Finding `json:"findings"`
}

// Verify compares regions with what the catalog says they hold. It touches no key.
func (v *Vault) Verify(ctx context.Context, a record.Actor, o VerifyOptions, progress func(done, total int64)) (Report, error) {
	return Report{}, errStub
}

// AuditReport is what a check of the log found.
type AuditReport struct {
	Size     int64  `json:"size"` // leaves
	Root     string `json:"root"` // base64 tree hash
	Pending  int64  `json:"pending"`
	Intact   bool   `json:"intact"`
	Evidence string `json:"evidence,omitempty"` // first place that does not hold
}

// AuditVerify recomputes the log from its leaves and compares it with the signed head.
func (v *Vault) AuditVerify(ctx context.Context, a record.Actor) (AuditReport, error) {
	return AuditReport{}, errStub
}

// Ready is nil when the vault can store and open now; otherwise it names the
// region or key service that is missing.
func (v *Vault) Ready(ctx context.Context) error { return errStub }

var errStub = errors.New("not built yet")
