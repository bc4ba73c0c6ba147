package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newConsentCommand(a *app) *cobra.Command {
	return newGroup("consent", "what patients have agreed to, refused and withdrawn",
		newSayCommand(a, "give", "permit", "state that a patient agrees to a use",
			"give puts a consent on record. For research (HRESCH), for a country and for \"*\" the law\nwants it in writing: store it as a document of the patient first, and name it as --evidence.\n\n"+
				"With --country the patient's documents are copied to the regions there and kept sealed;\nwith --reading too, keys lie there and people there may read."),
		newSayCommand(a, "refuse", "refuse", "state that a patient refuses a use",
			"refuse puts on record that a patient does not agree. It beats every consent it touches,\nuntil it is withdrawn."),
		newSayCommand(a, "restrict", "restrict", "state that a patient restricts a use that was permitted",
			"restrict puts on record that a patient restricts a use, as of the treatment itself. It\nbeats every consent it touches, until it is withdrawn."),
		newConsentWithdrawCommand(a), newConsentListCommand(a))
}

// saying is what give, refuse and restrict ask.
type saying struct {
	at          connection
	new         vault.NewConsent
	evidence    string
	from, until string
}

func newSayCommand(a *app, name, decision, short, long string) *cobra.Command {
	s := saying{new: vault.NewConsent{Decision: decision}}
	cmd := &cobra.Command{
		Use:     name + " PATIENT PURPOSE",
		Short:   short,
		Long:    long + "\n\nPATIENT is the patient token that upload prints; PURPOSE an HL7 v3 PurposeOfUse code\n(TREAT, HQUALIMP, HRESCH and others) or \"*\".",
		Example: "  medvault consent " + name + " p… TREAT --country SG",
		Args:    wantArgs(2, 2),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.say(cmd.Context(), s, args[0], args[1]) },
	}
	f := cmd.Flags()
	f.StringVar(&s.new.Country, "country", "", "country it is about, as SG (default: home; of a refusal everywhere)")
	f.StringVar(&s.new.Recipient, "recipient", "", "institution it is about (default: the vault and its own people; of a refusal everybody)")
	f.StringVar(&s.evidence, "evidence", "", "id of the stored document in which it is written")
	f.StringVar(&s.new.Guardian, "guardian", "", "subject of the guardian who says it for a child (default: the patient says it)")
	f.StringVar(&s.from, "from", "", "when it begins, RFC 3339 (default: now)")
	f.StringVar(&s.until, "until", "", "when it ends, RFC 3339 (default: open)")
	if decision == "permit" {
		f.BoolVar(&s.new.Reading, "reading", false, "with --country: covers reading there, not storage alone")
	}
	s.at.addFlags(cmd, record.RoleDPO)
	return cmd
}

func (a *app) say(ctx context.Context, s saying, patient, purpose string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("consent: %w", err)
	}
	s.new.Purpose, s.new.Evidence = record.Purpose(purpose), record.ObjectID(s.evidence)
	if s.new.From, err = timeFlag("--from", s.from); err != nil {
		return err
	}
	if s.new.Until, err = timeFlag("--until", s.until); err != nil {
		return err
	}
	to, err := s.at.open()
	if err != nil {
		return err
	}
	said, err := to.AddConsent(ctx, token, s.new)
	if err != nil {
		return err
	}
	return a.print(said, func(w io.Writer) { table(w, consentRows([]vault.Consent{said})) })
}

// timeFlag reads a time; nil when there is none.
func timeFlag(name, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usagef("%s %q: want a time like 2027-03-31T18:00:00+08:00", name, text)
	}
	return &at, nil
}

func newConsentWithdrawCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "withdraw PATIENT ID",
		Short: "end a consent, or lift a refusal or restriction, now",
		Long:  "withdraw acts on the next request. What lies in a country that no consent covers any more\nis taken away there, its keys first; medvault regions shows what is still to be cleared.",
		Args:  wantArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withdrawConsent(cmd.Context(), &at, args[0], args[1])
		},
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// withdrawnConsent is the JSON of consent withdraw.
type withdrawnConsent struct {
	Withdrawn record.ObjectID `json:"withdrawn"`
}

func (a *app) withdrawConsent(ctx context.Context, at *connection, patient, said string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("consent withdraw: %w", err)
	}
	id, err := record.ParseObjectID(said)
	if err != nil {
		return usagef("consent withdraw: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.WithdrawConsent(ctx, token, id); err != nil {
		return err
	}
	return a.print(withdrawnConsent{id}, func(w io.Writer) { io.WriteString(w, "withdrawn\n") })
}

func newConsentListCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "list PATIENT",
		Short: "list what a patient has said, what was withdrawn included",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.listConsents(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedConsents is the JSON of consent list.
type listedConsents struct {
	Consents []vault.Consent `json:"consents"`
}

func (a *app) listConsents(ctx context.Context, at *connection, patient string) error {
	token, err := record.ParsePatientToken(patient)
	if err != nil {
		return usagef("consent list: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	list, err := from.ListConsents(ctx, token)
	if err != nil {
		return err
	}
	return a.print(listedConsents{append([]vault.Consent{}, list...)}, func(w io.Writer) { table(w, consentRows(list)) })
}

func consentRows(list []vault.Consent) [][]string {
	rows := [][]string{{"ID", "DECISION", "PURPOSE", "COUNTRY", "RECIPIENT", "FROM", "UNTIL", "EVIDENCE"}}
	for _, c := range list {
		decision, country, until := c.Decision, cmp.Or(c.Country, "-"), "-"
		if c.Said != "" {
			decision = fmt.Sprintf("%s (%s)", c.Decision, c.Said)
		}
		if c.Reading {
			country += " (reading)"
		}
		if c.Until != nil {
			until = c.Until.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{string(c.ID), decision, string(c.Purpose), country, cmp.Or(c.Recipient, "-"),
			c.From.Local().Format(time.DateTime), until, cmp.Or(string(c.Evidence), "-")})
	}
	return rows
}
