package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/api/client"
	"medvault/vault"
	"medvault/vault/breach"
	"medvault/vault/record"
)

func newIncidentCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "work on a breach: whom it affects, contain it, tell people, report it",
		Long: `incident keeps the record of a breach from its discovery on: within 72 hours patients and
authorities have to be told. Whom it affects is computed from the log each time it is asked.
The vault sends no notices itself: it drafts them, and records who was told, by whom and how.
With --drill nothing has happened, nothing is contained and nobody is alarmed.`,
		Example: `  medvault incident open --what 'a password was given away' --person dr-li --from 2026-11-18
  medvault incident affected ID
  medvault incident contain ID revoke-person dr-li
  medvault incident notify ID --drafts notices/
  medvault incident notify ID --all --how letter
  medvault incident report ID --format html -o report.html`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIncidentOpenCommand(a), newIncidentListCommand(a), newIncidentShowCommand(a), newIncidentAffectedCommand(a), newIncidentWidenCommand(a),
		newIncidentContainCommand(a), newIncidentNotifyCommand(a), newIncidentReportCommand(a), newIncidentCloseCommand(a))
	return cmd
}

// scopeFlags are what an intruder may have acted by, as flags.
type scopeFlags struct {
	scope       vault.IncidentScope
	object, key string
	from, to    string
}

func (s *scopeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.scope.Person, "person", "", "subject of the person whose access was misused")
	f.StringVar(&s.scope.Credential, "credential", "", "credential, as jti:…")
	f.StringVar(&s.scope.Address, "address", "", "IP address requests came from")
	f.StringVar(&s.object, "object", "", "id of an object that leaked")
	f.StringVar(&s.scope.Region, "region", "", "region whose content leaked")
	f.StringVar(&s.key, "key", "", "key encryption key that leaked, as content-0a or content-0a@3")
	f.StringVar(&s.from, "from", "", "only acts from this day or time on")
	f.StringVar(&s.to, "to", "", "only acts before this day or time")
}

// read is the scope that the flags say, if any.
func (s *scopeFlags) read() (list []vault.IncidentScope, err error) {
	s.scope.Object = record.ObjectID(s.object)
	if s.key != "" {
		name, version, _ := strings.Cut(s.key, "@")
		kind, shard, _ := strings.Cut(name, "-")
		s.scope.Key = &vault.KeyScope{Kind: kind, Shard: shard}
		if version != "" {
			if s.scope.Key.Version, err = strconv.Atoi(version); err != nil {
				return nil, usagef("--key: name a version by its number, as content-0a@3")
			}
		}
	}
	for _, t := range []struct {
		flag, text string
		into       **time.Time
	}{{"--from", s.from, &s.scope.From}, {"--to", s.to, &s.scope.To}} {
		if t.text == "" {
			continue
		}
		at, err := dayOrTime(t.text)
		if err != nil {
			return nil, usagef("%s: %w", t.flag, err)
		}
		*t.into = &at
	}
	if s.scope == (vault.IncidentScope{}) {
		return nil, nil
	}
	return []vault.IncidentScope{s.scope}, nil
}

