package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/record"
)

func newPolicyCommand(a *app) *cobra.Command {
	return newGroup("policy", "the rules of who may do what", newPolicyCheckCommand(a), newPolicyExplainCommand(a))
}

func newPolicyCheckCommand(a *app) *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "check [DIR | --config FILE]",
		Short: "read access policies as a gateway does at its start, and list them",
		Long: "check reads the built-in policies, and those of DIR or of a configuration beside them. What\n" +
			"does not parse, does not fit the schema or has no @id of its own is named with file and line,\n" +
			"and the exit code is 2. Policies that can decide nothing are findings (exit code 3).",
		Example: "  medvault policy check /etc/medvault/policies",
		Args:    wantArgs(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := strings.Join(args, "")
			if config != "" {
				if dir != "" {
					return usageError{errors.New("policy check: give DIR or --config, not both")}
				}
				cfg, err := loadConfig(config)
				if err != nil {
					return usageError{err}
				}
				dir = cfg.Policies
			}
			return a.checkPolicies(dir)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "a gateway's configuration file: check what it names")
	return cmd
}

// checkedPolicies is the JSON of policy check.
type checkedPolicies struct {
	Policies []access.Rule `json:"policies"`
	Unused   []string      `json:"unused"` // ids of those that decide nothing
}

func (a *app) checkPolicies(dir string) error {
	e, err := policiesOf(dir)
	if err != nil {
		return usageError{fmt.Errorf("policies: %w", err)}
	}
	found := checkedPolicies{e.Rules(), e.Unused()}
	err = a.print(found, func(w io.Writer) {
		rows := [][]string{{"ID", "FROM", "EFFECT", "SAYS"}}
		for _, r := range found.Policies {
			effect := "permit " + string(r.View)
			if r.Forbids {
				effect = "forbid " + r.Reason
			}
			from := fmt.Sprintf("%s:%d", r.File, r.Line)
			if r.BuiltIn {
				from += " (built in)"
			}
			rows = append(rows, []string{r.ID, from, strings.TrimSpace(effect), r.Says})
		}
		table(w, rows)
	})
	if err == nil && len(found.Unused) > 0 {
		return findingsError{fmt.Errorf("policies that decide nothing: %s", strings.Join(found.Unused, ", "))}
	}
	return err
}

func newPolicyExplainCommand(a *app) *cobra.Command {
	var at connection
	var q vault.ExplainQuery
	var role, use, action, patient, document string
	cmd := &cobra.Command{
		Use:     "explain --actor SUBJECT --action ACTION [--patient TOKEN | --document ID] [--for PURPOSE]",
		Short:   "say whether somebody may do something, by which rule, and what would have to change",
		Long:    "explain asks a gateway how it would decide an act now. Nothing is done but a line in the log.",
		Example: "  medvault policy explain --actor dr-li --action document.read --patient p… --for TREAT",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Actor == "" || action == "" {
				return usageError{errors.New("policy explain needs --actor and --action")}
			}
			q.Role, q.Purpose, q.Action = record.Role(role), record.Purpose(use), record.Action(action)
			q.Patient, q.Document = record.PatientToken(patient), record.ObjectID(document)
			return a.explain(cmd.Context(), &at, q)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Actor, "actor", "", "who would act: their subject in the staff register")
	f.StringVar(&role, "role", "", "in which role (default: the one of the register)")
	f.StringVar(&use, "for", "", "for which purpose of use (default: the role's own); --purpose is yours, who ask")
	f.StringVar(&action, "action", "", "what they would do, as document.read")
	f.StringVar(&patient, "patient", "", "to which patient, by token")
	f.StringVar(&document, "document", "", "or to which document, by object id")
	f.StringVar(&q.Recipient, "recipient", "", "institution that would be given documents")
	at.addFlags(cmd, record.RoleAuditor)
	return cmd
}

func (a *app) explain(ctx context.Context, at *connection, q vault.ExplainQuery) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	x, err := from.Explain(ctx, q)
	if err != nil {
		return err
	}
	return a.print(x, func(w io.Writer) { tellExplanation(w, x) })
}

func tellExplanation(w io.Writer, x vault.PolicyExplanation) {
	verdict := "refused: " + x.Reason
	if x.Allow {
		verdict = strings.TrimSpace("allowed " + string(x.View))
	} else if !x.MayKnow {
		verdict += " (and told that there is nothing)"
	}
	fmt.Fprintf(w, "%s\n\n", printable(verdict))
	rows := [][]string{{"RULE", "FROM", "SAYS"}}
	for _, r := range x.Rules {
		rows = append(rows, []string{r.ID, fmt.Sprintf("%s:%d", r.File, r.Line), r.Says})
	}
	for _, r := range x.Permits {
		rows = append(rows, []string{r.ID, fmt.Sprintf("%s:%d", r.File, r.Line), "(would permit it) " + r.Says})
	}
	if len(rows) == 1 {
		rows = append(rows, []string{"-", "-", "no policy permits it, and what none permits is refused"})
	}
	table(w, rows)
	fmt.Fprintln(w)
	rows = [][]string{{"FACT", "VALUE"}}
	for _, f := range x.Facts {
		rows = append(rows, []string{f.Name, cmp.Or(f.Value, "-")})
	}
	table(w, rows)
	if x.Allow {
		return
	}
	if len(x.Changes) == 0 {
		fmt.Fprint(w, "\nNo fact about this patient, document or person would change that.\n")
		return
	}
	fmt.Fprint(w, "\nIt would be allowed with:\n")
	for _, change := range x.Changes {
		var all []string
		for _, f := range change {
			all = append(all, f.Name+" = "+cmp.Or(f.Value, "none"))
		}
		fmt.Fprintf(w, "  %s\n", printable(strings.Join(all, " and ")))
	}
}
