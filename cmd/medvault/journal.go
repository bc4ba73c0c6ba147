package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// journal remembers which files a vault has acknowledged, so that an interrupted
// upload goes on where it stopped. It is a file in the user's cache directory, one a
// vault, by its own identity, and holds a random salt and salted hashes: neither path nor content nor
// token can be read from it.
//
// It only ever saves work: without it everything is sent again, and the vault stores
// nothing twice.
type journal struct {
	salt string

	mu   sync.Mutex
	file *os.File // nil: nothing is remembered
	done map[string]bool
	err  error // the first that occurred while writing
}

// journalEntry is a file as it was when it was stored; a changed one is another, and
// so is one of which something else is said.
type journalEntry struct {
	path     string // absolute
	about    string // what the user said of it: patient, category, title
	size     int64
	modified time.Time
}

// openJournal opens the journal of the vault of that identity; forget leaves out what
// it says.
func openJournal(vault string, forget bool) (*journal, error) {
	cache, err := os.UserCacheDir()
	if err != nil { // no home: a service account, say
		return &journal{done: map[string]bool{}}, nil
	}
	dir := filepath.Join(cache, "medvault", "uploads")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("upload journal: %w", err)
	}
	name := sha256.Sum256([]byte(vault))
	path := filepath.Join(dir, hex.EncodeToString(name[:16]))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("upload journal: %w", err)
	}
	j := &journal{file: f, done: make(map[string]bool)}
	if err := j.read(forget); err != nil {
		return nil, errors.Join(fmt.Errorf("upload journal %s: %w", path, err), f.Close())
	}
	return j, nil
}

func (j *journal) read(forget bool) error {
	lines := bufio.NewScanner(j.file)
	for lines.Scan() {
		switch line := lines.Text(); {
		case j.salt == "":
			j.salt = line
		case !forget:
			j.done[line] = true
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if j.salt == "" {
		j.salt = rand.Text()
		_, err := fmt.Fprintln(j.file, j.salt)
		return err
	}
	return nil
}

func (j *journal) hash(e journalEntry) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d\x00%d", j.salt, e.path, e.about, e.size, e.modified.UnixNano()))
	return hex.EncodeToString(sum[:])
}

func (j *journal) has(e journalEntry) bool {
	h := j.hash(e)
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done[h]
}

func (j *journal) add(e journalEntry) {
	h := j.hash(e)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || j.done[h] {
		return
	}
	j.done[h] = true
	if _, err := fmt.Fprintln(j.file, h); err != nil && j.err == nil {
		j.err = fmt.Errorf("upload journal: %w", err)
	}
}

// failure is the first error that kept the journal from remembering.
func (j *journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close()
	}
}