// onIncident makes a command about one incident.
func onIncident(a *app, at *connection, use, short string, most int, do func(ctx context.Context, to *client.Client, id record.ObjectID, args []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: wantArgs(1, most),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := record.ParseObjectID(args[0])
			if err != nil {
				return usagef("incident: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			return do(cmd.Context(), to, id, args[1:])
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newIncidentOpenCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewIncident
	var scope scopeFlags
	var discovered string
	cmd := &cobra.Command{
		Use:   "open --what TEXT [--discovered TIME] [--person ID …] [--drill]",
		Short: "put a breach on record: the clock of 72 hours runs from its discovery",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if n.Scopes, err = scope.read(); err != nil {
				return err
			}
			if discovered != "" {
				at, err := dayOrTime(discovered)
				if err != nil {
					return usagef("incident open --discovered: %w", err)
				}
				n.Discovered = &at
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			i, err := to.OpenIncident(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.printIncident(i)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.What, "what", "", "what happened, in words; sealed (required)")
	f.StringVar(&discovered, "discovered", "", "when it was discovered; default now")
	f.BoolVar(&n.Drill, "drill", false, "an exercise")
	scope.add(cmd)
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) printIncident(i vault.Incident) error {
	return a.print(i, func(w io.Writer) {
		rows := [][]string{
			{"incident", string(i.ID)}, {"what", i.What}, {"state", i.State}, {"discovered", i.Discovered.Local().Format(time.DateTime)},
			{"to be told until", i.Clock.Due.Local().Format(time.DateTime) + ", " + string(i.Clock.Standing)},
			{"patients told", fmt.Sprint(i.PatientsTold)}, {"authorities told", fmt.Sprint(len(i.Authority) > 0)},
		}
		if i.Drill {
			rows = append([][]string{{"DRILL", "nothing has happened"}}, rows...)
		}
		for _, m := range i.Containment {
			rows = append(rows, []string{"done", m.Did + " " + m.Target + ", " + m.At.Local().Format(time.DateTime) + ", " + m.By})
		}
		table(w, rows)
	})
}

// listedIncidents is the JSON of incident list.
type listedIncidents struct {
	Incidents []vault.Incident `json:"incidents"`
}

func newIncidentListCommand(a *app) *cobra.Command {
	var at connection
	var all bool
	cmd := &cobra.Command{
		Use: "list [--all]", Short: "list breaches; exit code 3: somebody was not told in time", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := at.open()
			if err != nil {
				return err
			}
			list, err := to.Incidents(cmd.Context(), all)
			if err != nil {
				return err
			}
			err = a.print(listedIncidents{append([]vault.Incident{}, list...)}, func(w io.Writer) {
				rows := [][]string{{"ID", "DRILL", "STATE", "DISCOVERED", "DUE", "CLOCK", "TOLD"}}
				for _, i := range list {
					rows = append(rows, []string{string(i.ID), fmt.Sprint(i.Drill), i.State, i.Discovered.Local().Format(time.DateTime), i.Clock.Due.Local().Format(time.DateTime), string(i.Clock.Standing), fmt.Sprint(i.PatientsTold)})
				}
				table(w, rows)
			})
			if err == nil && slices.ContainsFunc(list, func(i vault.Incident) bool {
				return !i.Drill && i.State == vault.DossierOpen && i.Clock.Standing == breach.Overdue
			}) {
				return findingsError{fmt.Errorf("incident list: somebody was not told in time")}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func newIncidentShowCommand(a *app) *cobra.Command {
	at := new(connection)
	return onIncident(a, at, "show ID", "tell a breach with its clock and what was done", 1, func(ctx context.Context, to *client.Client, id record.ObjectID, _ []string) error {
		i, err := to.Incident(ctx, id)
		if err != nil {
			return err
		}
		return a.printIncident(i)
	})
}

func newIncidentAffectedCommand(a *app) *cobra.Command {
	at := new(connection)
	return onIncident(a, at, "affected ID", "compute from the log whom a breach affects, and how", 1, func(ctx context.Context, to *client.Client, id record.ObjectID, _ []string) error {
		of, err := to.Affected(ctx, id)
		if err != nil {
			return err
		}
		return a.print(of, func(w io.Writer) {
			rows := [][]string{{"PATIENT", "ACT", "TIMES", "FIRST", "LAST"}}
			for _, p := range of.Patients {
				for _, how := range p.How {
					rows = append(rows, []string{string(p.Patient), how.Act, fmt.Sprint(how.Times), how.First.Local().Format(time.DateTime), how.Last.Local().Format(time.DateTime)})
				}
			}
			table(w, rows)
			fmt.Fprintf(w, "%d patients, by %d leaves of the log\n", len(of.Patients), of.LogSize)
		})
	})
}

func newIncidentWidenCommand(a *app) *cobra.Command {
	at, scope := new(connection), new(scopeFlags)
	cmd := onIncident(a, at, "widen ID --person ID …", "say what else an intruder may have acted by", 1, func(ctx context.Context, to *client.Client, id record.ObjectID, _ []string) error {
		list, err := scope.read()
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return usagef("incident widen: name a person, credential, address, object, region, key or time")
		}
		i, err := to.AddScope(ctx, id, list[0])
		if err != nil {
			return err
		}
		return a.printIncident(i)
	})
	scope.add(cmd)
	return cmd
}

func newIncidentContainCommand(a *app) *cobra.Command {
	at := new(connection)
	return onIncident(a, at, "contain ID "+strings.Join(vault.Containments(), "|")+" [TARGET]", "do one thing against a breach, everywhere on the next request", 3,
		func(ctx context.Context, to *client.Client, id record.ObjectID, args []string) error {
			var what vault.Containment
			if len(args) == 0 {
				return usagef("incident contain: say what to do: %s", strings.Join(vault.Containments(), ", "))
			}
			if what.Do = args[0]; len(args) > 1 {
				what.Target = args[1]
			}
			i, err := to.Contain(ctx, id, what)
			if err != nil {
				return err
			}
			return a.printIncident(i)
		})
}

func newIncidentNotifyCommand(a *app) *cobra.Command {
	at := new(connection)
	var n vault.Notified
	var drafts string
	var patients []string
	cmd := onIncident(a, at, "notify ID --drafts DIR | (--all | --patient TOKEN | --authority) --how CODE", "write the notices' drafts, or record who was told", 1,
		func(ctx context.Context, to *client.Client, id record.ObjectID, _ []string) error {
			if drafts != "" {
				return a.writeDrafts(ctx, to, id, drafts)
			}
			for _, p := range patients {
				n.Patients = append(n.Patients, record.PatientToken(p))
			}
			i, err := to.Notified(ctx, id, n)
			if err != nil {
				return err
			}
			return a.printIncident(i)
		})
	f := cmd.Flags()
	f.StringVar(&drafts, "drafts", "", "write the drafts into this directory, two files a patient")
	f.BoolVar(&n.All, "all", false, "every affected patient was told")
	f.StringArrayVar(&patients, "patient", nil, "this patient was told (repeatable)")
	f.BoolVar(&n.Authority, "authority", false, "the authorities were told")
	f.StringVar(&n.How, "how", "", "in a word, as letter, phone or online-form")
	f.StringVar(&n.Reference, "reference", "", "of a receipt")
	return cmd
}

// writtenDrafts is the JSON of incident notify --drafts.
type writtenDrafts struct {
	Notices []vault.PatientNotice `json:"notices"`
}

func (a *app) writeDrafts(ctx context.Context, from *client.Client, id record.ObjectID, into string) error {
	list, err := from.Notices(ctx, id)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(into, 0o700); err != nil {
		return fmt.Errorf("incident notify: %w", err)
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return fmt.Errorf("incident notify: %w", err)
	}
	defer root.Close()
	for _, n := range list {
		for language, text := range map[string]string{"zh": n.Chinese, "en": n.English} {
			if err := root.WriteFile(n.Patient+"."+language+".txt", []byte(text), 0o600); err != nil {
				return fmt.Errorf("incident notify: %w", err)
			}
		}
	}
	return a.print(writtenDrafts{list}, func(w io.Writer) { fmt.Fprintf(w, "drafts for %d patients in %s\n", len(list), into) })
}

func newIncidentReportCommand(a *app) *cobra.Command {
	at := new(connection)
	var format, out string
	cmd := onIncident(a, at, "report ID [--format text|html|json] [-o FILE]", "write the report to the authorities, as it is known now", 1,
		func(ctx context.Context, to *client.Client, id record.ObjectID, _ []string) error {
			if a.json {
				format = "json"
			}
			page, err := to.IncidentReport(ctx, id, format)
			if err != nil {
				return err
			}
			if out != "" {
				if err := os.WriteFile(out, page, 0o600); err != nil {
					return fmt.Errorf("incident report: %w", err)
				}
				return nil
			}
			if format == "json" {
				return a.print(json.RawMessage(page), func(w io.Writer) { fmt.Fprintf(w, "%s\n", page) })
			}
			return a.print(string(page), func(w io.Writer) { w.Write(page) })
		})
	f := cmd.Flags()
	f.StringVar(&format, "format", "text", "text, html or json")
	f.StringVarP(&out, "output", "o", "", "write it into this file")
	return cmd
}

func newIncidentCloseCommand(a *app) *cobra.Command {
	at := new(connection)
	var outcome, nobody string
	cmd := onIncident(a, at, "close ID --outcome TEXT [--tell-nobody WHY]", "end the record of a breach", 1, func(ctx context.Context, to *client.Client, id record.ObjectID, _ []string) error {
		i, err := to.CloseIncident(ctx, id, outcome, nobody)
		if err != nil {
			return err
		}
		return a.printIncident(i)
	})
	cmd.Flags().StringVar(&outcome, "outcome", "", "what came of it; sealed (required)")
	cmd.Flags().StringVar(&nobody, "tell-nobody", "", "why nobody has to be told, where not everybody was")
	return cmd
}
