package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

// erasing is what erase was asked for.
type erasing struct {
	at                connection
	patient, document string
	n                 vault.NewErasure
	dryRun            bool
}

func newEraseCommand(a *app) *cobra.Command {
	var ask erasing
	cmd := &cobra.Command{
		Use:   "erase --patient PATIENT | --document DOCUMENT",
		Short: "destroy a patient's documents for good, or one of them, by the word of two persons",
		Long: `erase proposes to destroy a patient's documents, or one of them. Nothing happens before
another person approves (erase approve). Then the keys are destroyed in every region, and
after them the objects; erase status tells how far that is, erase certificate gives the
certificate of destruction, erase verify checks one without the vault.

While a legal hold stands it is refused. So it is while the law or the promise keeps the
documents, with the date, unless a legal basis for an early erasure is named with where it
is written: patient-request, consent-revoked, guardian-refused, court-order, statute or
stored-in-error.

--anonymize leaves what can be shown without identity, under names that lead to nobody.

PATIENT is the patient token that upload prints.`,
		Example: `  medvault erase --patient p… --early patient-request --evidence case-7 --dry-run
  medvault erase approve 0123… --as admin`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.erase(cmd.Context(), &ask) },
	}
	f := cmd.Flags()
	f.StringVar(&ask.patient, "patient", "", "token of the patient")
	f.StringVar(&ask.document, "document", "", "id of the one document")
	f.StringVar(&ask.n.Early, "early", "", "legal basis for an erasure before retention has ended")
	f.StringVar(&ask.n.Evidence, "evidence", "", "where the basis is written: a document's id, a case, a file number")
	f.StringVar(&ask.n.Reason, "reason", "", "in words; sealed")
	f.BoolVar(&ask.n.Anonymize, "anonymize", false, "keep what can be shown without identity")
	f.BoolVar(&ask.dryRun, "dry-run", false, "only tell what it would come to")
	ask.at.addFlags(cmd, record.RoleDPO)
	cmd.AddCommand(newEraseApproveCommand(a), newEraseStatusCommand(a), newEraseCertificateCommand(a), newEraseVerifyCommand(a), newEraseReadmitCommand(a), newSweepCommand(a))
	return cmd
}

func (a *app) erase(ctx context.Context, ask *erasing) (err error) {
	if ask.patient == "" && ask.document == "" {
		return usagef("erase: name --patient or --document")
	}
	if ask.patient != "" {
		if ask.n.Patient, err = record.ParsePatientToken(ask.patient); err != nil {
			return usagef("erase --patient: %w", err)
		}
	}
	if ask.document != "" {
		if ask.n.Document, err = record.ParseObjectID(ask.document); err != nil {
			return usagef("erase --document: %w", err)
		}
	}
	to, err := ask.at.open()
	if err != nil {
		return err
	}
	if ask.dryRun {
		p, err := to.PreviewErasure(ctx, ask.n)
		if err != nil {
			return err
		}
		return a.print(p, func(w io.Writer) { table(w, previewRows(p)) })
	}
	e, err := to.ProposeErasure(ctx, ask.n)
	if err != nil {
		return err
	}
	return a.print(e, func(w io.Writer) {
		fmt.Fprintf(w, "proposed: %s\nanother person approves it: medvault erase approve %s\n", e.ID, e.ID)
	})
}

func previewRows(p vault.ErasurePreview) [][]string {
	verdict := "it can be proposed"
	if p.Refused != "" {
		verdict = "refused: " + p.Refused + ": " + p.Advice
	}
	return [][]string{
		{"patient", string(p.Patient)},
		{"documents", fmt.Sprint(p.Documents)},
		{"objects of the patient, records included", fmt.Sprint(p.Objects)},
		{"generations of keys", fmt.Sprint(p.Keys)},
		{"last treatment known", p.Retention.Last.Local().Format(time.DateOnly)},
		{"kept until", p.Retention.Until.Local().Format(time.DateOnly) + ", by table " + p.Retention.Table},
		{"verdict", verdict},
	}
}

func newEraseApproveCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "approve ERASURE",
		Short: "approve a proposed erasure: there is no way back",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("erase approve: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			e, err := to.ApproveErasure(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.print(e, func(w io.Writer) { table(w, erasureRows([]vault.Erasure{e})) })
		},
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func newEraseStatusCommand(a *app) *cobra.Command {
	var at connection
	var patient string
	cmd := &cobra.Command{
		Use:   "status [ERASURE]",
		Short: "list erasures, or tell how far one is in every region",
		Args:  wantArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.erasureStatus(cmd.Context(), &at, patient, args)
		},
	}
	cmd.Flags().StringVar(&patient, "patient", "", "only this patient's")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedErasures is the JSON of erase status without an id.
