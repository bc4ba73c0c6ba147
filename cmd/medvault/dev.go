package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"medvault/api"
	"medvault/api/client"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
)

// devOptions of `medvault dev`.
type devOptions struct {
	dir, listen          string
	noSample, noAutoCare bool
	withhold             bool // reports
}

func newDevCommand(a *app) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "run a whole vault in one process, to try things",
		Long: "Runs a whole vault on this machine: gateway, SQLite catalog, local keys (insecure) and four\n" +
			"directory regions, on loopback without TLS. The first run stores a synthetic CT study and a\n" +
			"report. Ctrl-C ends it; the next run comes back with its data.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd.Context(), a, o) },
	}
	cmd.Flags().StringVar(&o.dir, "dir", ".medvault", "where everything is kept")
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8042", "loopback address to listen on")
	cmd.Flags().BoolVar(&o.withhold, "withhold-reports", false, "redact nothing: the views of reports and scans stay held")
	cmd.Flags().BoolVar(&o.noSample, "no-sample", false, "do not store the synthetic study and report")
	cmd.Flags().BoolVar(&o.noAutoCare, "no-auto-care", false, "do not make the dev clinician treat every new patient")
	return cmd
}

func dev(ctx context.Context, a *app, o devOptions) error {
	if err := hideMemory(); err != nil {
		return err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// Before anything is touched: another dev here may be using all of it.
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	// Written when ready, so a reader who finds it finds a running vault.
	info := filepath.Join(dir, "dev.json")
	if err := os.Remove(info); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(info)
	tokens, err := devTokens(filepath.Join(dir, "tokens.json"))
	if err != nil {
		return err
	}
	auth, err := devPeople(tokens)
	if err != nil {
		return err
	}
	cfg, err := devConfig(dir, o.listen)
	if err != nil {
		return err
	}
	cfg.Documents.Withhold = o.withhold
	clinician := identity.DevActor(record.RoleClinician).ID
	if o.noAutoCare {
		clinician = nobody
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h, err := build(ctx, cfg, log, options{autoCare: clinician, uncertified: true})
	if err != nil {
		return err
	}
	return h.gateway(ctx, cfg, auth, new(api.Console), log, func() error {
		if err := devRegister(ctx, h.vault); err != nil {
			return fmt.Errorf("staff register: %w", err)
		}
		if !o.noSample {
			if err := storeSample(ctx, dir, cfg.PublicURL, tokens[record.RoleRadiology]); err != nil {
				return fmt.Errorf("store the sample: %w", err)
			}
			if err := devFamily(ctx, h.vault, cfg.PublicURL, tokens[record.RoleRadiology]); err != nil {
				return fmt.Errorf("store the sample child: %w", err)
			}
		}
		ready := devInfo{URL: cfg.PublicURL, DICOMweb: cfg.PublicURL + "/dicomweb", Tokens: tokens}
		if err := writeJSON(info, ready); err != nil {
			return err
		}
		return printPage(a.stdout, o.dir, ready)
	})
}

// lockDir takes DIR/lock for this process; closing the file, also by dying, gives it
// back.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("another medvault dev runs on this directory: %s", dir)
	} else if err != nil {
		err = fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// devInfo is DIR/dev.json.
type devInfo struct {
	URL      string                 `json:"url"`
	DICOMweb string                 `json:"dicomweb"`
	Tokens   map[record.Role]string `json:"tokens"` // by role, each a distinct person
}

// devTokens are made once and kept, so that a restart does not sign everyone out.
func devTokens(path string) (map[record.Role]string, error) {
	tokens := make(map[record.Role]string)
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &tokens)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("tokens of the dev vault: %w", err)
	}
	known := len(tokens)
	for _, role := range record.Roles() {
		if tokens[role] == "" {
			tokens[role] = identity.NewToken()
		}
	}
	if len(tokens) == known {
		return tokens, nil
	}
	return tokens, writeJSON(path, tokens)
}

