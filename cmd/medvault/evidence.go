package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/evidence"
	"medvault/vault/record"
)

func newEvidenceCommand(a *app) *cobra.Command {
	var at connection
	var quarter, out string
	cmd := &cobra.Command{
		Use:   "evidence --quarter 2026Q4 [-o DIR]",
		Short: "collect the evidence of a quarter: signed JSON, a page and a PDF",
		Long: `evidence collects what shows that the promises of a quarter were kept, and where not. Each
line names the query or command that produced it. The JSON is signed under the key of the
log; the page and the PDF are made of it. In the PDF characters beyond Latin-1 are shown as
"?". Exit code 3: a line needs attention.`,
		Example: "  medvault evidence --quarter 2026Q4 -o evidence\n  medvault evidence verify evidence/evidence-2026Q4.json --log-key KEY",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.evidence(cmd.Context(), &at, quarter, out) },
	}
	cmd.Flags().StringVar(&quarter, "quarter", "", "as 2026Q4 (required)")
	cmd.Flags().StringVarP(&out, "output", "o", "", "directory for evidence-QUARTER.json, .html and .pdf")
	at.addFlags(cmd, record.RoleDPO)
	cmd.AddCommand(newEvidenceVerifyCommand(a))
	return cmd
}

func (a *app) evidence(ctx context.Context, at *connection, quarter, out string) error {
	if quarter == "" {
		return usagef("evidence: name a quarter with --quarter, as 2026Q4")
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	file, err := from.EvidenceFile(ctx, quarter)
	if err != nil {
		return err
	}
	var r evidence.Report
	if err := json.Unmarshal(file, &r); err != nil {
		return fmt.Errorf("evidence: read the answer: %w", err)
	}
	if out != "" {
		if err := writeEvidence(out, file, r); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
	}
	err = a.print(r, func(w io.Writer) {
		for _, s := range r.Sections {
			fmt.Fprintf(w, "%s\n", s.Title)
			for _, l := range s.Lines {
				fmt.Fprintf(w, "  %s %s: %s\n", map[bool]string{false: " ", true: "!"}[l.Alert], l.What, l.Value)
			}
		}
	})
	if n := r.Alerts(); err == nil && n > 0 {
		return findingsError{fmt.Errorf("evidence: %d lines need attention", n)}
	}
	return err
}

// renderings are the forms of a report beside its JSON, by the ending of their names.
func renderings(r evidence.Report) map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{".html": r.WriteHTML, ".pdf": r.WritePDF}
}

func writeEvidence(dir string, file []byte, r evidence.Report) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	name := "evidence-" + r.Quarter
	err = root.WriteFile(name+".json", file, 0o600)
	for ending, render := range renderings(r) {
		var page bytes.Buffer
		err = errors.Join(err, render(&page), root.WriteFile(name+ending, page.Bytes(), 0o600))
	}
	return err
}

// verifiedEvidence is the JSON of evidence verify.
type verifiedEvidence struct {
	Verified bool     `json:"verified"`
	Problem  string   `json:"problem,omitempty"`
	Quarter  string   `json:"quarter,omitempty"`
	Same     []string `json:"same,omitempty"` // files beside it that say the same
}

func newEvidenceVerifyCommand(a *app) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "verify FILE --log-key KEY",
		Short: "verify evidence without the vault; exit code 3: it does not hold",
		Long: `verify checks the signature of the JSON, and that a page and a PDF that lie beside it under
the same name say the same. FILE may be any of the three.`,
		Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.verifyEvidence(args[0], key) },
	}
	cmd.Flags().StringVar(&key, "log-key", "", "verifier key of the log, NAME+HASH+KEY, from elsewhere than the file (required)")
	return cmd
}

func (a *app) verifyEvidence(path, key string) error {
	if key == "" {
		return usagef("evidence verify: give the log's verifier key with --log-key; the one in the file proves nothing")
	}
	base := strings.TrimSuffix(path, filepath.Ext(path))
	file, err := os.ReadFile(base + ".json")
	if err != nil {
		return usageError{fmt.Errorf("evidence verify: %w", err)}
	}
	r, err := vault.CheckEvidence(file, key)
	said := verifiedEvidence{Verified: err == nil, Quarter: r.Quarter}
	for ending, render := range renderings(r) {
		if err != nil {
			break
		}
		there, missing := os.ReadFile(base + ending)
		if errors.Is(missing, os.ErrNotExist) {
			continue
		}
		var page bytes.Buffer
		if err = errors.Join(missing, render(&page)); err == nil && !bytes.Equal(there, page.Bytes()) {
			err = fmt.Errorf("%s does not say what was signed", filepath.Base(base+ending))
		}
		if err == nil {
			said.Same = append(said.Same, filepath.Base(base+ending))
		}
	}
	if err != nil {
		said = verifiedEvidence{Problem: err.Error()}
	}
	if printed := a.print(said, func(w io.Writer) {
		if said.Verified {
			fmt.Fprintf(w, "the evidence of %s holds\n", said.Quarter)
		}
	}); printed != nil {
		return printed
	}
	if err != nil {
		return findingsError{fmt.Errorf("evidence verify: %w", err)}
	}
	return nil
}
