package catalog

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// openSQLite opens one connection for writing, whose transactions take the write
// lock when they begin, and a pool of readers that see snapshots beside it.
func (c *Catalog) openSQLite(path string) error {
	// Created here, so that only its owner may read it; SQLite gives the
	// write-ahead log the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	both := []string{"busy_timeout(10000)", "foreign_keys(1)", "temp_store(memory)"}
	// secure_delete: a deleted wrap is overwritten, not only unlinked.
	writer := append([]string{"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(1)"}, both...)
	if c.write, err = sql.Open("sqlite", sqliteURL(path, "immediate", writer)); err != nil {
		return err
	}
	c.write.SetMaxOpenConns(1)
	c.write.SetMaxIdleConns(1)
	if c.read, err = sql.Open("sqlite", sqliteURL(path, "deferred", append([]string{"query_only(1)"}, both...))); err != nil {
		return err
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	c.read.SetMaxOpenConns(readers)
	c.read.SetMaxIdleConns(readers)
	return nil
}

func sqliteURL(path, lock string, pragmas []string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": pragmas}
	return fmt.Sprintf("file:%s?%s", (&url.URL{Path: path}).EscapedPath(), q.Encode())
}

func sqliteBusy(err error) bool {
	var e *driver.Error
	if !errors.As(err, &e) {
		return false
	}
	primary := e.Code() & 0xff
	return primary == codes.SQLITE_BUSY || primary == codes.SQLITE_LOCKED
}