func devPeople(tokens map[record.Role]string) (*identity.Static, error) {
	people := make(map[string]record.Actor)
	for role, token := range tokens {
		people[token] = identity.DevActor(role)
	}
	return identity.NewStatic(people)
}

// writeJSON replaces a file that only its owner may read.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// devConfig is the configuration of a vault in one directory: three regions at home,
// each with its own key service, and one abroad.
func devConfig(dir, listen string) (*Config, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, usageError{fmt.Errorf("--listen: %w", err)}
	}
	if port == "0" { // clients need to know the port before the first answer
		if listen, err = freePort(host); err != nil {
			return nil, err
		}
	}
	cfg := &Config{Listen: listen, PublicURL: "http://" + listen, Home: "CN", Spool: filepath.Join(dir, "spool")}
	cfg.Catalog.DSN = "sqlite:" + filepath.Join(dir, "catalog.db")
	cfg.Keys.Shards = 8
	for _, r := range []struct{ name, jurisdiction string }{{"cn-north", "CN"}, {"cn-east", "CN"}, {"cn-south", "CN"}, {"sg-1", "SG"}} {
		cfg.Keys.Services = append(cfg.Keys.Services, KeyServiceConfig{Name: r.name, Driver: "insecure", File: filepath.Join(dir, "keys", r.name+".json")})
		cfg.Regions = append(cfg.Regions, RegionConfig{Name: r.name, Jurisdiction: r.jurisdiction, Driver: "dir",
			Path: filepath.Join(dir, "regions", r.name), Keys: r.name})
	}
	cfg.Transfers = devTransfers("CN", "SG")
	cfg.DPO = DPOConfig{Name: "Data protection officer of the dev vault", Email: "dpo@localhost", Phone: "+86 10 0000 0000", Address: "this machine"}
	cfg.Care.FromDICOM.Attributes = vault.PhysicianAttributes()
	cfg.Documents = devDocuments()
	cfg.fillDefaults()
	cfg.ShutdownGrace = 30 * time.Second
	cfg.Limits.Failures, cfg.Limits.Denials = 300, 3000 // people try things here, and scripts
	return cfg, nil
}

func freePort(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// storeSample uploads the synthetic study and report through the front door, once.
func storeSample(ctx context.Context, dir, url, token string) error {
	done := filepath.Join(dir, "sample-stored")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	c, err := client.New(client.Config{URL: url, Token: token})
	if err != nil {
		return err
	}
	for _, slice := range imagingtest.SampleStudy(12) {
		if _, err := c.StoreDICOM(ctx, bytes.NewReader(slice)); err != nil {
			return err
		}
	}
	p := imagingtest.SamplePatient()
	if _, err := c.StorePDF(ctx, bytes.NewReader(imagingtest.SampleReport()), client.PDF{PatientID: p.ID, Title: "CT head, synthetic"}); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

// printPage says what to try next.
func printPage(w io.Writer, dir string, ready devInfo) error {
	p := imagingtest.SamplePatient()
	_, err := fmt.Fprintf(w, `Medvault is running at %[1]s (development: local keys, no TLS). Ctrl-C ends it. %[1]s/console/ takes a token of %[2]s/dev.json.
A synthetic CT study and a report of patient %[3]s are stored. In another shell, with M="go run ./cmd/medvault":
  $M studies --dev %[2]s --as clinician                     the treating clinician sees the patient
  $M studies --dev %[2]s --as quality                       quality control sees no identity
  $M upload PATH --dev %[2]s --as radiology                 store your own DICOM files, as often as you like
  $M fetch STUDY -o out --dev %[2]s --as clinician          get a study back, byte for byte
  $M regions --dev %[2]s --as operator                      where everything lies
  $M verify --level read --dev %[2]s --as operator          prove it, without a key
  $M audit verify --dev %[2]s --as auditor                  the log of every act
  curl -H "Authorization: Bearer $(sed -n 's/.*"clinician": "\(.*\)".*/\1/p' %[2]s/dev.json)" %[4]s/studies
`, ready.URL, dir, p.ID, ready.DICOMweb)
	return err
}
