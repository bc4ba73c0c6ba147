package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newKeysCommand(a *app) *cobra.Command {
	return newGroup("keys", "the keys that wrap every patient's keys", newKeysStatusCommand(a), newKeysRotateCommand(a))
}

func newKeysStatusCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "status",
		Short: "tell the versions of the key encryption keys",
		Long:  "status lists, for each key service and kind of key, how many shards there are, the\nnewest version of any, and the oldest version that still opens a wrap.",
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
	return a.print(keyStates{append([]vault.KeyStatus{}, states...)}, func(w io.Writer) {
		rows := [][]string{{"SERVICE", "KIND", "SHARDS", "NEWEST", "OLDEST"}}
		for _, s := range states {
			rows = append(rows, []string{s.Service, s.Kind, strconv.Itoa(s.Shards), strconv.Itoa(s.Newest), strconv.Itoa(s.Oldest)})
		}
		table(w, rows)
	})
}

func newKeysRotateCommand(a *app) *cobra.Command {
	var at connection
	var config string
	cmd := &cobra.Command{
		Use:   "rotate --config FILE | rotate --dev DIR",
		Short: "give every key encryption key a new version and move all wraps to it",
		Long: `rotate gives every key encryption key a new version and rewraps every patient's keys
under it. No document is rewritten, no patient's key is seen, gateways go on serving.

With --config it works beside the gateways, on the catalog and regions that the
configuration names, with the credential of keys.services[].rotation: a gateway's own
may not rotate. Against a dev vault (--dev) the gateway itself rotates.

Exit code 3: a region did not take some new wraps. The old ones still open; rotate
again when it is back.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rotate := func(ctx context.Context) ([]vault.Rotation, error) { return rotateOver(ctx, &at) }
			if config != "" {
				rotate = func(ctx context.Context) ([]vault.Rotation, error) {
					return rotateHere(ctx, config, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
				}
			}
			return a.rotateKeys(cmd.Context(), rotate)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration of the gateways, with the rotation's credentials")
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
		rows := [][]string{{"SERVICE", "SHARDS", "REWRAPPED", "PENDING"}}
		for _, r := range done {
			rows = append(rows, []string{r.Service, strconv.Itoa(r.Shards), strconv.Itoa(r.Rewrapped), strconv.Itoa(r.Pending)})
		}
		table(w, rows)
	})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	for _, r := range done {
		pending += r.Pending
	}
	if pending > 0 {
		return findingsError{fmt.Errorf("%d wraps stay under an older version until their region is back; rotate again then", pending)}
	}
	return nil
}

// rotateOver has a gateway rotate.
func rotateOver(ctx context.Context, at *connection) ([]vault.Rotation, error) {
	with, err := at.open()
	if err != nil {
		return nil, err
	}
	return with.RotateKeys(ctx)
}

// rotateHere opens catalog, regions and key services of the gateways and rotates.
func rotateHere(ctx context.Context, path string, log *slog.Logger) ([]vault.Rotation, error) {
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
	done, err := h.vault.RotateKeys(ctx, localAdmin(cfg))
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
		Institution: cfg.Identity.Institution, Country: cfg.Home}
}
