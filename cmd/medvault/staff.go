package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/staff"
)

func newStaffCommand(a *app) *cobra.Command {
	return newGroup("staff", "who belongs to the staff, of which institution, in which roles, trained when",
		newStaffListCommand(a), newStaffShowCommand(a), newStaffAddCommand(a), newStaffSuspendCommand(a), newStaffTrainCommand(a),
		newInstitutionCommand(a), newAgreementCommand(a), newStaffImportCommand(a), newStaffInitCommand(a))
}

func newStaffListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the register: who may act, who not and why, and whose access ends within 30 days",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.listStaff(cmd.Context(), &at) },
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// listedStaff is the JSON of staff list.
type listedStaff struct {
	People []vault.StaffPerson `json:"people"`
}

func (a *app) listStaff(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	people, err := from.Staff(ctx)
	if err != nil {
		return err
	}
	return a.print(listedStaff{append([]vault.StaffPerson{}, people...)}, func(w io.Writer) { table(w, staffRows(people)) })
}

func staffRows(people []vault.StaffPerson) [][]string {
	rows := [][]string{{"SUBJECT", "KIND", "ROLES", "INSTITUTION", "STANDING", "TRAINING ENDS", "WARNING"}}
	for _, p := range people {
		var roles, warnings []string
		for _, r := range p.Roles {
			roles = append(roles, string(r))
		}
		for _, w := range p.Warnings {
			warnings = append(warnings, w.Reason+" on "+w.At.Local().Format(time.DateOnly))
		}
		ends := "-"
		if p.TrainingEnds != nil {
			ends = p.TrainingEnds.Local().Format(time.DateOnly)
		}
		rows = append(rows, []string{p.Subject, p.Kind, strings.Join(roles, " "), p.Institution, p.Standing, ends, strings.Join(warnings, ", ")})
	}
	return rows
}

func newStaffShowCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "show SUBJECT",
		Short: "show one entry, with name and trainings",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onRegister(cmd.Context(), &at, func(ctx context.Context, to staffRegister) (vault.StaffPerson, error) {
				return to.StaffMember(ctx, args[0])
			})
		},
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// staffRegister is what the commands need of the client.
type staffRegister interface {
	StaffMember(ctx context.Context, subject string) (vault.StaffPerson, error)
	AddStaff(ctx context.Context, p vault.StaffPerson) (vault.StaffPerson, error)
	ChangeStaff(ctx context.Context, subject string, fields map[string]any) (vault.StaffPerson, error)
	TrainStaff(ctx context.Context, subject string, t vault.Training) (vault.StaffPerson, error)
}

// onRegister does something with one entry and prints what it is now.
func (a *app) onRegister(ctx context.Context, at *connection, do func(context.Context, staffRegister) (vault.StaffPerson, error)) error {
	to, err := at.open()
	if err != nil {
		return err
	}
	p, err := do(ctx, to)
	if err != nil {
		return err
	}
	return a.print(p, func(w io.Writer) {
		table(w, staffRows([]vault.StaffPerson{p}))
		for _, t := range p.Trainings {
			fmt.Fprintf(w, "trained %s %s, attested by %s\n", t.At.Local().Format(time.DateOnly), printable(t.Reference), printable(t.By))
		}
	})
}

func newStaffAddCommand(a *app) *cobra.Command {
	var at connection
	var p vault.StaffPerson
	var roles []string
	var trained string
	cmd := &cobra.Command{
		Use:     "add SUBJECT --role ROLE --institution ID",
		Short:   "put a person or service on the register",
		Long:    "add puts somebody on the staff register. SUBJECT is the subject (sub) of their identity. A\nperson may act once a training is attested (--trained, or staff train); a service\n(--kind service: a modality or machine) needs none.",
		Example: "  medvault staff add dr-li --role clinician --institution ward-3 --trained 2026-10-01",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Subject = args[0]
			for _, r := range roles {
				p.Roles = append(p.Roles, record.Role(r))
			}
			if trained != "" {
				day, err := parseDay("--trained", trained)
				if err != nil {
					return err
				}
				p.Trainings = []vault.Training{{At: day}}
			}
			return a.onRegister(cmd.Context(), &at, func(ctx context.Context, to staffRegister) (vault.StaffPerson, error) { return to.AddStaff(ctx, p) })
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&roles, "role", nil, "role in the vault; may be given several times")
	flags.StringVar(&p.Institution, "institution", "", "id of the institution")
	flags.StringVar(&p.Name, "name", "", "name of the person; it is sealed")
	flags.StringVar(&p.Kind, "kind", staff.Person, "person, or service for a machine")
	flags.StringVar(&p.Country, "country", "", "where they read from, ISO 3166-1 (default: the institution's)")
	flags.StringVar(&trained, "trained", "", "day of the last training, 2006-01-02 or RFC 3339")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// parseDay reads the value of a flag that names a day or a time in the past.
func parseDay(flag, s string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if day, err := time.Parse(form, s); err == nil {
			return day, nil
		}
	}
	return time.Time{}, usagef("%s %q: want a day like 2026-10-01, or a time in RFC 3339", flag, s)
}

