package catalog

import (
	"crypto/tls"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

func (c *Catalog) openPostgres(dsn string, profile *tls.Config) error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return errors.New("the PostgreSQL DSN does not parse") // pgx would quote it
	}
	restrict(cfg.TLSConfig, profile)
	for _, fallback := range cfg.Fallbacks { // further hosts
		restrict(fallback.TLSConfig, profile)
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	c.write, c.read = db, db
	return nil
}

// restrict gives one connection's TLS the profile's versions, suites and curves. A
// connection in clear, which the DSN asked for, stays one.
func restrict(c, profile *tls.Config) {
	if c == nil || profile == nil {
		return
	}
	c.MinVersion, c.MaxVersion = profile.MinVersion, profile.MaxVersion
	c.CipherSuites, c.CurvePreferences = profile.CipherSuites, profile.CurvePreferences
}

// postgresConns bounds the connections of one gateway; PostgreSQL allows 100 by
// default, which several gateways share.
const postgresConns = 16

// postgresConflict says whether a transaction met another and may be tried again.
func postgresConflict(err error) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	const serialization, deadlock = "40001", "40P01"
	return e.Code == serialization || e.Code == deadlock
}
