package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"medvault/storage"
	"medvault/vault"
	"medvault/vault/audit"
)

// tilesCheck is audit verify without a vault: from the files of regions alone.
type tilesCheck struct {
	at      offline
	regions []string // of the configuration
	dirs    []string // of a region, or of an export
	logKey  string
	known   []string
}

func (c tilesCheck) asked() bool { return len(c.regions) > 0 || len(c.dirs) > 0 }

// tilesVerified is the JSON of audit verify from files alone.
type tilesVerified struct {
	Intact bool          `json:"intact"`
	Logs   []verifiedLog `json:"logs"`
}

type verifiedLog struct {
	Source string `json:"source"` // region or directory
	audit.RegionReport
}

func (a *app) verifyTiles(ctx context.Context, ask tilesCheck) error {
	key, err := note.NewVerifier(ask.logKey)
	if err != nil {
		return usagef("--log-key: NAME+HASH+KEY of Ed25519, as audit verify --json tells it")
	}
	known, err := readKnown(ask.known)
	if err != nil {
		return err
	}
	logs, err := ask.logs(ctx)
	if err != nil {
		return err
	}
	done := tilesVerified{Intact: true}
	longest := 0
	for i, l := range logs {
		r, err := l.verify(ctx, key, known)
		if err != nil {
			return fmt.Errorf("%s: %w", l.source, err)
		}
		done.Logs = append(done.Logs, verifiedLog{l.source, r})
		if r.Size > done.Logs[longest].Size {
			longest = i
		}
	}
	// Each must be a beginning of the longest; one that is behind may still be catching up.
	for i, other := range done.Logs {
		top := &done.Logs[longest]
		if i == longest || !other.Intact || !top.Intact {
			continue
		}
		if top.RegionReport, err = logs[longest].verify(ctx, key, append(known, []byte(other.Checkpoint))); err != nil {
			return fmt.Errorf("%s: %w", top.Source, err)
		}
		if !top.Intact {
			top.Evidence = "compared with " + other.Source + ": " + top.Evidence
		}
	}
	for _, l := range done.Logs {
		done.Intact = done.Intact && l.Intact
	}
	err = a.print(done, func(w io.Writer) {
		for _, l := range done.Logs {
			verdict := "intact"
			if !l.Intact {
				verdict = "BROKEN: " + printable(l.Evidence)
			}
			fmt.Fprintf(w, "%s: log of %d leaves, root %s, %d other checkpoints: %s\n", printable(l.Source), l.Size, l.Root, l.Compared, verdict)
		}
	})
	if err == nil && !done.Intact {
		err = findingsError{errors.New("audit verify: the log is broken")}
	}
	return err
}

// readKnown reads checkpoints that were kept.
func readKnown(paths []string) (known [][]byte, err error) {
	for _, path := range paths {
		signed, err := os.ReadFile(path)
		if err != nil {
			return nil, usagef("--known: %w", err)
		}
		known = append(known, signed)
	}
	return known, nil
}

// tiledLog is a log as it lies somewhere.
type tiledLog struct {
	source string
	verify func(ctx context.Context, key note.Verifier, known [][]byte) (audit.RegionReport, error)
}

func (c tilesCheck) logs(ctx context.Context) (logs []tiledLog, err error) {
	for _, dir := range c.dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, usagef("--tiles %s: no directory", dir)
		}
		files := tileDir(dir)
		logs = append(logs, tiledLog{dir, func(ctx context.Context, key note.Verifier, known [][]byte) (audit.RegionReport, error) {
			return audit.VerifyRegion(ctx, files.get, files.list, key, known...)
		}})
	}
	for _, name := range c.regions {
		var bucket storage.Store
		if bucket, err = (cosigning{at: c.at, region: name}).open(ctx); err != nil {
			return nil, err
		}
		logs = append(logs, tiledLog{name, func(ctx context.Context, key note.Verifier, known [][]byte) (audit.RegionReport, error) {
			return vault.VerifyRegionLog(ctx, bucket, key, known...)
		}})
	}
	return logs, nil
}

// tileDir reads a log's files below a directory: of a region, which has them under log/,
// or of an export, which has them at its top and one checkpoint.
type tileDir string

func (d tileDir) region() bool {
	_, err := os.Stat(filepath.Join(string(d), filepath.FromSlash(audit.CheckpointPrefix)))
	return err == nil
}

func (d tileDir) path(key string) string {
	switch {
	case d.region():
		return filepath.Join(string(d), filepath.FromSlash(key))
	case strings.HasPrefix(key, audit.CheckpointPrefix):
		return filepath.Join(string(d), "checkpoint")
	}
	return filepath.Join(string(d), filepath.FromSlash(strings.TrimPrefix(key, audit.LogPrefix)))
}

func (d tileDir) get(_ context.Context, key string) (io.ReadCloser, error) {
	return os.Open(d.path(key))
}

func (d tileDir) list(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if prefix == audit.CheckpointPrefix && !d.region() {
			size, err := d.exported()
			if err == nil {
				yield(audit.CheckpointKey(size), nil)
			} else if !errors.Is(err, fs.ErrNotExist) {
				yield("", err)
			}
			return
		}
		entries, err := os.ReadDir(d.path(prefix))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, e := range entries {
			if !e.IsDir() && !yield(prefix+e.Name(), nil) {
				return
			}
		}
	}
}

// exported is the size that the checkpoint of an export names; whether it is signed is
// for the reader to see.
func (d tileDir) exported() (size int64, err error) {
	text, err := os.ReadFile(filepath.Join(string(d), "checkpoint"))
	if err != nil {
		return 0, err
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 2 {
		return 1, nil
	}
	if _, err := fmt.Sscan(lines[1], &size); err != nil || size < 1 {
		return 1, nil
	}
	return size, nil
}
