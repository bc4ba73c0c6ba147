package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"medvault/api/portable"
	"medvault/vault/record"
)

// packageCheck is the JSON of export verify.
type packageCheck struct {
	File     string              `json:"file"`
	Package  record.ObjectID     `json:"package"`
	Patient  record.PatientToken `json:"patient"`
	LogKey   string              `json:"logKey"`
	Trusted  bool                `json:"trusted"` // the key was given, not taken from the package itself
	Files    int                 `json:"files"`
	Findings []portable.Finding  `json:"findings"`
}

func newExportVerifyCommand(a *app) *cobra.Command {
	var logKey, identities, passphrase string
	var outsideAllowed bool
	cmd := &cobra.Command{
		Use:   "verify FILE [--log-key KEY] [--identity-file F | --passphrase-file F]",
		Short: "tell whether a package is what the vault gave, without the vault",
		Long: `export verify compares every file of a package with its manifest, and the manifest with
its signature by the key of the vault's log. Nothing is asked of the vault and nothing is
written to disk. Without --log-key the key is the one that the package names itself: then
compare it with the one that the vault shows (medvault audit verify).`,
		Example: "  medvault export verify package.zip.age --identity-file key.txt --log-key medvault+…",
		Args:    wantArgs(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.exportVerify(args[0], logKey, identities, passphrase, outsideAllowed)
		},
	}
	f := cmd.Flags()
	f.StringVar(&logKey, "log-key", "", "public key of the vault's log, NAME+HASH+KEY (default: the one in the package)")
	f.StringVar(&identities, "identity-file", "", "file with the identity of age that opens the package")
	f.StringVar(&passphrase, "passphrase-file", "", "file with the passphrase that opens the package")
	f.BoolVar(&outsideAllowed, "outside-fips", false, "let age work although the environment enforces FIPS 140-3")
	return cmd
}

func (a *app) exportVerify(path, logKey, identities, passphrase string, outsideAllowed bool) (err error) {
	file, err := openPackage(path, identities, passphrase, outsideAllowed)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("export verify: %w", err)
	}
	if err != nil {
		return fmt.Errorf("export verify: %w", err)
	}
	defer file.Close()
	check := packageCheck{File: path, Trusted: logKey != "", Findings: []portable.Finding{}}
	progress := a.newProgress("verify", file.size, true)
	var m portable.Manifest
	err = outside(func() error { // it decrypts as it reads
		z, err := zip.NewReader(file, file.size)
		if err != nil {
			return err
		}
		var found []portable.Finding
		m, found, err = portable.Verify(z, logKey, progress.add)
		check.Findings = append(check.Findings, found...)
		return err
	})
	progress.finish()
	if err != nil {
		check.Findings = append(check.Findings, portable.Finding{Path: path, What: "damaged"})
		return errors.Join(a.print(check, func(io.Writer) {}), findingsError{fmt.Errorf("export verify: %s is no package that verifies: %w", path, err)})
	}
	check.Package, check.Patient, check.LogKey, check.Files = m.Package, m.Patient, m.LogKey, len(m.Files)
	err = a.print(check, func(w io.Writer) {
		for _, f := range check.Findings {
			fmt.Fprintf(w, "%s: %s\n", f.What, printable(f.Path))
		}
		if len(check.Findings) > 0 {
			return
		}
		fmt.Fprintf(w, "%s: %d files are what the vault gave, made %s\n", path, check.Files, m.Created.Format("2006-01-02 15:04 MST"))
		if !check.Trusted {
			fmt.Fprintf(w, "signed by %s; compare the key with the one that the vault shows\n", m.LogKey)
		}
	})
	if err == nil && len(check.Findings) > 0 {
		err = findingsError{fmt.Errorf("export verify: %s is not what the vault gave", path)}
	}
	return err
}
