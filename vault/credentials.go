package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// Revocation refuses a person or one credential until it is lifted, in every gateway
// from the next request on: the guard reads it in the transaction of each decision. What
// streams already was decided before, and runs to its end.
type Revocation struct {
	ID         record.ObjectID `json:"id"`
	Subject    string          `json:"subject,omitempty"`    // the person or machine, or
	Credential string          `json:"credential,omitempty"` // "jti:…", "jwt:…", "token:…", "x509:…" or "serial:…" and its id
	// IssuedBefore: only credentials that were issued up to then, so that a new log-in
	// helps; nil: all.
	IssuedBefore *time.Time `json:"issuedBefore,omitempty"`
	Reason       string     `json:"reason"` // a code, as "lost"
	Made         time.Time  `json:"made"`
	By           string     `json:"by"`
	Lifted       *time.Time `json:"lifted,omitempty"` // nil: in force
	LiftedBy     string     `json:"liftedBy,omitempty"`
}

// NewRevocation is what Revoke takes: a subject or a credential.
type NewRevocation struct {
	Subject      string     `json:"subject,omitempty"`
	Credential   string     `json:"credential,omitempty"`
	IssuedBefore *time.Time `json:"issuedBefore,omitempty"` // to the second
	Reason       string     `json:"reason"`                 // lower-case words with hyphens, as "lost": free text could name a patient
}

// selfID is who acts where the vault does. No credential may prove it.
const selfID = "medvault"

const (
	reasonRevoked = "credential-revoked"
	maxSubject    = 8192 // whoever can log in can be revoked: Admit lets in no longer one
	maxReasonCode = 40
)

func (n NewRevocation) check(now time.Time) error {
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	value := n.Subject + n.Credential
	switch {
	case (n.Subject == "") == (n.Credential == ""):
		return bad("bad-revocation", "name a subject or a credential, and not both")
	case !word(value, maxSubject):
		return bad("bad-revocation", "a subject or credential has at most 8192 characters, and neither spaces around it nor control characters")
	case n.Credential != "" && (!strings.Contains(n.Credential, ":") || strings.Contains(n.Credential, " ")):
		return bad("bad-credential", "name a credential by its kind and id: jti:…, jwt:…, token:…, x509:… or serial:…; who knows only its pseudonym in the log revokes the person")
	case n.Subject == selfID:
		return bad("subject-reserved", "the vault itself cannot be revoked")
	case n.IssuedBefore != nil && (n.IssuedBefore.After(now) || n.IssuedBefore.Unix() <= 0):
		return bad("bad-time", "issuedBefore lies in the past; leave it out to refuse everything")
	case !code(n.Reason):
		return bad("bad-reason", "give a reason in lower-case words with hyphens, as lost or left-the-house: at most 40 characters")
	}
	return nil
}

// word says whether s is a name as a machine takes it.
func word(s string, most int) bool {
	return s != "" && s == strings.TrimSpace(s) && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

func code(s string) bool {
	return s != "" && len(s) <= maxReasonCode && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && strings.Trim(s, "-") == s
}

// Revoke refuses a person or a credential from the next request on. It needs the
// catalog alone, so that it works while regions are away; a rebuilt catalog takes it
// from the log.
func (v *Vault) Revoke(ctx context.Context, a record.Actor, n NewRevocation) (Revocation, error) {
	if err := n.check(v.cfg.Now()); err != nil {
		return Revocation{}, err
	}
	row := catalog.Revocation{ID: record.NewObjectID(), Subject: n.Subject, Credential: n.Credential, Reason: n.Reason, Made: v.cfg.Now(), By: a.ID}
	if n.IssuedBefore != nil {
		row.Before = n.IssuedBefore.UTC().Truncate(time.Second)
	}
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRevoke, Object: row.ID}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Reason, leaf.Revoked = row.Reason, revokedOf(row)
		return tx.InsertRevocation(ctx, row)
	})
	if err != nil {
		return Revocation{}, err
	}
	return revocationOf(row), nil
}

func revokedOf(r catalog.Revocation) *audit.Revoked {
	told := &audit.Revoked{Subject: r.Subject, Credential: r.Credential}
	if !r.Before.IsZero() {
		told.Before = r.Before.Unix()
	}
	return told
}

