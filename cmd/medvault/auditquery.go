package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"medvault/vault"
	"medvault/vault/record"
)

// auditQuestion is what audit query and audit access-log were asked for.
type auditQuestion struct {
	patient, object, actor, credential, action, decision string
	from, to, language                                   string
	limit                                                int
	all                                                  bool
}

func newAuditQueryCommand(a *app) *cobra.Command {
	var at connection
	var ask auditQuestion
	cmd := &cobra.Command{
		Use:     "query",
		Aliases: []string{"list"},
		Short:   "find acts in the log",
		Long: `query lists leaves of the log, the newest first; every flag narrows the answer. Who asks
and about whom is a leaf of its own. Patients are named by their token.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.queryAudit(cmd.Context(), &at, ask) },
	}
	f := cmd.Flags()
	f.StringVar(&ask.patient, "patient", "", "only about this patient, by token")
	f.StringVar(&ask.object, "object", "", "only about this document or record, by object id")
	f.StringVar(&ask.actor, "actor", "", "only by this person or service")
	f.StringVar(&ask.credential, "credential", "", "only what this proved: jti:…, jwt:…, token:…, x509:… or as a leaf names it")
	f.StringVar(&ask.action, "action", "", "only this kind of act, as document.read")
	f.StringVar(&ask.decision, "decision", "", "only what was allowed, or refused: allow or deny")
	ask.addSpan(cmd)
	at.addFlags(cmd, record.RoleAuditor)
	return cmd
}

func (q *auditQuestion) addSpan(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.from, "from", "", "only since then, as 2026-11-22T08:00:00Z or 2026-11-22")
	f.StringVar(&q.to, "to", "", "only before then")
	f.IntVarP(&q.limit, "limit", "n", 100, "at most so many; 0: all there are")
}

// instant reads a time or the beginning of a day in UTC.
func instant(flag, text string) (t time.Time, err error) {
	if text == "" {
		return t, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err = time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return t, usagef("--%s: want a time as 2026-11-22T08:00:00Z or a day as 2026-11-22", flag)
}

func (q auditQuestion) span() (from, to time.Time, err error) {
	if from, err = instant("from", q.from); err == nil {
		to, err = instant("to", q.to)
	}
	return from, to, err
}

// page is how much is asked for at once.
func (q auditQuestion) page(have int) int {
	const most = 1000
	if q.limit <= 0 {
		return most
	}
	return min(most, q.limit-have)
}

func (a *app) queryAudit(ctx context.Context, at *connection, ask auditQuestion) error {
	q := vault.AuditQuery{Actor: ask.actor, Credential: ask.credential, Action: record.Action(ask.action), Decision: ask.decision}
	var err error
	if ask.patient != "" {
		if q.Patient, err = record.ParsePatientToken(ask.patient); err != nil {
			return usagef("--patient: %w", err)
		}
	}
	if ask.object != "" {
		if q.Object, err = record.ParseObjectID(ask.object); err != nil {
			return usagef("--object: %w", err)
		}
	}
	if q.From, q.To, err = ask.span(); err != nil {
		return err
	}
	with, err := at.open()
	if err != nil {
		return err
	}
	all := vault.AuditPage{Leaves: []vault.AuditLeaf{}}
	for more := true; more; {
		q.Limit = ask.page(len(all.Leaves))
		page, err := with.AuditQuery(ctx, q)
		if err != nil {
			return err
		}
		all.Leaves, all.Next = append(all.Leaves, page.Leaves...), page.Next
		q.After = page.Next
		more = page.Next != "" && (ask.limit <= 0 || len(all.Leaves) < ask.limit)
	}
	return a.print(all, func(w io.Writer) {
		rows := [][]string{{"LEAF", "TIME", "ACTOR", "ROLE", "PURPOSE", "ACTION", "DECISION", "PATIENT", "OBJECT", "REASON"}}
		for _, l := range all.Leaves {
			var t struct{ Time, Actor, Role, Purpose, Action, Decision, Patient, Object, Reason string }
			if err := json.Unmarshal(l.Leaf, &t); err != nil {
				continue // the JSON form shows it as it is
			}
			rows = append(rows, []string{strconv.FormatInt(l.Number, 10), t.Time, t.Actor, t.Role, t.Purpose, t.Action, t.Decision, t.Patient, t.Object, t.Reason})
		}
		table(w, rows)
		if all.Next != "" {
			fmt.Fprintln(w, "there are more: --limit")
		}
	})
}

func newAccessLogCommand(a *app) *cobra.Command {
	var at connection
	var ask auditQuestion
	cmd := &cobra.Command{
		Use:   "access-log --patient TOKEN",
		Short: "tell who did what with one patient's documents",
		Long: `access-log lists every act on a patient's documents in plain words, the newest first.
With --json each line has its leaf and inclusion proof; keep the file, and
"medvault audit verify-line FILE" verifies it anywhere, without the vault.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.accessLog(cmd.Context(), &at, ask) },
	}
	f := cmd.Flags()
	f.StringVar(&ask.patient, "patient", "", "the patient, by token (required)")
	f.StringVar(&ask.language, "language", "en", "en or zh")
	f.BoolVar(&ask.all, "all", false, "what the vault did by itself too, as copies that were promised")
	ask.addSpan(cmd)
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// accessLogPages is the JSON of audit access-log: pages as the vault gave them, each with
// the checkpoint that its lines are proved under.
type accessLogPages struct {
	Pages []vault.AccessLog `json:"pages"`
}

