// Package catalog is the index of the vault: who has which documents, where they
// must lie, what is still to be done, and the log's leaves. The regions are the
// truth; a lost catalog is rebuilt from one.
//
// It holds no identifier and no clinical date in clear: tokens, mapped UIDs, blind
// values, sizes, and the times of acts.
//
// One SQL text runs on SQLite and PostgreSQL. The queries are written for
// PostgreSQL (folder queries, turned into Go by sqlc); on SQLite the row locks are
// left out, because there one writer holds the whole database.
package catalog

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"medvault/vault/catalog/internal/query"
)

// Errors of the catalog.
var (
	ErrNotFound = errors.New("not in the catalog")
	ErrExist    = errors.New("already in the catalog") // a unique value is taken
	ErrChanged  = errors.New("changed meanwhile")      // what the caller relied on holds no more
)

// Config says which database to open.
type Config struct {
	// DSN is "sqlite:PATH" or "postgres://…"; required.
	DSN string
	// TLS of connections to PostgreSQL: its versions, suites and curves. Which
	// certificates are believed the DSN says (sslmode, sslrootcert). Default: Go's.
	TLS *tls.Config
	// Now is the clock of leases and of care relationships in Search; default time.Now.
	Now func() time.Time
}

// Catalog is one open database. Safe for concurrent use, also by several
// processes on one database.
type Catalog struct {
	dialect      dialect
	now          func() time.Time
	write, read  *sql.DB // one and the same on PostgreSQL
	writes       *query.Queries
	reads        *query.Queries
	pendingOrder *sequence
	terms        *rowsInsert
	placements   *rowsInsert
	leafIndex    *rowsInsert

	readFacts, writeFacts map[string]*sql.Stmt // what every decision asks, by text; only read once it is open
}

type dialect string

const (
	sqlite   dialect = "sqlite"
	postgres dialect = "postgres"
)

// Open opens the database and brings its schema up to date.
func Open(ctx context.Context, cfg Config) (*Catalog, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Catalog{now: cfg.Now, pendingOrder: new(sequence)}
	if err := c.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Catalog) open(ctx context.Context, cfg Config) (err error) {
	dsn := cfg.DSN
	switch path, isSQLite := strings.CutPrefix(dsn, "sqlite:"); {
	case isSQLite && path != "":
		c.dialect = sqlite
		err = c.openSQLite(path)
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		c.dialect = postgres
		err = c.openPostgres(dsn, cfg.TLS)
	default: // the DSN may hold a password: it is not quoted
		return errors.New("open catalog: DSN must be sqlite:PATH or postgres://…")
	}
	if err != nil {
		return fmt.Errorf("open catalog: %w", err)
	}
	if err := c.migrate(ctx); err != nil {
		return fmt.Errorf("open catalog: migrate: %w", err)
	}
	if c.writes, err = query.Prepare(ctx, c.preparer(c.write)); err != nil {
		return fmt.Errorf("open catalog: prepare: %w", err)
	}
	if c.terms, err = c.prepareRows(ctx, "terms (patient, owner, value)", 3); err != nil {
		return fmt.Errorf("open catalog: prepare: %w", err)
	}
	if c.placements, err = c.prepareRows(ctx, "placements (key, region, object, size, placed_at, promised_at, stored_at)", 7); err != nil {
		return fmt.Errorf("open catalog: prepare: %w", err)
	}
	if c.leafIndex, err = c.prepareRows(ctx, "audit_index (n, at, actor, action, patient, object, decision, credential, address)", 9); err != nil {
		return fmt.Errorf("open catalog: prepare: %w", err)
	}
	if c.reads = c.writes; c.read != c.write {
		if c.reads, err = query.Prepare(ctx, c.preparer(c.read)); err != nil {
			return fmt.Errorf("open catalog: prepare: %w", err)
		}
	}
	if err := c.prepareFacts(ctx); err != nil {
		return fmt.Errorf("open catalog: %w", err)
	}
	if err := errors.Join(c.indexOldCommits(ctx), c.indexOldLeaves(ctx)); err != nil {
		return fmt.Errorf("open catalog: %w", err)
	}
	return nil
}

// Close closes the database.
func (c *Catalog) Close() error {
	var errs []error
	if c.writes != nil {
		errs = append(errs, c.writes.Close())
	}
	if c.reads != nil && c.reads != c.writes {
		errs = append(errs, c.reads.Close())
	}
	errs = append(errs, c.closeFacts(), c.terms.close(), c.placements.close(), c.leafIndex.close())
	if c.read != nil && c.read != c.write {
		errs = append(errs, c.read.Close())
	}
	if c.write != nil { // last, so that SQLite folds its write-ahead log into the file
		errs = append(errs, c.write.Close())
	}
	return errors.Join(errs...)
}

// Ping is nil when the database answers.
func (c *Catalog) Ping(ctx context.Context) error {
	if err := c.read.PingContext(ctx); err != nil {
		return fmt.Errorf("ping catalog: %w", err)
	}
	return nil
}

// Dialect is "sqlite" or "postgres".
func (c *Catalog) Dialect() string { return string(c.dialect) }

// preparer gives sqlc's queries to db in its dialect.
func (c *Catalog) preparer(db *sql.DB) query.DBTX { return dialectDB{db, c.dialect} }

type dialectDB struct {
	*sql.DB
	dialect dialect
}

func (d dialectDB) PrepareContext(ctx context.Context, text string) (*sql.Stmt, error) {
	return d.DB.PrepareContext(ctx, d.dialect.adapt(text))
}

// adapt is all that differs between the two: SQLite knows no row locks.
func (d dialect) adapt(text string) string {
	if d == sqlite {
		text = strings.ReplaceAll(text, " FOR UPDATE SKIP LOCKED", "")
		text = strings.ReplaceAll(text, " FOR UPDATE", "")
	}
	return text
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