func revocationOf(r catalog.Revocation) Revocation {
	out := Revocation{ID: r.ID, Subject: r.Subject, Credential: r.Credential, Reason: r.Reason, Made: r.Made, By: r.By, Lifted: r.Lifted, LiftedBy: r.LiftedBy}
	if !r.Before.IsZero() {
		out.IssuedBefore = &r.Before
	}
	return out
}

// Reinstate lifts a revocation. Unknown or lifted already: ErrNotFound.
func (v *Vault) Reinstate(ctx context.Context, a record.Actor, id record.ObjectID) error {
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionReinstate, Object: id}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		row, err := tx.Revocation(ctx, id)
		if err != nil {
			return notFound(err)
		}
		leaf.Revoked = revokedOf(row)
		return notFound(tx.LiftRevocation(ctx, id, v.cfg.Now(), a.ID))
	})
	return err
}

// Revocations lists all, the newest first, lifted ones included.
func (v *Vault) Revocations(ctx context.Context, a record.Actor) ([]Revocation, error) {
	var rows []catalog.Revocation
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRevocations}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		rows, err = tx.Revocations(ctx)
		return err
	})
	list := make([]Revocation, 0, len(rows))
	for _, r := range rows {
		list = append(list, revocationOf(r))
	}
	return list, err
}

// Admit is asked of every request before anything else is done for it: whoever is
// revoked is no longer proven (ErrUnauthenticated), and nobody is the vault itself. The
// guard looks again in the transaction of each decision.
func (v *Vault) Admit(ctx context.Context, a record.Actor) error {
	if a.ID == selfID {
		return record.Refuse(record.ErrDenied, "subject-reserved", "this name is the vault's own; get another subject")
	}
	if len(a.ID) > maxSubject {
		return record.Refuse(record.ErrDenied, "bad-subject", "a subject has at most 8192 characters; get another")
	}
	var revoked bool
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		revoked, err = tx.Revoked(ctx, a)
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	if revoked {
		return errRevoked()
	}
	return nil
}

// revokedAgain takes a revocation, or that one was lifted, from the log into a catalog
// that is rebuilt. API tokens are in no log: machines are given new ones.
func revokedAgain(ctx context.Context, tx *catalog.Tx, leaf audit.Leaf) error {
	r := leaf.Revoked
	switch {
	case r == nil:
		return errors.New("a revocation that names nobody")
	case leaf.Action == record.ActionReinstate:
		if err := tx.LiftRevocation(ctx, leaf.Object, leaf.Time, leaf.Actor); !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		return nil // lifted already: this part of the log is read a second time
	}
	row := catalog.Revocation{ID: leaf.Object, Subject: r.Subject, Credential: r.Credential, Reason: leaf.Reason, Made: leaf.Time, By: leaf.Actor}
	if r.Before != 0 {
		row.Before = time.Unix(r.Before, 0).UTC()
	}
	if err := tx.InsertRevocation(ctx, row); !errors.Is(err, catalog.ErrExist) {
		return err
	}
	return nil
}

func errRevoked() error {
	return record.Refuse(record.ErrUnauthenticated, reasonRevoked, "this credential or person has been revoked; ask those who administer the vault")
}

// APIToken is the credential of a machine, as it is listed: what proves it is shown
// once, when it is made.
type APIToken struct {
	ID          record.ObjectID `json:"id"`
	Subject     string          `json:"subject"` // the machine, as the log names it
	Role        record.Role     `json:"role"`
	Institution string          `json:"institution"`
	Issuer      string          `json:"issuer,omitempty"` // Issuer of Patient ID of what it stores
	Country     string          `json:"country"`
	Purpose     record.Purpose  `json:"purpose,omitempty"` // left out: the role's own, or what a request says
	Scopes      string          `json:"scopes"`            // SMART on FHIR, an upper bound
	Label       string          `json:"label,omitempty"`
	Made        time.Time       `json:"made"`
	By          string          `json:"by"`
	Expires     time.Time       `json:"expires"`
	LastUsed    *time.Time      `json:"lastUsed,omitempty"` // to the minute
	Revoked     *time.Time      `json:"revoked,omitempty"`
	RevokedBy   string          `json:"revokedBy,omitempty"`
}

