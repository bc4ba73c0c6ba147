package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newRegionsCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "regions",
		Short: "tell the state of every region",
		Long:  "regions lists what the vault knows of each region. Exit code 3: one cannot be reached\nor its key service does not answer.",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.regions(cmd.Context(), &at) },
	}
	at.addFlags(cmd, record.RoleOperator)
	return cmd
}

// listedRegions is the JSON of regions.
type listedRegions struct {
	Regions []vault.RegionStatus `json:"regions"`
}

func (a *app) regions(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	regions, err := from.Regions(ctx)
	if err != nil {
		return err
	}
	err = a.print(listedRegions{append([]vault.RegionStatus{}, regions...)}, func(w io.Writer) {
		rows := [][]string{{"REGION", "IN", "STORAGE", "KEYS", "OBJECTS", "BYTES", "PENDING", "PROBLEM"}}
		for _, r := range regions {
			rows = append(rows, []string{r.Name, r.Jurisdiction, upOrDown(r.Reachable), upOrDown(r.KeyService),
				strconv.FormatInt(r.Objects, 10), strconv.FormatInt(r.Bytes, 10), strconv.FormatInt(r.Pending, 10), r.Problem})
		}
		table(w, rows)
	})
	if err != nil {
		return err
	}
	unwell := 0
	for _, r := range regions {
		if !r.Reachable || !r.KeyService || r.Problem != "" {
			unwell++
		}
	}
	if unwell > 0 {
		return findingsError{fmt.Errorf("%d of %d regions are not well", unwell, len(regions))}
	}
	return nil
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "DOWN"
}
