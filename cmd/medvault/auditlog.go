package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"medvault/api/transport"
	"medvault/storage"
	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
)

func newAuditExportCommand(a *app) *cobra.Command {
	var at connection
	var dir string
	cmd := &cobra.Command{
		Use:   "export -o DIR",
		Short: "fetch the whole log, for tools that read C2SP tiles",
		Long: `export writes the whole log below DIR in the layout of C2SP tlog-tiles: checkpoint,
tile/… and tile/entries/…. What lies there from an earlier export stays where it is the
same. The leaves hold patient tokens, and no other patient data. "audit verify --json"
tells the key that verifies the checkpoint.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.exportAudit(cmd.Context(), &at, dir) },
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "directory to write to (required)")
	at.addFlags(cmd, record.RoleAuditor)
	return cmd
}

// auditExported is the JSON of audit export.
type auditExported struct {
	Files      int    `json:"files"`
	Checkpoint string `json:"checkpoint"`
}

func (a *app) exportAudit(ctx context.Context, at *connection, dir string) error {
	if dir == "" {
		return usagef("-o DIR: where to?")
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	var done auditExported
	err = from.AuditExport(ctx, func(name string, body io.Reader) error {
		// The vault names the files; only names of a log get onto this disk.
		if name != "checkpoint" && !audit.IsLogName(audit.LogPrefix+name, true) {
			return fmt.Errorf("the answer holds a file that is not of a log: %s", printable(name))
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if done.Files++; name == "checkpoint" {
			done.Checkpoint = string(data)
		}
		return replaceFile(filepath.Join(dir, filepath.FromSlash(name)), data)
	})
	if err != nil {
		return err
	}
	return a.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "%d files in %s under this checkpoint:\n", done.Files, dir)
		for line := range strings.Lines(done.Checkpoint) {
			fmt.Fprintf(w, "  %s\n", printable(strings.TrimSuffix(line, "\n")))
		}
	})
}

// replaceFile writes a file, with its folders, so that it is there whole or as before.
func replaceFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func newAuditSnapshotCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "bring the log and a signed manifest to every region now",
		Long: `snapshot brings every region's copy of the log up to date, and with it a signed manifest
of what the region must hold. Gateways do the first each minute and the second each day.
What it finds lost or damaged of the log it puts right, keeping the bad bytes; it then
fails once, so that somebody hears of it, and the state of the regions tells where.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			with, err := at.open()
			if err != nil {
				return err
			}
			if err := with.AuditSnapshot(cmd.Context()); err != nil {
				return err
			}
			return a.print(struct{}{}, func(w io.Writer) { fmt.Fprintln(w, "every region has the log and a manifest") })
		},
	}
	at.addFlags(cmd, record.RoleOperator)
	return cmd
}

// offline is how a command reaches a vault's parts without a gateway.
type offline struct{ config, dev string }

func (o *offline) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.config, "config", "", "configuration of the gateways, none of which runs")
	cmd.Flags().StringVar(&o.dev, "dev", "", "or the directory of a `medvault dev` that does not run")
}

// open reads the configuration; done gives a dev directory back.
func (o *offline) open(alone bool) (cfg *Config, done func() error, err error) {
	done = func() error { return nil }
	switch {
	case (o.config == "") == (o.dev == ""):
		return nil, done, usagef("give --config FILE or --dev DIR")
	case o.config != "":
		cfg, err = loadConfig(o.config)
	default:
		dir, bad := filepath.Abs(o.dev)
		if bad != nil {
			return nil, done, bad
		}
		if alone {
			lock, err := lockDir(dir)
			if err != nil {
				return nil, done, err
			}
			done = lock.Close
		}
		cfg, err = devConfig(dir, "127.0.0.1:8042")
	}
	if err != nil {
		return nil, done, usageError{err}
	}
	return cfg, done, nil
}

