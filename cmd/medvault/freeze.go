package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

// newFreezeCommand makes freeze and thaw, of patients and regions.
func newFreezeCommand(a *app, thaw bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "freeze",
		Short: "stop everything with a patient's documents, or copies to a region",
		Long: `freeze patient refuses every act on a patient's documents, in every gateway from the next
request on, until it is thawed. freeze region copies nothing to a region; it is still read.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if thaw {
		cmd.Use, cmd.Short, cmd.Long = "thaw", "end a freeze", "thaw ends the freeze of a patient or of a region."
	}
	region := newRegionOrder(a, map[bool]string{false: vault.OrderFreeze, true: vault.OrderThaw}[thaw], "of a region", "")
	region.Use = "region REGION"
	cmd.AddCommand(newFreezePatient(a, thaw), region)
	if !thaw {
		cmd.AddCommand(newFreezeList(a))
	}
	return cmd
}

func newFreezePatient(a *app, thaw bool) *cobra.Command {
	var at connection
	var reason string
	cmd := &cobra.Command{
		Use: "patient PATIENT", Short: "of a patient, named by token", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			patient, err := record.ParsePatientToken(args[0])
			if err != nil {
				return usagef("freeze: %w", err)
			}
			to, err := at.open()
			if err != nil {
				return err
			}
			var f vault.Freeze
			if thaw {
				f, err = to.ThawPatient(cmd.Context(), patient)
			} else {
				f, err = to.FreezePatient(cmd.Context(), patient, reason)
			}
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\n", f.Patient, map[bool]string{false: "frozen", true: "thawed"}[thaw])
			})
		},
	}
	if !thaw {
		cmd.Flags().StringVar(&reason, "reason", "breach", "why, in lower-case words with hyphens")
	}
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}

// listedFreezes is the JSON of freeze list.
type listedFreezes struct {
	Freezes []vault.Freeze `json:"freezes"`
}

func newFreezeList(a *app) *cobra.Command {
	var at connection
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "list the patients who are frozen", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := at.open()
			if err != nil {
				return err
			}
			list, err := to.Freezes(cmd.Context(), all)
			if err != nil {
				return err
			}
			return a.print(listedFreezes{append([]vault.Freeze{}, list...)}, func(w io.Writer) {
				rows := [][]string{{"PATIENT", "REASON", "SINCE", "BY", "LIFTED"}}
				for _, f := range list {
					rows = append(rows, []string{string(f.Patient), f.Reason, optionalTime(&f.Made), f.By, optionalTime(f.Lifted)})
				}
				table(w, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "lifted ones too")
	at.addFlags(cmd, record.RoleDPO)
	return cmd
}
