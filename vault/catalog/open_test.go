package catalog_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// database is a fresh database of one dialect, to be opened as often as a test likes.
type database struct {
	dsn string
	now func() time.Time
}

func (d database) open(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Config{DSN: d.dsn, Now: d.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, db database)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteDatabase(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, postgresDatabase(t)) })
}

func sqliteDatabase(t testing.TB) database {
	// A name that a URL would take apart, if it were not escaped.
	return database{dsn: "sqlite:" + filepath.Join(t.TempDir(), "a catalog?#%41.db")}
}

func postgresDatabase(t testing.TB) database {
	server := os.Getenv("MEDVAULT_TEST_POSTGRES")
	if server == "" {
		t.Skip("set MEDVAULT_TEST_POSTGRES (scripts/test starts one)")
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	name := fmt.Sprintf("catalog_%s", record.NewObjectID())
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin, err := sql.Open("pgx", server)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("MEDVAULT_TEST_POSTGRES is not a URL")
	}
	u.Path = "/" + name
	return database{dsn: u.String()}
}

func update(t testing.TB, c *catalog.Catalog, fn func(ctx context.Context, tx *catalog.Tx) error) {
	t.Helper()
	if err := c.Update(t.Context(), func(tx *catalog.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, c *catalog.Catalog, fn func(ctx context.Context, tx *catalog.Tx) error) {
	t.Helper()
	if err := c.View(t.Context(), func(tx *catalog.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesOtherDatabases(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", "catalog.db", "mysql://secret@host/db"} {
		c, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn})
		if err == nil {
			c.Close()
			t.Errorf("Open(%q) = nil error", dsn)
		}
	}
}

func TestSQLiteFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := database{dsn: "sqlite:" + path}.open(t)
	update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
		_, _, err := tx.EnsurePatient(ctx, newPatient(1))
		return err
	})
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o; want 600", filepath.Base(name), mode)
		}
	}
}

func TestTwoCatalogsOpenOneFreshDatabaseAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		const n = 4
		errs := make(chan error)
		for range n {
			go func() {
				c, err := catalog.Open(t.Context(), catalog.Config{DSN: db.dsn})
				if err == nil {
					err = c.Ping(t.Context())
					c.Close()
				}
				errs <- err
			}()
		}
		for range n {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}