// NewAPIToken is what CreateAPIToken takes.
type NewAPIToken struct {
	Subject string         `json:"subject"` // required: "service:" and a name
	Role    record.Role    `json:"role"`    // required: radiology, quality, researcher, operator or auditor
	Purpose record.Purpose `json:"purpose,omitempty"`
	Scopes  []string       `json:"scopes"` // required: SMART on FHIR v2
	Label   string         `json:"label,omitempty"`
	Expires time.Time      `json:"expires"` // required: within a year
}

// APITokenPrefix begins every API token, so that scanners of leaked secrets know one.
const APITokenPrefix = "mvt_"

// servicePrefix keeps the names of machines apart from those of people: an API token
// never acts as somebody who logs in.
const servicePrefix = "service:"

// maxTokenLife is how long an API token may prove anything: machines are given new ones.
const maxTokenLife = 366 * 24 * time.Hour

// machineRoles are what a machine may be. To treat, to approve and to exercise a
// patient's rights is for persons.
func machineRoles() []record.Role {
	return []record.Role{record.RoleRadiology, record.RoleQuality, record.RoleResearcher, record.RoleOperator, record.RoleAuditor}
}

// machinePurposes are what a machine in a role may be bound to. The policies ask again.
func machinePurposes(r record.Role) []record.Purpose {
	switch own := record.DefaultPurpose(r); r {
	case record.RoleQuality, record.RoleOperator:
		return []record.Purpose{own, record.PurposeOperate}
	default:
		return []record.Purpose{own}
	}
}

func (n NewAPIToken) check(now time.Time) error {
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !strings.HasPrefix(n.Subject, servicePrefix) || !word(strings.TrimPrefix(n.Subject, servicePrefix), 64) || strings.Contains(n.Subject, " "):
		return bad("bad-subject", "name the machine as service:NAME, without spaces: API tokens are for machines")
	case !slices.Contains(machineRoles(), n.Role):
		return bad("bad-role", "role is radiology, quality, researcher, operator or auditor: to treat and to approve is for persons")
	case n.Purpose != "" && !slices.Contains(machinePurposes(n.Role), n.Purpose):
		return bad("bad-purpose", "purpose is one of the role's own: TREAT of radiology, HQUALIMP or HOPERAT of quality, HRESCH of a researcher, HSYSADMIN or HOPERAT of an operator, HCOMPL of an auditor")
	case n.Label != "" && !word(n.Label, 64):
		return bad("bad-label", "a label has at most 64 characters, no spaces around it and no control characters")
	case !n.Expires.After(now) || n.Expires.Sub(now) > maxTokenLife:
		return bad("bad-expiry", "expires lies ahead, at most a year")
	case len(n.Scopes) == 0:
		return bad("scopes-missing", "say what the token is for, as system/ImagingStudy.c; system/*.cruds bounds nothing")
	}
	for _, s := range n.Scopes {
		if scope, err := access.ParseScope(s); err != nil || scope.Narrowed || scope.Context == "patient" {
			return bad("bad-scope", "scopes are SMART on FHIR v2 without conditions, as system/ImagingStudy.c")
		}
	}
	return nil
}

// CreateAPIToken makes a credential for a machine of the maker's own institution. secret
// is shown to nobody again.
func (v *Vault) CreateAPIToken(ctx context.Context, a record.Actor, n NewAPIToken) (made APIToken, secret string, err error) {
	if err := n.check(v.cfg.Now()); err != nil {
		return APIToken{}, "", err
	}
	var random [32]byte
	rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	secret = APITokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	row := catalog.APIToken{ID: record.NewObjectID(), Digest: v.tokens.APIToken(secret), Label: n.Label, Made: v.cfg.Now(), By: a.ID, Expires: n.Expires,
		Actor: record.Actor{ID: n.Subject, Role: n.Role, Institution: a.Institution, Issuer: a.Issuer, Country: a.Country, Purpose: n.Purpose,
			Scopes: strings.Join(n.Scopes, " ")}}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionTokenCreate, Object: row.ID}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Origin = row.Actor.ID + " " + string(row.Actor.Role)
		if err := v.isMachine(ctx, tx, row.Actor); err != nil {
			return err
		}
		return tx.InsertAPIToken(ctx, row)
	})
	if err != nil {
		return APIToken{}, "", err
	}
	return apiTokenOf(row), secret, nil
}