func (a *app) accessLog(ctx context.Context, at *connection, ask auditQuestion) error {
	patient, err := record.ParsePatientToken(ask.patient)
	if err != nil {
		return usagef("--patient: %w", err)
	}
	if ask.language != "en" && ask.language != "zh" {
		return usagef("--language: en or zh")
	}
	q := vault.AccessQuery{Language: ask.language, All: ask.all}
	if q.From, q.To, err = ask.span(); err != nil {
		return err
	}
	with, err := at.open()
	if err != nil {
		return err
	}
	var done accessLogPages
	lines := 0
	for more := true; more; {
		q.Limit = ask.page(lines)
		page, err := with.AccessLog(ctx, patient, q)
		if err != nil {
			return err
		}
		done.Pages = append(done.Pages, page)
		lines += len(page.Lines)
		q.After = page.Next
		more = page.Next != "" && (ask.limit <= 0 || lines < ask.limit)
	}
	if err := done.check(done.Pages[0].Log); err != nil {
		return findingsError{fmt.Errorf("the vault's answer does not prove itself: %w", err)}
	}
	return a.print(done, func(w io.Writer) {
		for _, page := range done.Pages {
			for _, l := range page.Lines {
				fmt.Fprintf(w, "%s  %s\n", l.Time.Local().Format("2006-01-02 15:04:05 MST"), printable(l.Words))
			}
		}
		last := done.Pages[len(done.Pages)-1]
		fmt.Fprintf(w, "%d acts; each is in the log of %d leaves signed by %s\n", lines, last.TreeSize, printable(last.Log))
		if last.Next != "" {
			fmt.Fprintln(w, "there are more: --limit")
		}
	})
}

// check verifies every line under the log's public key.
func (p accessLogPages) check(logKey string) error {
	key, err := note.NewVerifier(logKey)
	if err != nil {
		return errors.New("the log's key is not NAME+HASH+KEY of Ed25519")
	}
	for _, page := range p.Pages {
		if err := page.Check(key); err != nil {
			return err
		}
	}
	return nil
}

func newVerifyLineCommand(a *app) *cobra.Command {
	var logKey string
	cmd := &cobra.Command{
		Use:   "verify-line FILE --log-key KEY",
		Short: "verify lines of an access log, without the vault",
		Long: `verify-line verifies what "audit access-log --json" or GET …/access-log answered: each
line's leaf is in the log whose signed checkpoint lies beside it, and the line says what
its leaf says. FILE - is standard input. It needs no vault and no network.

By other tools: the leaf hash is SHA-256 of a zero byte and the bytes of "leaf"; hash it
with "proof" as RFC 6962 2.1.1 says, for leaf "number" of a tree of "treeSize"; the result
is the root in "checkpoint", a C2SP signed note under the log's public key.

Exit code 3: a line does not hold.`,
		Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.verifyLines(args[0], logKey, cmd.InOrStdin()) },
	}
	cmd.Flags().StringVar(&logKey, "log-key", "", "public key of the log, NAME+HASH+KEY (required)")
	return cmd
}

func (a *app) verifyLines(path, logKey string, stdin io.Reader) (err error) {
	if _, err := note.NewVerifier(logKey); err != nil {
		return usagef("--log-key: NAME+HASH+KEY of Ed25519, as audit verify --json tells it")
	}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close() // reading: everything that counts was said by Read
		stdin = f
	}
	text, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	var p accessLogPages
	if err := json.Unmarshal(text, &p); err != nil {
		return usagef("%s: no access log in JSON", path)
	}
	if len(p.Pages) == 0 { // one page, as HTTP answers it
		var page vault.AccessLog
		if err := json.Unmarshal(text, &page); err != nil || page.Checkpoint == "" {
			return usagef("%s: no access log in JSON", path)
		}
		p.Pages = []vault.AccessLog{page}
	}
	lines := 0
	for _, page := range p.Pages {
		lines += len(page.Lines)
	}
	if err := p.check(logKey); err != nil {
		return findingsError{fmt.Errorf("verify-line: %w", err)}
	}
	return a.print(struct {
		Lines int `json:"lines"`
	}{lines}, func(w io.Writer) { fmt.Fprintf(w, "%d lines are in the log and say what their leaves say\n", lines) })
}
