package catalog

import (
	"context"
	"database/sql"
	"errors"

	"medvault/vault/record"
)

// transaction is an sql.Tx that uses statements which were prepared before. SQLite takes
// longer to understand what the guard asks than to answer it; pgx prepares by itself.
type transaction struct {
	*sql.Tx
	known map[string]*sql.Stmt // by text
	noted *[]string            // texts that were asked, while warming up
}

// QueryContext is sql.Tx's.
func (t transaction) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s := t.prepared(text); s != nil {
		return t.StmtContext(ctx, s).QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, text, args...)
}

// QueryRowContext is sql.Tx's.
func (t transaction) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if s := t.prepared(text); s != nil {
		return t.StmtContext(ctx, s).QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, text, args...)
}

func (t transaction) prepared(text string) *sql.Stmt {
	if t.noted != nil {
		*t.noted = append(*t.noted, text)
	}
	return t.known[text]
}

// prepareFacts prepares what every decision asks. Only before the catalog is in use: within
// a transaction the one connection that writes is taken.
func (c *Catalog) prepareFacts(ctx context.Context) error {
	if c.dialect != sqlite {
		return nil
	}
	var texts []string
	err := c.View(ctx, func(t *Tx) error {
		t.tx.noted = &texts
		_, err := t.Consents(ctx, "")
		_, minor := t.Minor(ctx, "")
		_, essential := t.Essential(ctx, "", "", c.now())
		_, acts := t.ActsFor(ctx, "", c.now())
		_, broken := t.LiveBreakglass(ctx, "", "", c.now())
		_, _, entry := t.StaffEntry(ctx, "")
		_, limited := t.Restricted(ctx, "")
		for _, err := range []error{minor, broken, entry} {
			if !errors.Is(err, ErrNotFound) {
				return errors.Join(errors.New("a fact of nobody"), err)
			}
		}
		for _, credentials := range []string{"", "a", "a b"} {
			_, revoked := t.Revoked(ctx, record.Actor{ID: "nobody", Credentials: credentials})
			err = errors.Join(err, revoked)
		}
		return errors.Join(err, essential, acts, limited)
	})
	if err != nil {
		return attempt(err, "prepare the facts of decisions")
	}
	c.readFacts, c.writeFacts = make(map[string]*sql.Stmt), make(map[string]*sql.Stmt)
	for _, text := range texts {
		for db, into := range map[*sql.DB]map[string]*sql.Stmt{c.read: c.readFacts, c.write: c.writeFacts} {
			if into[text] != nil {
				continue
			}
			if into[text], err = db.PrepareContext(ctx, text); err != nil {
				return attempt(err, "prepare the facts of decisions")
			}
		}
	}
	return nil
}

// closeFacts closes what prepareFacts has opened.
func (c *Catalog) closeFacts() (err error) {
	for _, facts := range []map[string]*sql.Stmt{c.readFacts, c.writeFacts} {
		for _, s := range facts {
			if s != nil {
				err = errors.Join(err, s.Close())
			}
		}
	}
	return err
}