func newAuditImportCommand(a *app) *cobra.Command {
	var at offline
	var from string
	cmd := &cobra.Command{
		Use:   "import (--config FILE | --dev DIR) --from REGION",
		Short: "take over the leaves a region has behind the catalog's",
		Long: `import is for a catalog that was put back to an earlier state, as by restoring a backup,
which no gateway starts on. It takes over the leaves that a home region has behind the
catalog's own, after comparing every one with the region's signed checkpoint, and names
the objects they committed that the catalog does not know. No gateway may run.

Exit code 3: there are such objects; "medvault rebuild" brings them back. Exit code 4:
the two logs differ, and nothing was taken over.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.importAudit(cmd.Context(), &at, from) },
	}
	cmd.Flags().StringVar(&from, "from", "", "region to take leaves from (required)")
	at.addFlags(cmd)
	return cmd
}

func (a *app) importAudit(ctx context.Context, at *offline, from string) (err error) {
	if from == "" {
		return usagef("--from REGION: from which?")
	}
	cfg, unlock, err := at.open(true)
	if err != nil {
		return err
	}
	h := new(house)
	defer func() { err = errors.Join(err, h.close(), unlock()) }()
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	parts, err := h.partsOf(ctx, cfg, log, options{autoCare: nobody})
	if err != nil {
		return err
	}
	done, err := vault.ImportLog(ctx, parts, from, localAdmin(cfg))
	if errors.Is(err, vault.ErrLogForked) {
		return refusedError{err}
	}
	if err != nil {
		return err
	}
	err = a.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "%d leaves taken over from %s behind the catalog's %d\n", done.Leaves, done.Region, done.Before)
		for _, id := range done.Unknown {
			fmt.Fprintf(w, "the catalog does not know %s\n", id)
		}
	})
	if err == nil && len(done.Unknown) > 0 {
		err = findingsError{fmt.Errorf("%d objects of the log are not in the catalog: medvault rebuild --from %s brings them back", len(done.Unknown), done.Region)}
	}
	return err
}

// cosigning is what audit cosign was asked for.
type cosigning struct {
	at                                  offline
	region, logKey, key, state, newName string
}

func newAuditCosignCommand(a *app) *cobra.Command {
	var ask cosigning
	cmd := &cobra.Command{
		Use:   "cosign (--config FILE | --dev DIR) --region REGION --log-key KEY --key FILE --state FILE",
		Short: "sign, as somebody else, that the log has only grown",
		Long: `cosign is for whoever watches over the vault without running it. It reads the newest
checkpoint of a region, proves from the tiles there that the log has only grown since
the checkpoint it saw last, which it keeps in the file --state, and then lays a
signature by its own key beside the checkpoint (C2SP tlog-cosignature). It needs the
region's credentials and the log's public key ("medvault audit verify --json" tells it,
once; compare it with what others were told), and nothing else of the vault.

Make the key first:  medvault audit cosign --new-key NAME --key FILE

Exit code 3: the log was put back, or differs from what was seen. Nothing is signed, and
the state stays as evidence.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.newName != "" {
				return a.newCosigner(ask.newName, ask.key)
			}
			return a.cosign(cmd.Context(), ask)
		},
	}
	f := cmd.Flags()
	f.StringVar(&ask.region, "region", "", "region to read, and to lay the signature in")
	f.StringVar(&ask.logKey, "log-key", "", "public key of the log, NAME+HASH+KEY")
	f.StringVar(&ask.key, "key", "", "file with the verifier's own secret key")
	f.StringVar(&ask.state, "state", "", "file with the checkpoint seen last; made the first time")
	f.StringVar(&ask.newName, "new-key", "", "make the file --key for a verifier of this name, and print its public key")
	ask.at.addFlags(cmd)
	return cmd
}

// newCosigner makes a verifier's key file: its name and seed in one line.
func (a *app) newCosigner(name, path string) error {
	if path == "" {
		return usagef("--key FILE: where does the key go?")
	}
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	c, err := audit.NewCosigner(name, seed)
	if err != nil {
		return usageError{err}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %s\n", name, base64.StdEncoding.EncodeToString(seed))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return a.print(struct {
		Key string `json:"key"`
	}{c.VerifierKey()}, func(w io.Writer) { fmt.Fprintln(w, c.VerifierKey()) })
}

