package vault

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"

	"medvault/imaging"
	"medvault/keys/token"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Instead of being erased a patient can be anonymized: of every document whose
// de-identified view may be shown a copy of that view stays, under a patient who does not
// exist, with all UIDs mapped and all dates moved once more, by a secret that is drawn for
// this and forgotten with it. Then the patient is erased like any other, identity parts and
// their keys included. What is withheld, and reports, have no view that may stay: they are
// destroyed. No leaf says where the copies went; that both happened one after the other
// shows in the log's order, which is why a sweep anonymizes many patients, in no order.

// originAnonymize is the origin of the copies that stay.
const originAnonymize = "anonymize"

// anonymized is a patient who does not exist, in whose place somebody's documents stay.
type anonymized struct {
	number string
	names  *token.Recipient
	shift  int
}

// newAnonymized draws one; nothing of it is kept anywhere but in what it names.
func (v *Vault) newAnonymized() (anonymized, error) {
	var secret [25]byte
	rand.Read(secret[:]) // never fails
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:])
	names, err := v.tokens.Recipient("anonymous "+text[8:], originAnonymize)
	if err != nil {
		return anonymized{}, err
	}
	days := (int(secret[0])<<8|int(secret[1]))%maxShift + 1
	return anonymized{number: "ANON-" + text[:16], names: names, shift: -days}, nil
}

// anonymizeAll stores the copies that stay. It begins anew when it was cut: then the
// patient has copies twice, under names that nobody can join.
func (v *Vault) anonymizeAll(ctx context.Context, e catalog.Erasure) error {
	who, err := v.newAnonymized()
	if err != nil {
		return err
	}
	var docs []catalog.Document
	var p catalog.Patient
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if p, err = tx.Patient(ctx, e.Patient); err == nil {
			docs, err = tx.Documents(ctx, catalog.Scope{Patient: e.Patient})
		}
		return err
	})
	if err != nil {
		return err
	}
	found := lookedUp{view: record.ViewDeidentified, patients: map[record.PatientToken]catalog.Patient{e.Patient: p}, asked: v.cfg.Now()}
	for _, d := range docs {
		if d.Held != "" || d.Kind != record.KindDICOM {
			continue
		}
		if err := v.anonymize(ctx, d, found, who); err != nil {
			return fmt.Errorf("anonymize %s: %w", d.ID, err)
		}
	}
	return nil
}

// anonymize stores the copy of one document.
func (v *Vault) anonymize(ctx context.Context, d catalog.Document, found lookedUp, who anonymized) error {
	h, err := v.handle(ctx, d, found)
	if err != nil {
		return err
	}
	content, err := h.Reader(ctx)
	if err != nil {
		return err
	}
	defer content.Close()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := h.scrubber.Recast(w, content, imaging.Pseudonyms{Patient: who.number, UID: who.names.UID, ID: who.names.ID, ShiftDays: who.shift})
		w.CloseWithError(err)
		done <- err
	}()
	a := v.self()
	a.Issuer = "anonymous"
	in, err := v.receive(a, Upload{Kind: d.Kind, Body: r, Category: d.Category})
	if err == nil {
		in.origin = originAnonymize
		_, err = v.putReceived(ctx, a, in)
	}
	r.CloseWithError(io.ErrClosedPipe)
	if sent := <-done; sent != nil && !errors.Is(sent, io.ErrClosedPipe) {
		err = errors.Join(err, sent)
	}
	if refused := new(record.Refusal); errors.As(err, &refused) && (refused.Kind == record.ErrUnreadable || strings.HasPrefix(refused.Code, "instance")) {
		return nil // what cannot be stored cannot stay
	}
	return err
}
