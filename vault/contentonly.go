package vault

import (
	"context"
	"errors"

	"medvault/keys"
	"medvault/keys/token"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/record"
)

// A gateway of content keys alone (Config.ContentOnly) serves the de-identified view and
// is unable to do more, whoever asks and whatever its policies say: it has no credential
// to unwrap an identity key or a key of the house. It stores nothing, knows no token or
// index of anybody, and signs no log; its leaves are appended by the other gateways. What
// it finds, it finds by mapped UIDs and tokens. The guard says so before an act, but does
// not make it so: that the key service refuses does.

// reasonContentOnly is the reason of a refusal by such a gateway.
const reasonContentOnly = "no-identity-keys"

// within refuses what a gateway of content keys alone cannot do.
func (v *Vault) within(a act, d access.Decision) access.Decision {
	reads := a.Action == record.ActionRead || a.Action == record.ActionSearch
	if !v.cfg.ContentOnly || !d.Allow || reads && d.View == record.ViewDeidentified {
		return d
	}
	return access.Decision{Reason: reasonContentOnly, Policies: d.Policies, MayKnow: d.MayKnow}
}

// withoutHouse makes up what other gateways derive from the keys of the house, from keys
// that fit nothing: names lead nowhere, a sealed birth date does not open and its patient
// stays a child, and the log is closed.
func (v *Vault) withoutHouse() (err error) {
	if v.tokens, err = token.New(keys.NewDEK(), keys.NewDEK()); err != nil {
		return err
	}
	if v.signer, err = audit.NewSigner("medvault", keys.NewDEK().Bytes()); err != nil {
		return err
	}
	v.logKey, v.logVKey = v.signer.Verifier(), v.signer.VerifierKey()
	v.log, err = audit.NewSequencer(audit.SequencerConfig{Tree: closedLog{v.cfg.Catalog}, Signer: v.signer, Now: v.cfg.Now})
	return err
}

// closedLog is a log that nothing is appended to.
type closedLog struct{ audit.Tree }

var errClosedLog = errors.New("a gateway without keys of the house appends nothing to the log")

// LogPending refuses before there is anything to sign.
func (closedLog) LogPending(context.Context, int) ([]audit.Pending, error) { return nil, errClosedLog }

// LogAppend refuses too.
func (closedLog) LogAppend(context.Context, audit.Batch) error { return errClosedLog }

// LogWaiting refuses likewise.
func (closedLog) LogWaiting(context.Context) (int64, error) { return 0, errClosedLog }

// ContentOnly says whether this gateway has content keys alone.
func (v *Vault) ContentOnly() bool { return v.cfg.ContentOnly }