type listedErasures struct {
	Erasures []vault.Erasure `json:"erasures"`
}

func (a *app) erasureStatus(ctx context.Context, at *connection, patient string, args []string) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		id, err := record.ParseObjectID(args[0])
		if err != nil {
			return usagef("erase status: %w", err)
		}
		e, err := from.Erasure(ctx, id)
		if err != nil {
			return err
		}
		return a.print(e, func(w io.Writer) {
			table(w, erasureRows([]vault.Erasure{e}))
			table(w, erasedRows(e.Regions))
			if e.Certified == nil && e.ReadsEnd != nil {
				fmt.Fprintf(w, "no certificate before %s: until then a gateway may hold a key in memory that it had before\n", e.ReadsEnd.Local().Format(time.DateTime))
			}
		})
	}
	var of record.PatientToken
	if patient != "" {
		if of, err = record.ParsePatientToken(patient); err != nil {
			return usagef("erase status --patient: %w", err)
		}
	}
	list, err := from.Erasures(ctx, of)
	if err != nil {
		return err
	}
	return a.print(listedErasures{append([]vault.Erasure{}, list...)}, func(w io.Writer) { table(w, erasureRows(list)) })
}

func erasureRows(list []vault.Erasure) [][]string {
	rows := [][]string{{"ID", "PATIENT", "DOCUMENT", "BASIS", "STATE", "PROPOSED BY", "APPROVED BY", "APPROVED", "CERTIFIED"}}
	for _, e := range list {
		document := string(e.Document)
		if document == "" {
			document = "all"
		}
		if e.Anonymize {
			document += ", anonymized"
		}
		rows = append(rows, []string{string(e.ID), string(e.Patient), document, e.Basis, e.State, e.ProposedBy, dash(e.ApprovedBy), optionalTime(e.Approved), optionalTime(e.Certified)})
	}
	return rows
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func erasedRows(list []vault.ErasedRegion) [][]string {
	rows := [][]string{{"REGION", "STATUS", "KEYS", "KEYS DEAD", "OBJECTS LEFT", "LOCKED", "SNAPSHOTS UNTIL"}}
	for _, r := range list {
		rows = append(rows, []string{r.Region, r.Status, r.Keys, optionalTime(r.KeysDead), fmt.Sprint(r.Left), fmt.Sprint(r.Locked), optionalTime(r.SnapshotsUntil)})
	}
	return rows
}

func newEraseCertificateCommand(a *app) *cobra.Command {
	var at connection
	var output string
	cmd := &cobra.Command{
		Use:   "certificate ERASURE",
		Short: "get the certificate of destruction; exit code 3: it is pending",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.eraseCertificate(cmd.Context(), &at, args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file that it is written to, for erase verify")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) eraseCertificate(ctx context.Context, at *connection, erasure, output string) error {
	id, err := record.ParseObjectID(erasure)
	if err != nil {
		return usagef("erase certificate: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	c, err := from.ErasureCertificate(ctx, id)
	if err != nil {
		return err
	}
	if output != "" {
		file, err := c.File()
		if err != nil {
			return err
		}
		if err := os.WriteFile(output, file, 0o600); err != nil {
			return fmt.Errorf("erase certificate: %w", err)
		}
	}
	if err := a.print(c, func(w io.Writer) { writeCertificate(w, c) }); err != nil {
		return err
	}
	if waits := c.Pending(); len(waits) > 0 {
		return findingsError{fmt.Errorf("erase certificate: %s", strings.Join(waits, "; "))}
	}
	return nil
}

func writeCertificate(w io.Writer, c vault.Certificate) {
	what := "all documents"
	if c.Document != "" {
		what = "document " + string(c.Document)
	}
	table(w, [][]string{
		{"certificate of destruction", c.State},
		{"patient", string(c.Patient)},
		{"destroyed", fmt.Sprintf("%s, keys up to generation %d", what, c.Generation)},
		{"basis", c.Basis},
		{"proposed, approved by", c.ProposedBy + ", " + c.ApprovedBy},
		{"approved", c.Approved.Format(time.RFC3339)},
		{"reads ended", c.ReadsEnd.Format(time.RFC3339)},
		{"issued", c.Issued.Format(time.RFC3339)},
		{"log key", c.LogKey},
	})
	table(w, erasedRows(c.Regions))
	fmt.Fprintln(w, c.Remains)
}

func newEraseVerifyCommand(a *app) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "verify FILE --log-key KEY",
		Short: "verify a certificate of destruction without the vault; exit code 3: it does not hold",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verifyCertificate(args[0], key)
		},
	}
	cmd.Flags().StringVar(&key, "log-key", "", "verifier key of the log, NAME+HASH+KEY, from elsewhere than the file (required)")
	return cmd
}

// verifiedCertificate is the JSON of erase verify.
type verifiedCertificate struct {
	Verified bool     `json:"verified"`
	Problem  string   `json:"problem,omitempty"`
	Patient  string   `json:"patient,omitempty"`
	State    string   `json:"state,omitempty"`
	Pending  []string `json:"pending,omitempty"`
}

func (a *app) verifyCertificate(path, key string) error {
	if key == "" {
		return usagef("erase verify: give the log's verifier key with --log-key; the one in the file proves nothing")
	}
	info, err := os.Stat(path)
	if err != nil {
		return usageError{fmt.Errorf("erase verify: %w", err)}
	}
	if info.Size() > maxProof {
		return findingsError{fmt.Errorf("erase verify: %s is no certificate", path)}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return usageError{fmt.Errorf("erase verify: %w", err)}
	}
	c, err := vault.CheckCertificate(file, key)
	said := verifiedCertificate{Verified: err == nil}
	if err != nil {
		said.Problem = err.Error()
	} else {
		said.Patient, said.State, said.Pending = string(c.Patient), c.State, c.Pending()
	}
	if err := a.print(said, func(w io.Writer) {
		if said.Verified {
			fmt.Fprintln(w, "the signature and every proof hold")
			writeCertificate(w, c)
		}
	}); err != nil {
		return err
	}
	if !said.Verified {
		return findingsError{fmt.Errorf("erase verify: %s does not hold: %s", path, said.Problem)}
	}
	return nil
}

func newEraseReadmitCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "readmit PATIENT",
		Short: "let a patient in again who was erased: under new keys, with nothing of before",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := record.ParsePatientToken(args[0])
			if err != nil {
				return usagef("erase readmit: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			if err := to.Readmit(cmd.Context(), token); err != nil {
				return err
			}
			return a.print(struct {
				Readmitted record.PatientToken `json:"readmitted"`
			}{token}, func(w io.Writer) { io.WriteString(w, "let in again\n") })
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newSweepCommand(a *app) *cobra.Command {
	var at connection
	var dryRun, anonymize bool
	var approve string
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "propose to erase, or anonymize, everybody whose retention has ended",
		Long:  "sweep looks for patients whose retention has ended and proposes all of them at once; whom\na legal hold keeps is left alone. Another person approves with --approve SWEEP, and each\npatient is looked at once more.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if approve != "" {
				return a.approveSweep(cmd.Context(), &at, approve)
			}
			return a.sweep(cmd.Context(), &at, dryRun, anonymize)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "only tell who it would be")
	f.BoolVar(&anonymize, "anonymize", false, "keep what can be shown without identity")
	f.StringVar(&approve, "approve", "", "approve the sweep of this id")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) sweep(ctx context.Context, at *connection, dryRun, anonymize bool) error {
	to, err := at.open()
	if err != nil {
		return err
	}
	s, err := to.SweepRetention(ctx, dryRun, anonymize)
	if err != nil {
		return err
	}
	return a.print(s, func(w io.Writer) {
		rows := [][]string{{"PATIENT", "DOCUMENTS", "LAST TREATMENT", "KEPT UNTIL"}}
		for _, d := range s.Due {
			rows = append(rows, []string{string(d.Patient), fmt.Sprint(d.Documents), d.Last.Local().Format(time.DateOnly), d.Until.Local().Format(time.DateOnly)})
		}
		table(w, rows)
		fmt.Fprintf(w, "%d due, %d kept by a legal hold\n", len(s.Due), len(s.Held))
		if s.ID != "" {
			fmt.Fprintf(w, "another person approves: medvault erase sweep --approve %s\n", s.ID)
		}
	})
}

func (a *app) approveSweep(ctx context.Context, at *connection, sweep string) error {
	id, err := record.ParseObjectID(sweep)
	if err != nil {
		return usagef("erase sweep --approve: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	done, err := to.ApproveSweep(ctx, id)
	if err != nil {
		return err
	}
	return a.print(done, func(w io.Writer) {
		table(w, erasureRows(done.Approved))
		for _, l := range done.Left {
			fmt.Fprintf(w, "left alone: %s: %s\n", l.Patient, l.Reason)
		}
	})
}
