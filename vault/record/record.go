// Package record holds the words of the vault: ids, actors, roles, purposes,
// actions and the errors that every room speaks. It imports nothing of the house.
package record

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// ObjectID names one sealed object: 32 lower-case hex digits of 16 random bytes.
// It is also the file or key name under objects/ and records/ in every region.
type ObjectID string

// NewObjectID returns a fresh random id.
func NewObjectID() ObjectID {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return ObjectID(hex.EncodeToString(b[:]))
}

// ParseObjectID checks s. Anything but 32 lower-case hex digits is refused, so
// an id that came from outside can be part of a path.
func ParseObjectID(s string) (ObjectID, error) {
	if _, err := (ObjectID(s)).Bytes(); err != nil {
		return "", err
	}
	return ObjectID(s), nil
}

// Bytes returns the 16 bytes of the id.
func (id ObjectID) Bytes() (b [16]byte, err error) {
	if len(id) != 32 {
		return b, errors.New("object id must be 32 hex digits")
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return b, errors.New("object id must be lower-case hex")
		}
	}
	_, err = hex.Decode(b[:], []byte(id))
	return b, err
}

// Key is where an object with this id lies in a region's data bucket; class is
// "objects" or "records".
func (id ObjectID) Key(class string) string {
	return class + "/" + string(id[:2]) + "/" + string(id)
}

// PatientToken is the only name of a patient outside sealed bytes: "p" and 26
// lower-case base32 digits of a keyed hash of (issuer, PatientID).
type PatientToken string

// ParsePatientToken checks the form of s.
func ParsePatientToken(s string) (PatientToken, error) {
	if len(s) != 27 || s[0] != 'p' {
		return "", errors.New("patient token must be p and 26 base32 digits")
	}
	for _, c := range s[1:] {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return "", errors.New("patient token must be p and 26 base32 digits")
		}
	}
	return PatientToken(s), nil
}

// Kind says what an object is. The values are stored in sealed objects.
type Kind uint8

const (
	KindDICOM  Kind = 1
	KindPDF    Kind = 2
	KindRecord Kind = 3
	KindScan   Kind = 4 // a picture of paper
	KindFHIR   Kind = 5 // one FHIR R4 resource in JSON
)

