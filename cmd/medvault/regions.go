package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newRegionsCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "regions",
		Short: "tell the state of every region",
		Long:  "regions lists what the vault knows of each region. Exit code 3: one cannot be reached\nor its key service does not answer, is behind by more than 15 minutes, or its\ncertification has expired. What is warned of below the list is no finding yet.",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.regions(cmd.Context(), &at) },
	}
	at.addFlags(cmd, record.RoleOperator)
	for _, order := range []struct{ name, short, long string }{
		{vault.OrderFreeze, "copy nothing to a region until it is thawed", "freeze leaves a region as it is: nothing is copied there, it is still read, and what it\nmisses is counted."},
		{vault.OrderThaw, "take a region back into use", "thaw ends freeze and drain; what the region missed is copied there."},
		{vault.OrderDrain, "give up a region", "drain promises a region nothing more and gives the others what it holds. It may be taken\nout of the configuration once `medvault regions` says drained."},
		{vault.OrderBackfill, "promise a region all that it may hold", "backfill is begun without being asked when a region joins empty. What the region was\npromised already stays as it is."},
	} {
		cmd.AddCommand(newRegionOrder(a, order.name, order.short, order.long))
	}
	return cmd
}

func newRegionOrder(a *app, order, short, long string) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   order + " REGION",
		Short: short,
		Long:  long,
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := at.open()
			if err != nil {
				return err
			}
			if err := to.OrderRegion(cmd.Context(), args[0], order); err != nil {
				return err
			}
			return a.print(orderedRegion{args[0], order}, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", args[0], order) })
		},
	}
	at.addFlags(cmd, record.RoleOperator)
	return cmd
}

// orderedRegion is the JSON of an order about a region.
type orderedRegion struct {
	Region string `json:"region"`
	Order  string `json:"order"`
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
		rows := [][]string{{"REGION", "IN", "ROLE", "LOCK", "CERTIFIED", "STATE", "STORAGE", "KEYS", "OBJECTS", "BYTES", "PENDING", "RPO", "LAG P95", "FAILED", "VERIFIED", "PROBLEM"}}
		for _, r := range regions {
			rows = append(rows, []string{r.Name, r.Jurisdiction, string(r.Role), lockOf(r.Lock), certifiedOf(r.Certification), stateOf(r), upOrDown(r.Reachable), upOrDown(r.KeyService),
				strconv.FormatInt(r.Objects, 10), strconv.FormatInt(r.Bytes, 10), strconv.FormatInt(r.Pending, 10), seconds(r.RPO), lag95(r.Lag), failures(r), lastVerified(r), r.Problem})
		}
		table(w, rows)
		for _, r := range regions {
			for _, warning := range r.Warnings {
				fmt.Fprintf(w, "warning: %s: %s\n", r.Name, warning)
			}
		}
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

// lockOf tells how a region locks, and how many dead objects its locks keep.
func lockOf(l vault.LockStatus) string {
	text := l.Mode
	if l.Days > 0 {
		text += fmt.Sprintf(" %gd", l.Days)
	}
	if l.Pending > 0 {
		text += fmt.Sprintf(", %d to lock", l.Pending)
	}
	if l.Dead > 0 {
		text += fmt.Sprintf(", %d dead", l.Dead)
		if l.DeadUntil != nil {
			text += " until " + l.DeadUntil.Format(time.DateOnly)
		}
	}
	return text
}

// certifiedOf tells by what a region is certified, and the last day on which it is.
func certifiedOf(c *vault.CertificationStatus) string {
	switch {
	case c == nil:
		return "-"
	case c.Expired:
		return printable(c.Name) + ", EXPIRED"
	}
	return printable(c.Name) + " to " + c.Expires.Add(-time.Second).Format(time.DateOnly)
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "DOWN"
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d > time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

func lag95(l vault.Lag) string {
	if l.Count == 0 {
		return "-"
	}
	return seconds(l.P95)
}

// stateOf tells a region's state, with how far a walk under way is.
func stateOf(r vault.RegionStatus) string {
	if w := r.Walk; w != nil && w.Ended == nil {
		return fmt.Sprintf("%s, %s %d of %d", r.State, w.Kind, w.Seen, w.Total)
	}
	return r.State
}

// failures of the last hour, with the last one's code.
func failures(r vault.RegionStatus) string {
	if r.Failures == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", r.Failures, r.LastFailed)
}

// lastVerified tells the day of the last verification of each level.
func lastVerified(r vault.RegionStatus) string {
	var levels []string
	for _, at := range r.Verified {
		levels = append(levels, at.Level+" "+at.At.Format(time.DateOnly))
	}
	return cmp.Or(strings.Join(levels, ", "), "never")
}