func newStaffSuspendCommand(a *app) *cobra.Command {
	var at connection
	var lift bool
	cmd := &cobra.Command{
		Use:   "suspend SUBJECT",
		Short: "let somebody do nothing more, from their next request on in every gateway",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			state := staff.Halted
			if lift {
				state = staff.Active
			}
			return a.onRegister(cmd.Context(), &at, func(ctx context.Context, to staffRegister) (vault.StaffPerson, error) {
				return to.ChangeStaff(ctx, args[0], map[string]any{"state": state})
			})
		},
	}
	cmd.Flags().BoolVar(&lift, "lift", false, "end the suspension")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func newStaffTrainCommand(a *app) *cobra.Command {
	var at connection
	var on, reference string
	cmd := &cobra.Command{
		Use:   "train SUBJECT",
		Short: "attest that somebody was trained; their access lasts a year from then",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			day := time.Now()
			if on != "" {
				var err error
				if day, err = parseDay("--on", on); err != nil {
					return err
				}
			}
			return a.onRegister(cmd.Context(), &at, func(ctx context.Context, to staffRegister) (vault.StaffPerson, error) {
				return to.TrainStaff(ctx, args[0], vault.Training{At: day, Reference: reference})
			})
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "day of the training, 2006-01-02 or RFC 3339 (default: now)")
	cmd.Flags().StringVar(&reference, "reference", "", "course or certificate")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func newInstitutionCommand(a *app) *cobra.Command {
	return newGroup("institution", "institutions and their signed compliance agreements", newInstitutionListCommand(a), newInstitutionPutCommand(a))
}

func newInstitutionListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the institutions",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := at.open()
			if err != nil {
				return err
			}
			list, err := from.Institutions(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(listedInstitutions{append([]vault.StaffInstitution{}, list...)}, func(w io.Writer) { table(w, institutionRows(list)) })
		},
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// listedInstitutions is the JSON of staff institution list.
type listedInstitutions struct {
	Institutions []vault.StaffInstitution `json:"institutions"`
}

func institutionRows(list []vault.StaffInstitution) [][]string {
	rows := [][]string{{"ID", "NAME", "COUNTRY", "ISSUER", "STATE", "AGREEMENT", "BINDS UNTIL"}}
	for _, i := range list {
		until := "-"
		switch {
		case i.Own:
			until = "the house itself"
		case i.AgreementUntil != nil:
			until = i.AgreementUntil.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{i.ID, i.Name, i.Country, i.Issuer, i.State, i.Agreement, until})
	}
	return rows
}

func newInstitutionPutCommand(a *app) *cobra.Command {
	var at connection
	var i vault.StaffInstitution
	cmd := &cobra.Command{
		Use:     "put ID --country CC --issuer ISSUER",
		Short:   "add an institution, or replace what the register says of it",
		Example: "  medvault staff institution put north-clinic --country CN --issuer NORTH\n  medvault staff agreement north-clinic --document signed.pdf --expires 2028-12-31",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			i.ID = args[0]
			to, err := at.open()
			if err != nil {
				return err
			}
			if err := keepAgreement(cmd.Context(), to, &i); err != nil {
				return err
			}
			put, err := to.PutInstitution(cmd.Context(), i)
			if err != nil {
				return err
			}
			return a.print(put, func(w io.Writer) { table(w, institutionRows([]vault.StaffInstitution{put})) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&i.Name, "name", "", "name of the institution")
	flags.StringVar(&i.Country, "country", "", "where it lies, ISO 3166-1 alpha-2")
	flags.StringVar(&i.Issuer, "issuer", "", "Issuer of Patient ID of documents that name none; a patient's token is made from it")
	flags.BoolVar(&i.Own, "own", false, "keep it the house itself, which needs no agreement and which the configuration names")
	flags.StringVar(&i.State, "state", staff.Active, "active or suspended")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

func newStaffImportCommand(a *app) *cobra.Command {
	var at connection
	var dry bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "bring a CSV file, or a FHIR R4 Bundle (.json), into the register",
		Long: `import reads a file line by line; what a line leaves empty stays as it is, a refused line
stops no other. --dry-run tells what would happen and writes nothing.

CSV has a heading with some of: subject, kind, name, roles, institution, country, state,
trained, reference, issuer, agreement. Roles are separated by spaces. A line whose kind is
institution is one: subject is its id. Agreements come with their documents: see staff
agreement.

Of a FHIR Bundle, Organization, Practitioner and PractitionerRole are read. The subject of a
person is the identifier of system urn:medvault:subject, or the first. The id of an
institution is the identifier of system urn:medvault:institution, or the resource's id; an
Organization that is part of another (partOf) without such an identifier is a department of
it, and its people are the other's. Name, address.country and active are read, and
extension urn:medvault:issuer-of-patient-id, which a new institution needs. Agreements and
trainings are not: see staff agreement and staff train.

Exit code 3: some lines were refused.`,
		Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importStaff(cmd.Context(), &at, args[0], dry)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "tell what would happen, write nothing")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// importedStaff is the JSON of staff import.
type importedStaff struct {
	DryRun bool                  `json:"dryRun"`
	Lines  []vault.StaffImported `json:"lines"`
}

func (a *app) importStaff(ctx context.Context, at *connection, path string, dry bool) error {
	file, err := os.Open(path)
	if err != nil {
		return usageError{err}
	}
	defer file.Close() // reading
	contentType := "text/csv; charset=utf-8"
	if filepath.Ext(path) == ".json" {
		contentType = "application/fhir+json"
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	lines, err := to.ImportStaff(ctx, contentType, file, dry)
	if err != nil {
		return err
	}
	err = a.print(importedStaff{dry, append([]vault.StaffImported{}, lines...)}, func(w io.Writer) {
		rows := [][]string{{"LINE", "NAME", "OUTCOME", "REASON"}}
		for _, l := range lines {
			rows = append(rows, []string{fmt.Sprint(l.Line), l.Name, l.Outcome, l.Reason})
		}
		table(w, rows)
	})
	refused := slices.ContainsFunc(lines, func(l vault.StaffImported) bool { return l.Outcome == vault.ImportRefused })
	if err == nil && refused {
		err = findingsError{errors.New("some lines were refused")}
	}
	return err
}

func newStaffInitCommand(a *app) *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "init --config FILE SUBJECT",
		Short: "put the first administrator on an empty register, on the vault's own host",
		Long:  "init does what staff.firstAdmin of the configuration does at the start of serve: on an\nempty register it enters the house as an institution and SUBJECT as its administrator.",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if config == "" {
				return usageError{errors.New("staff init needs --config FILE")}
			}
			return a.initStaff(cmd.Context(), config, args[0])
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration of the gateways")
	return cmd
}

// begunStaff is the JSON of staff init.
type begunStaff struct {
	Begun bool `json:"begun"` // false: the register was not empty, and stays as it was
}

func (a *app) initStaff(ctx context.Context, path, subject string) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return usageError{err}
	}
	h, err := build(ctx, cfg, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), options{autoCare: nobody})
	if err != nil {
		return err
	}
	begun, err := h.vault.BeginStaff(ctx, subject, theHouse(cfg))
	if err = errors.Join(err, h.close()); err != nil {
		return err
	}
	return a.print(begunStaff{begun}, func(w io.Writer) {
		if begun {
			fmt.Fprintln(w, "begun")
		} else {
			fmt.Fprintln(w, "nothing done: the register is not empty")
		}
	})
}