func (k Kind) String() string {
	switch k {
	case KindDICOM:
		return "dicom"
	case KindPDF:
		return "pdf"
	case KindRecord:
		return "record"
	case KindScan:
		return "scan"
	case KindFHIR:
		return "fhir"
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// View is which form of a document an act sees.
type View string

const (
	ViewNone         View = ""
	ViewOriginal     View = "original"
	ViewDeidentified View = "deidentified"
)

// Role is what a person or service is to the vault.
type Role string

const (
	RoleRadiology  Role = "radiology"
	RoleClinician  Role = "clinician"
	RoleQuality    Role = "quality"
	RoleResearcher Role = "researcher"
	RoleOperator   Role = "operator"
	RoleDPO        Role = "dpo"
	RoleReviewer   Role = "reviewer"
	RoleAuditor    Role = "auditor"
	RoleAdmin      Role = "admin"
	RolePatient    Role = "patient"
	RoleGuardian   Role = "guardian"

	// RoleInterface is a hospital's system that says by HL7 v2 who treats whom, and can do
	// nothing else: no person's role, and no token may claim it.
	RoleInterface Role = "interface"
)

// Roles lists every role that a person, a token or an API client may have, in the order of
// the design.
func Roles() []Role {
	return []Role{RoleRadiology, RoleClinician, RoleQuality, RoleResearcher, RoleOperator,
		RoleDPO, RoleReviewer, RoleAuditor, RoleAdmin, RolePatient, RoleGuardian}
}

// Purpose is an HL7 v3 PurposeOfUse code.
type Purpose string

const (
	PurposeTreat    Purpose = "TREAT"
	PurposeETreat   Purpose = "ETREAT"
	PurposePatient  Purpose = "PATRQT"
	PurposeOperate  Purpose = "HOPERAT"
	PurposeQuality  Purpose = "HQUALIMP"
	PurposeResearch Purpose = "HRESCH"
	PurposePayment  Purpose = "HPAYMT"
	PurposeSystem   Purpose = "HSYSADMIN"
	PurposeCompl    Purpose = "HCOMPL"
)

// DefaultPurpose is the purpose a role acts for when the request names none.
func DefaultPurpose(r Role) Purpose {
	switch r {
	case RoleRadiology, RoleClinician:
		return PurposeTreat
	case RoleQuality, RoleReviewer:
		return PurposeQuality
	case RoleResearcher:
		return PurposeResearch
	case RolePatient, RoleGuardian:
		return PurposePatient
	case RoleDPO, RoleAuditor:
		return PurposeCompl
	default:
		return PurposeSystem
	}
}

// Action is one kind of act that the guard decides.
type Action string

const (
	ActionStore    Action = "document.store"
	ActionRead     Action = "document.read"
	ActionSearch   Action = "document.search"
	ActionCareAdd  Action = "care.add"
	ActionCareEnd  Action = "care.end"
	ActionCareList Action = "care.list"

	ActionConsentAdd      Action = "consent.add" // permit, refuse or restrict
	ActionConsentList     Action = "consent.list"
	ActionConsentWithdraw Action = "consent.withdraw"

	ActionRegions       Action = "regions.list"
	ActionVerify        Action = "regions.verify"
	ActionRepair        Action = "regions.repair"
	ActionDecrypt       Action = "regions.decrypt" // learn of every object whether its keys open it, and nothing else
	ActionDiscard       Action = "regions.discard" // delete from quarantine, two persons
	ActionRegionsManage Action = "regions.manage"  // freeze, drain, fill
	ActionAuditRead     Action = "audit.read"
	ActionAccessLog     Action = "accesslog.read" // of one patient, by a steward or the patient
	ActionKeysStatus    Action = "keys.status"
	ActionKeysRotate    Action = "keys.rotate" // and trim what is older
	ActionAttest        Action = "attest.read"
	ActionExport        Action = "document.export"
	ActionProvide       Action = "document.provide" // originals to whoever has asked in a case

	ActionSupersede Action = "document.supersede" // by the vault itself

	ActionReviewList    Action = "review.list"
	ActionReviewRead    Action = "review.read"
	ActionReviewRelease Action = "review.release"
	ActionReviewRefuse  Action = "review.refuse"

	ActionRevoke      Action = "revocation.add" // refuse a person or a credential
	ActionReinstate   Action = "revocation.lift"
	ActionRevocations Action = "revocation.list"
	ActionTokenCreate Action = "token.create" // an API token for a machine
	ActionTokenRevoke Action = "token.revoke"
	ActionTokenList   Action = "token.list"

	ActionStaffManage Action = "staff.manage" // people, institutions, trainings
	ActionStaffList   Action = "staff.list"

	ActionPolicyExplain Action = "policy.explain" // how an act of somebody would be decided, and why

	ActionBreakglassOpen   Action = "breakglass.open" // let at a patient's documents in an emergency
	ActionBreakglassList   Action = "breakglass.list"
	ActionBreakglassReview Action = "breakglass.review"
	ActionGuardianAdd      Action = "guardian.add" // whose identity acts for a patient
	ActionGuardianEnd      Action = "guardian.end"
	ActionGuardianList     Action = "guardian.list"
	ActionCorrect          Action = "correction.add" // what the patient's record says instead of their documents
	ActionUncorrect        Action = "correction.undo"
	ActionCorrections      Action = "correction.list"
	ActionCaseList         Action = "case.list"
	ActionCaseRead         Action = "case.read"
	ActionCaseRequest      Action = "case.request" // put on record what somebody asks for
	ActionCaseWork         Action = "case.work"    // assign, note, decide, execute, close

	ActionRestrict   Action = "restriction.set"  // the patient's documents to storage and legal claims
	ActionUnrestrict Action = "restriction.lift" // both by a decided case
	ActionRestricted Action = "restriction.list"

	ActionDisclosePropose Action = "disclosure.propose" // give a third party originals
	ActionDiscloseApprove Action = "disclosure.approve" // or refuse: another person
	ActionDiscloseGive    Action = "disclosure.give"
	ActionDiscloseList    Action = "disclosure.list"

	ActionErasePropose Action = "erasure.propose" // destroy a patient's documents, or one of them
	ActionEraseApprove Action = "erasure.approve" // another person
	ActionEraseSweep   Action = "erasure.sweep"   // propose it for everybody whose retention has ended
	ActionEraseList    Action = "erasure.list"    // and certificates
	ActionReadmit      Action = "patient.readmit" // take in a patient again who was erased

	ActionHoldAdd  Action = "hold.add" // nothing of the patient is destroyed while it stands
	ActionHoldLift Action = "hold.lift"
	ActionHoldList Action = "hold.list"

	ActionIncidentWork Action = "incident.work"  // open, contain, notify, report, close
	ActionIncidentRead Action = "incident.read"  // and whom it affects
	ActionFreeze       Action = "patient.freeze" // nothing is done with the patient's documents
	ActionThaw         Action = "patient.thaw"

	ActionFindingWork  Action = "finding.work" // put on record what a test or audit found, close it with its proof
	ActionFindingList  Action = "finding.list"
	ActionReviewAccess Action = "accessreview.work" // begin, decide, sign the quarterly review of who has access
	ActionAccessReview Action = "accessreview.read"
	ActionEvidence     Action = "evidence.read" // the report of a quarter

	ActionRederivePropose Action = "rederivation.propose"
	ActionRederiveApprove Action = "rederivation.approve"
	ActionRederiveRead    Action = "rederivation.read" // what it would change, how far it is
)

// Actor is who acts. The zero Actor may do nothing.
type Actor struct {
	ID          string // stable, from the token's subject; no patient data
	Role        Role
	Institution string
	Issuer      string // default Issuer of Patient ID of the institution
	Country     string // ISO 3166-1 alpha-2
	Purpose     Purpose

	Credentials string       // ids of what proved it, separated by spaces; the first names it in the log. "" is the vault itself
	Issued      int64        // unix time when the first of them was issued; 0: not known, so before any revocation
	Scopes      string       // SMART on FHIR scopes that bound it, separated by spaces; "": bounded by the policies alone
	Launch      PatientToken // the one patient its patient/ scopes are about; "": none

	Emergency *Emergency // why care is needed that cannot wait; nil: nobody said so

	Address string // keyed pseudonym of the network address the request came from; "" is not known

	Inside bool // the vault itself, or its operator on its own host: no request has it, and no register is asked
}

// Sentinels are the vocabulary of refusal; the API's table turns them into
// status codes.
var (
	ErrUnauthenticated = errors.New("no identity")      // 401
	ErrDenied          = errors.New("denied")           // 403
	ErrNotFound        = errors.New("not found")        // 404, also for what may not be known
	ErrConflict        = errors.New("conflict")         // 409
	ErrErased          = errors.New("erased")           // 410
	ErrInvalid         = errors.New("bad request")      // 400
	ErrTooLarge        = errors.New("too large")        // 413
	ErrUnreadable      = errors.New("unreadable")       // 422
	ErrNotAcceptable   = errors.New("not acceptable")   // 406
	ErrTooMany         = errors.New("too many")         // 429
	ErrUnavailable     = errors.New("unavailable")      // 503
	ErrTampered        = errors.New("integrity broken") // 500: damage or forgery was found
)

// Refusal is an error that may be told to whoever asked: Code is machine
// readable, Advice says what to do. Neither ever holds patient data.
type Refusal struct {
	Kind   error  // one of the sentinels
	Code   string // kebab-case
	Advice string
}

func (r *Refusal) Error() string { return r.Kind.Error() + ": " + r.Code + ": " + r.Advice }

// Unwrap makes errors.Is find the sentinel.
func (r *Refusal) Unwrap() error { return r.Kind }

// Refuse builds a Refusal.
func Refuse(kind error, code, advice string) error {
	return &Refusal{Kind: kind, Code: code, Advice: advice}
}
