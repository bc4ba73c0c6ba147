package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"medvault/keys/envelope"
	"medvault/vault/record"
)

func newInspectCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "tell what a sealed object says of itself without keys",
		Long:  "inspect reads the prefix and the footer of a sealed object, as it lies in a region,\nand tells them in words. It needs no key and proves nothing.",
		Args:  wantArgs(1, 1),
		RunE:  func(_ *cobra.Command, args []string) error { return a.inspect(args[0]) },
	}
}

// inspected is the JSON of inspect.
type inspected struct {
	Object     string          `json:"object"`
	Patient    string          `json:"patient"`
	Generation uint32          `json:"generation"`
	Seal       string          `json:"seal"`
	Kind       string          `json:"kind"`
	Size       int64           `json:"size"`
	Footer     int64           `json:"footer"`
	Parts      []inspectedPart `json:"parts"`
}

type inspectedPart struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Plain  int64  `json:"plain"`
	Chunks int64  `json:"chunks"`
}

func (a *app) inspect(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return usageError{err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return usagef("inspect %s: not a file", path)
	}
	d, err := envelope.Inspect(f, info.Size())
	if err != nil {
		return findingsError{fmt.Errorf("inspect %s: %w", path, err)}
	}
	out := inspected{
		Object:     hex.EncodeToString(d.Header.Object[:]),
		Patient:    d.Header.Patient,
		Generation: d.Header.Generation,
		Seal:       hex.EncodeToString(d.Header.Seal[:]),
		Kind:       record.Kind(d.Header.Kind).String(),
		Size:       d.Size,
		Footer:     d.Footer,
	}
	for _, p := range d.Parts {
		out.Parts = append(out.Parts, inspectedPart{Name: p.Name, Offset: p.Offset, Length: p.Length, Plain: p.Plain, Chunks: p.Chunks})
	}
	return a.print(out, func(w io.Writer) { fmt.Fprint(w, d.String()) })
}
