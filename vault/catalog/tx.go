package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"medvault/vault/catalog/internal/query"
)

// Tx is one transaction. It is used by one goroutine, until the function it was
// given to returns.
type Tx struct {
	c  *Catalog
	q  *query.Queries
	tx *transaction

	staff map[string]staffEntry // what StaffEntry has answered

	revoked map[string]bool // what Revoked has answered
}

// Update runs fn in one transaction, which is durable when Update returns nil and
// has left nothing behind otherwise. When it meets another transaction (deadlock,
// serialization, busy) it starts over, so fn may run again and must change nothing
// but the catalog before Update has returned. Do not call Update inside fn.
//
// On PostgreSQL the isolation is read committed: what a decision rests on is locked
// by LockPatient, or guarded by a unique value.
func (c *Catalog) Update(ctx context.Context, fn func(*Tx) error) error {
	const tries = 10
	for try := 1; ; try++ {
		err := c.once(ctx, c.write, c.writes, nil, fn)
		if err == nil || !(sqliteBusy(err) || postgresConflict(err)) || try == tries {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// View runs fn over one snapshot of the catalog. fn may run again, as in Update.
func (c *Catalog) View(ctx context.Context, fn func(*Tx) error) error {
	const tries = 10
	var opts *sql.TxOptions // SQLite's deferred transactions are snapshots already
	if c.dialect == postgres {
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	for try := 1; ; try++ {
		err := c.once(ctx, c.read, c.reads, opts, fn)
		if err == nil || !(sqliteBusy(err) || postgresConflict(err)) || try == tries {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

func (c *Catalog) once(ctx context.Context, db *sql.DB, q *query.Queries, opts *sql.TxOptions, fn func(*Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing; also when fn panics
	facts := c.readFacts
	if db == c.write {
		facts = c.writeFacts
	}
	if err := fn(&Tx{c: c, q: q.WithTx(tx), tx: &transaction{Tx: tx, known: facts}}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

func pause(ctx context.Context, try int) error {
	wait := time.Duration(try)*5*time.Millisecond + rand.N(20*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// attempt names what failed, and says ErrNotFound where no row was.
func attempt(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// limit32 turns a caller's limit into one the queries take; not positive means all.
func limit32(limit int) int32 {
	const most = 1<<31 - 1
	if limit <= 0 || limit > most {
		return most
	}
	return int32(limit)
}

// builder gathers the text and arguments of a query whose shape sqlc cannot know:
// lists, and filters that may be absent.
type builder struct {
	text strings.Builder
	args []any
}

// add writes text; each ? becomes the placeholder of the next argument.
func (b *builder) add(text string, args ...any) {
	for _, arg := range args {
		before, after, found := strings.Cut(text, "?")
		if !found {
			panic("more arguments than placeholders") // the texts are constants
		}
		b.args = append(b.args, arg)
		fmt.Fprintf(&b.text, "%s$%d", before, len(b.args))
		text = after
	}
	b.text.WriteString(text)
}

// list writes the placeholders of a parenthesised list.
func list[T ~string](b *builder, values []T) {
	b.text.WriteString("(")
	for i, v := range values {
		if i > 0 {
			b.text.WriteString(", ")
		}
		b.add("?", string(v))
	}
	if len(values) == 0 {
		b.text.WriteString("NULL") // IN (NULL) holds for nothing
	}
	b.text.WriteString(")")
}

func (t *Tx) query(ctx context.Context, b *builder) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, b.text.String(), b.args...)
}

func (t *Tx) exec(ctx context.Context, b *builder) (int64, error) {
	res, err := t.tx.ExecContext(ctx, b.text.String(), b.args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
