package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"medvault/api/client"
)

// Exit codes, for scripts that call medvault.
const (
	exitClean    = 0 // done
	exitFailed   = 1 // not done, or not wholly
	exitUsage    = 2 // the call or the configuration is wrong
	exitFindings = 3 // done, and something is not as it must be
	exitRefused  = 4 // the vault refused
)

// usageError is what the caller can mend at the command line or in a file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Errors of commands whose result has been printed already; only the code and one
// line remain to be said.
type (
	findingsError struct{ error }
	refusedError  struct{ error }
)

func (e findingsError) Unwrap() error { return e.error }
func (e refusedError) Unwrap() error  { return e.error }

// exit prints err, once, and chooses the code.
func (a *app) exit(err error) int {
	if err == nil {
		return exitClean
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(a.stderr, "medvault: %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var answered *client.Error
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(findingsError)):
		return exitFindings
	case errors.As(err, new(refusedError)):
		return exitRefused
	case errors.Is(err, context.Canceled):
		return exitFailed
	case errors.As(err, &answered) && answered.Status >= 400 && answered.Status < 500:
		return exitRefused
	}
	return exitFailed
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command or argument %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

// wantArgs asks for at least low and at most high arguments (high < 0: any number).
func wantArgs(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return usagef("usage: %s", cmd.UseLine())
		}
		return nil
	}
}
