// Package identity turns a bearer token, a client certificate or a session of the console
// into whoever acts. It
// proves who that is; what they may do is decided elsewhere.
//
// What an Actor says of its credentials, so that each can be revoked: jti:… (or jwt:…,
// a hash, where a token names none) of a signed token, token:… of an API token, static:…
// in development, x509:… (hex SHA-256) and serial:… (hex) of a certificate, session:… of
// a session, beside what proved the person when it began.
package identity

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"medvault/vault/record"
)

// Authenticator turns a bearer token into an Actor. The Actor's Purpose is set only
// when the token itself claims one. With record.ErrDenied the Actor holds
// the proven ID and Credentials and nothing else, for the log: without a role it may do
// nothing. A credential that begins with x509: binds the token to that certificate.
//
// Errors: record.ErrUnauthenticated for a token that proves nothing,
// record.ErrDenied for a proven person without a usable role or purpose, and
// record.ErrUnavailable when the proof cannot be had now. No error holds the token
// or a part of it. Safe for concurrent use.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (record.Actor, error)
}

// PurposeHeader names the purpose of use of one request, an HL7 v3 code.
const PurposeHeader = "Purpose-Of-Use"

// FromRequest authenticates r by its Authorization header, or without one by the
// certificate of its connection where certificates prove somebody, and settles the
// purpose: what the token claims, else what the header chooses, else the role's own. A
// header can never contradict the token. With an error the Actor holds at most an ID and
// credentials that were proven, for the log: without a role it may do nothing.
func FromRequest(r *http.Request, by Authenticator, certificates *Certificates) (record.Actor, error) {
	a, err := prove(r, by, certificates)
	if err != nil {
		return record.Actor{ID: a.ID, Credentials: a.Credentials}, err
	}
	return settle(r, a)
}

// settle gives a proven actor the purpose of this request.
func settle(r *http.Request, a record.Actor) (record.Actor, error) {
	chosen, err := purpose(r.Header.Values(PurposeHeader))
	if err != nil {
		return record.Actor{ID: a.ID, Credentials: a.Credentials}, err
	}
	switch {
	case a.Purpose == "" && chosen == "":
		a.Purpose = record.DefaultPurpose(a.Role)
	case a.Purpose == "":
		a.Purpose = chosen
	case chosen != "" && chosen != a.Purpose:
		return record.Actor{ID: a.ID, Credentials: a.Credentials}, record.Refuse(record.ErrDenied, "purpose-contradicts-token",
			"the token is bound to another purpose of use; leave the "+PurposeHeader+" header out or get another token")
	}
	if a.Emergency, err = emergency(r.Header.Values(ReasonHeader)); err != nil {
		return record.Actor{ID: a.ID, Credentials: a.Credentials}, err
	}
	return a, nil
}

// ReasonHeader says what the emergency is, in text or percent-encoded UTF-8, where the
// purpose of use is ETREAT.
const ReasonHeader = "Reason"

func emergency(headers []string) (*record.Emergency, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	text, err := url.PathUnescape(headers[0])
	if err != nil || len(headers) > 1 {
		return nil, record.Refuse(record.ErrInvalid, "bad-reason", "send one "+ReasonHeader+" header; what is not ASCII, and %, percent-encoded")
	}
	return record.NewEmergency(text)
}

func prove(r *http.Request, by Authenticator, certificates *Certificates) (record.Actor, error) {
	shown, err := certificates.shown(r)
	if err != nil {
		return record.Actor{}, err
	}
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 && shown != nil {
		// A browser shows its certificate for whatever page asks.
		if err := http.NewCrossOriginProtection().Check(r); err != nil {
			return record.Actor{}, errCrossOrigin()
		}
		return certificates.actor(shown)
	}
	token, err := bearer(headers)
	if err != nil {
		return record.Actor{}, err
	}
	a, err := by.Authenticate(r.Context(), token)
	if err != nil {
		return a, err
	}
	return bound(a, shown)
}

func bearer(headers []string) (string, error) {
	switch len(headers) {
	case 0:
		return "", record.ErrUnauthenticated
	case 1:
	default:
		return "", record.Refuse(record.ErrUnauthenticated, "token-ambiguous", "send one Authorization header")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", record.Refuse(record.ErrUnauthenticated, "token-missing", "send Authorization: Bearer and a token")
	}
	return token, nil
}

func purpose(headers []string) (record.Purpose, error) {
	if len(headers) == 0 {
		return "", nil
	}
	p := record.Purpose(strings.TrimSpace(headers[0]))
	if len(headers) > 1 || !Known(p) {
		return "", record.Refuse(record.ErrInvalid, "purpose-unknown",
			PurposeHeader+" must be one HL7 v3 PurposeOfUse code, as TREAT, HQUALIMP or HRESCH")
	}
	return p, nil
}

// Known says whether p is a code of HL7 v3 PurposeOfUse (value set
// http://terminology.hl7.org/ValueSet/v3-PurposeOfUse). Most known codes are still
// refused by the policies.
func Known(p record.Purpose) bool {
	switch p {
	case record.PurposeTreat, record.PurposeETreat, record.PurposePatient, record.PurposeOperate, record.PurposeQuality,
		record.PurposeResearch, record.PurposePayment, record.PurposeSystem, record.PurposeCompl,
		"BIORCH", "BTG", "CAREMGT", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "CLMATTCH", "COC", "COVAUTH", "COVERAGE",
		"DISASTER", "DONAT", "DSRCH", "ELIGDTRM", "ELIGVER", "ENROLLM", "ERTREAT", "FAMRQT", "FRAUD", "GOV", "HACCRED",
		"HDECD", "HDIRECT", "HDM", "HLEGAL", "HMARKT", "HOUTCOMS", "HPRGRP", "HTEST", "LABELING", "MEMADMIN", "METAMGT",
		"MILCDM", "MILDCRG", "PATADMIN", "PATSFTY", "PERFMSR", "POARCH", "POPHLTH", "PRECLINTRCH", "PUBHLTH", "PWATRNY",
		"RECORDMGT", "REMITADV", "SUPNWK", "SYSDEV", "THREAT", "TRAIN", "TRANSRCH":
		return true
	}
	return false
}
