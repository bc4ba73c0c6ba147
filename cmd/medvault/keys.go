package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newKeysCommand(a *app) *cobra.Command {
	return newGroup("keys", "the keys that wrap every patient's keys", newKeysStatusCommand(a), newKeysRotateCommand(a))
}

// pendingKeys names what renewals wait for.
func pendingKeys(pending []vault.KeyPending) string {
	var names []string
	for _, p := range pending {
		name := p.Reason
		if p.Region != "" {
			name = p.Region + " (" + p.Reason + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

func newKeysStatusCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "status",
		Short: "tell the versions of the key encryption keys",
		Long:  "status lists, for each key service and kind of key, how many shards there are, the\nnewest version of any, the oldest version that still opens a wrap, and what renewals\nthat were ordered wait for: a region, the key service, or rotation-credential. The last\nis done by keys rotate --pending --config FILE.\n\nExit code 3: a key service does not answer.",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.keyStatus(cmd.Context(), &at) },
	}
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// keyStates is the JSON of keys status.
type keyStates struct {
	Keys []vault.KeyStatus `json:"keys"`
}

func (a *app) keyStatus(ctx context.Context, at *connection) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	states, err := from.KeyStatus(ctx)
	if err != nil {
		return err
	}
	silent := 0
	err = a.print(keyStates{append([]vault.KeyStatus{}, states...)}, func(w io.Writer) {
		rows := [][]string{{"SERVICE", "KIND", "SHARDS", "NEWEST", "OLDEST", "PENDING"}}
		for _, s := range states {
			rows = append(rows, []string{s.Service, s.Kind, strconv.Itoa(s.Shards), strconv.Itoa(s.Newest), strconv.Itoa(s.Oldest), pendingKeys(s.Pending)})
		}
		table(w, rows)
	})
	for _, s := range states {
		if s.Problem != "" {
			silent++
		}
	}
	if err == nil && silent > 0 {
		return findingsError{errors.New("a key service does not answer")}
	}
	return err
}

func newKeysRotateCommand(a *app) *cobra.Command {
	var at connection
	var config string
	var pending bool
	cmd := &cobra.Command{
		Use:   "rotate --config FILE | rotate --dev DIR",
		Short: "give every key encryption key a new version, move all wraps to it, trim what is older",
		Long: `rotate gives every key encryption key a new version, rewraps every patient's keys under
it, and trims what is older: from then on an old copy of a wrap opens nothing. No document
is rewritten, gateways go on serving. A shard is trimmed only when every region that
depends on it has shown that it holds what it must under the new version; until then it is
pending, and the gateways go on with it by themselves.

With --pending nothing is rotated but what was ordered before, by a withdrawn consent or
an erasure: for a timer, where gateways may not rotate.

With --config it works beside the gateways, on the catalog and regions that the
configuration names, with the credential of keys.services[].rotation: a gateway's own
may not rotate. Against a dev vault (--dev) the gateway itself rotates.

Exit code 3: something is pending. The old wraps still open.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rotate := func(ctx context.Context) ([]vault.Rotation, error) { return rotateOver(ctx, &at, pending) }
			if config != "" {
				rotate = func(ctx context.Context) ([]vault.Rotation, error) {
					return rotateHere(ctx, config, pending, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
				}
			}
			return a.rotateKeys(cmd.Context(), rotate)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration of the gateways, with the rotation's credentials")
	cmd.Flags().BoolVar(&pending, "pending", false, "only carry out renewals that were ordered before")
	at.addFlags(cmd, record.RoleAdmin)
	return cmd
}

// rotatedKeys is the JSON of keys rotate.
type rotatedKeys struct {
	Rotations []vault.Rotation `json:"rotations"`
}

func (a *app) rotateKeys(ctx context.Context, rotate func(context.Context) ([]vault.Rotation, error)) error {
	done, failed := rotate(ctx)
	if failed != nil && len(done) == 0 {
		return failed
	}
	pending := 0
	err := a.print(rotatedKeys{append([]vault.Rotation{}, done...)}, func(w io.Writer) {
		rows := [][]string{{"SERVICE", "KIND", "SHARDS", "REWRAPPED", "TRIMMED", "PENDING"}}
		for _, r := range done {
			rows = append(rows, []string{r.Service, r.Kind, strconv.Itoa(r.Shards), strconv.Itoa(r.Rewrapped), strconv.Itoa(r.Trimmed), pendingKeys(r.Pending)})
		}
		table(w, rows)
	})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	for _, r := range done {
		if len(r.Pending) > 0 {
			pending++
		}
	}
	if pending > 0 {
		return findingsError{errors.New("not everything is trimmed yet: what it waits for stands under pending")}
	}
	return nil
}

// rotateOver has a gateway rotate.
func rotateOver(ctx context.Context, at *connection, pending bool) ([]vault.Rotation, error) {
	with, err := at.open()
	if err != nil {
		return nil, err
	}
	if pending {
		return with.RenewKeys(ctx)
	}
	return with.RotateKeys(ctx)
}

// rotateHere opens catalog, regions and key services of the gateways and rotates.
func rotateHere(ctx context.Context, path string, pending bool, log *slog.Logger) ([]vault.Rotation, error) {
	cfg, err := loadConfig(path)
	if err != nil {
		return nil, usageError{err}
	}
	for i, s := range cfg.Keys.Services {
		at := fmt.Sprintf("%s: keys.services[%d]", path, i)
		if s.Driver == "insecure" {
			return nil, usagef("%s: an insecure key file has one process at a time: rotate through the gateway (--url)", at)
		}
		if s.Rotation == (AppRoleConfig{}) {
			return nil, usagef("%s.rotation: missing; rotating needs roleIDFile and secretIDFile of the rotation's AppRole", at)
		}
	}
	h, err := build(ctx, cfg, log, options{autoCare: nobody, rotation: true})
	if err != nil {
		return nil, err
	}
	rotate := h.vault.RotateKeys
	if pending {
		rotate = h.vault.RenewKeys
	}
	done, err := rotate(ctx, localAdmin(cfg))
	return done, errors.Join(err, h.close())
}

// localAdmin is whoever runs this command: the files it read make them an
// administrator, and the log names their account.
func localAdmin(cfg *Config) record.Actor {
	account := "unknown"
	if u, err := user.Current(); err == nil {
		account = u.Username
	}
	return record.Actor{ID: "local:" + account, Role: record.RoleAdmin, Purpose: record.PurposeSystem,
		Institution: cfg.Identity.Institution, Country: cfg.Home, Inside: true}
}
