package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"medvault/vault/atna"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

const (
	forwardBatch = 256
	forwardLease = 2 * time.Minute // longer than one batch may take
	forwardGrace = 5 * time.Second
	forwardPause = time.Minute // the longest a receiver that failed is left alone
)

// forwardLog gives every leaf to an audit record repository until ctx ends, from the
// first one on. The log itself is the queue: the catalog keeps the number of the next
// leaf, and moves it only when the receiver has taken what came before. Of any number of
// gateways one sends. Nothing is left out; what was under way when a gateway died or the
// connection was cut may come twice, with the same leaf number.
func (v *Vault) forwardLog(ctx context.Context, to atna.Receiver) {
	owner := string(record.NewObjectID())
	lease := "atna " + to.Address
	defer v.dropLease(lease, owner)
	for failed := 0; ctx.Err() == nil; {
		sent, err := v.forwardBatch(ctx, to, lease, owner)
		switch {
		case errors.Is(err, catalog.ErrChanged): // another gateway sends
			wait(ctx, forwardLease/4)
		case err != nil:
			if ctx.Err() == nil {
				v.cfg.Log.Warn("log not forwarded", "err", err)
			}
			pause := min(v.cfg.Poll<<min(failed, 10), forwardPause)
			wait(ctx, pause/2+rand.N(pause/2+1))
			failed++
		case sent == 0:
			failed = 0
			wait(ctx, v.cfg.Poll)
		default:
			failed = 0
		}
	}
}

// forwardBatch sends the next leaves, and tells how many.
func (v *Vault) forwardBatch(ctx context.Context, to atna.Receiver, lease, owner string) (sent int, err error) {
	var next int64
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if err := tx.TakeLease(ctx, lease, owner, forwardLease); err != nil {
			return err
		}
		next, err = tx.Sent(ctx, to.Address)
		return err
	})
	if err != nil {
		return 0, err
	}
	leaves, err := v.cfg.Catalog.LogLeaves(ctx, next, forwardBatch)
	if err != nil || len(leaves) == 0 {
		return 0, err
	}
	events := make([]atna.Event, len(leaves))
	for i, l := range leaves {
		if events[i], err = v.auditEvent(ctx, l); err != nil {
			return 0, err
		}
	}
	// A gateway that stops lets what is under way come to its end, so that it need not be
	// sent again.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(forwardGrace, cancel) })
	defer stop()
	if err := to.Send(sending, events); err != nil {
		return 0, err
	}
	// A crash before this line sends the batch again.
	next = leaves[len(leaves)-1].Number + 1
	return len(leaves), v.cfg.Catalog.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error {
		if err := tx.TakeLease(ctx, lease, owner, forwardLease); err != nil {
			return err
		}
		return tx.SetSent(ctx, to.Address, next)
	})
}

// auditEvent is a leaf with the study it is about, as long as the catalog knows it.
func (v *Vault) auditEvent(ctx context.Context, l audit.StoredLeaf) (atna.Event, error) {
	e := atna.Event{Number: l.Number}
	var err error
	if e.Leaf, err = audit.ParseLeaf(l.Data); err != nil {
		return e, fmt.Errorf("leaf %d: %w", l.Number, err)
	}
	if e.Leaf.Object == "" {
		return e, nil
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		docs, err := tx.Documents(ctx, catalog.Scope{Document: e.Leaf.Object})
		if len(docs) > 0 {
			e.Study = docs[0].Study
		}
		return err
	})
	return e, err
}