// isMachine refuses a token for whom the staff register does not know as a service with
// that role. What the register says later counts later: it is asked at every act.
func (v *Vault) isMachine(ctx context.Context, tx *catalog.Tx, a record.Actor) error {
	if v.cfg.InsecureActors {
		return nil
	}
	entry, _, _, err := v.staffEntry(ctx, tx, a)
	switch {
	case err != nil:
		return err
	case entry == nil || entry.Kind != staff.Service:
		return record.Refuse(record.ErrInvalid, "not-on-register", "put the machine on the staff register first, as a service: medvault staff add")
	case !slices.Contains(entry.Roles, a.Role):
		return record.Refuse(record.ErrInvalid, "bad-role", "the staff register does not give the machine this role")
	}
	return nil
}

func apiTokenOf(k catalog.APIToken) APIToken {
	return APIToken{ID: k.ID, Subject: k.Actor.ID, Role: k.Actor.Role, Institution: k.Actor.Institution, Issuer: k.Actor.Issuer, Country: k.Actor.Country,
		Purpose: k.Actor.Purpose, Scopes: k.Actor.Scopes, Label: k.Label, Made: k.Made, By: k.By, Expires: k.Expires, LastUsed: k.Used, Revoked: k.Ended, RevokedBy: k.EndedBy}
}

// APITokens lists all, the newest first, those that have ended included.
func (v *Vault) APITokens(ctx context.Context, a record.Actor) ([]APIToken, error) {
	var rows []catalog.APIToken
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionTokenList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		rows, err = tx.APITokens(ctx)
		return err
	})
	list := make([]APIToken, 0, len(rows))
	for _, k := range rows {
		list = append(list, apiTokenOf(k))
	}
	return list, err
}

// RevokeAPIToken ends a token, in every gateway from the next request on. Unknown or
// revoked already: ErrNotFound.
func (v *Vault) RevokeAPIToken(ctx context.Context, a record.Actor, id record.ObjectID) error {
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionTokenRevoke, Object: id}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Revoked = &audit.Revoked{Credential: tokenCredential(id)}
		return notFound(tx.EndAPIToken(ctx, id, v.cfg.Now(), a.ID))
	})
	return err
}

func tokenCredential(id record.ObjectID) string { return "token:" + string(id) }

// usedEvery is how exactly the last use of a token is kept.
const usedEvery = time.Minute

// Machine is whom an API token proves. A token that proves nothing, no longer or not any
// more: ErrUnauthenticated.
func (v *Vault) Machine(ctx context.Context, secret string) (record.Actor, error) {
	digest := v.tokens.APIToken(secret)
	var k catalog.APIToken
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		k, err = tx.APITokenByDigest(ctx, digest)
		return err
	})
	// The index finds by a keyed hash, so how long it takes tells nothing about a token.
	if errors.Is(err, catalog.ErrNotFound) || err == nil && subtle.ConstantTimeCompare([]byte(k.Digest), []byte(digest)) != 1 {
		return record.Actor{}, record.Refuse(record.ErrUnauthenticated, "token-unknown", "this token is not known here")
	}
	now := v.cfg.Now()
	switch {
	case err != nil:
		return record.Actor{}, unavailable("catalog", err)
	case k.Ended != nil:
		return record.Actor{}, errRevoked()
	case !now.Before(k.Expires):
		return record.Actor{}, record.Refuse(record.ErrUnauthenticated, "token-expired", "this token has expired; get a new one")
	}
	if k.Used == nil || now.Sub(*k.Used) >= usedEvery {
		if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TouchAPIToken(ctx, k.ID, now) }); err != nil {
			return record.Actor{}, unavailable("catalog", err)
		}
	}
	a := k.Actor
	a.Credentials, a.Issued = tokenCredential(k.ID), k.Made.Unix()
	return a, nil
}