func readCosigner(path string) (*audit.Cosigner, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name, encoded, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	seed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: not a name and a seed", path) // not the error, which would quote
	}
	c, err := audit.NewCosigner(name, seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// cosignedLog is the JSON of audit cosign.
type cosignedLog struct {
	Size int64     `json:"size"`
	Root string    `json:"root"`
	At   time.Time `json:"at"`
}

func (a *app) cosign(ctx context.Context, ask cosigning) (err error) {
	if ask.region == "" || ask.logKey == "" || ask.key == "" || ask.state == "" {
		return usagef("--region, --log-key, --key and --state are required")
	}
	logKey, err := note.NewVerifier(ask.logKey)
	if err != nil {
		return usagef("--log-key: not NAME+HASH+KEY of Ed25519")
	}
	cosigner, err := readCosigner(ask.key)
	if err != nil {
		return usageError{err}
	}
	unlock, err := lockState(ask.state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	bucket, err := ask.open(ctx)
	if err != nil {
		return err
	}
	log, err := vault.ReadRegionLog(ctx, bucket, logKey)
	if err != nil {
		return err
	}
	if err := grownSince(ctx, log, ask.state, logKey); err != nil {
		return err
	}
	// The state first: what was signed once is never signed against.
	if err := replaceFile(ask.state, log.Checkpoint); err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	at, err := layBeside(ctx, bucket, cosigner, log)
	if err != nil {
		return err
	}
	return a.print(cosignedLog{log.Size, log.Root.String(), at}, func(w io.Writer) {
		fmt.Fprintf(w, "cosigned: %d leaves, root %s\n", log.Size, log.Root)
	})
}

// lockState keeps two runs from signing by one state.
func lockState(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--state: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f.Close, nil
}

// open opens the data bucket of the one region.
func (ask cosigning) open(ctx context.Context) (storage.Store, error) {
	cfg, _, err := ask.at.open(false)
	if err != nil {
		return nil, err
	}
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		return nil, usagef("tls.profile: %w", err)
	}
	for _, r := range cfg.Regions {
		if r.Name == ask.region {
			return openBucket(ctx, r, r.Bucket, profile, false)
		}
	}
	return nil, usagef("--region %s: the configuration has no such region", ask.region)
}

// grownSince compares the log with the checkpoint that was seen last, if any was.
func grownSince(ctx context.Context, log *audit.RegionLog, state string, key note.Verifier) error {
	last, err := os.ReadFile(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	err = log.GrownFrom(ctx, last, key)
	if errors.Is(err, audit.ErrRolledBack) || errors.Is(err, audit.ErrForked) {
		return findingsError{err}
	}
	return err
}

// layBeside puts the cosignature beside the checkpoint, where it is not there already.
func layBeside(ctx context.Context, bucket storage.Store, c *audit.Cosigner, log *audit.RegionLog) (at time.Time, err error) {
	at = time.Now().UTC().Truncate(time.Second)
	line, err := c.Cosign(log.Checkpoint, at)
	if err != nil {
		return at, err
	}
	body := storage.Body{ReaderAt: bytes.NewReader(line), Size: int64(len(line)), SHA256: sha256.Sum256(line)}
	err = bucket.Put(ctx, c.Key(log.Size), body)
	if !errors.Is(err, storage.ErrExist) {
		return at, err
	}
	r, err := bucket.Get(ctx, c.Key(log.Size), 0, -1)
	if err != nil {
		return at, err
	}
	defer r.Close() // reading: everything that counts was said by Read
	if line, err = io.ReadAll(io.LimitReader(r, 4096)); err != nil {
		return at, err
	}
	if at, err = audit.OpenCosignature(log.Checkpoint, line, c.VerifierKey()); err != nil {
		err = findingsError{fmt.Errorf("something else lies where the cosignature belongs: %w", err)}
	}
	return at, err
}
