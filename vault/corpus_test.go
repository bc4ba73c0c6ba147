package vault_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// corpus is the folder of real files of public projects.
func corpus(t *testing.T, kind string) string {
	dir := os.Getenv("MEDVAULT_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "corpus")
	}
	dir = filepath.Join(dir, kind)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("set MEDVAULT_CORPUS to a folder with real " + kind + " files")
	}
	return dir
}

// TestCorpusRoundTrip stores every file of the corpus and reads it back: what is
// accepted comes back byte for byte, what is not is refused with a reason. Names and
// values of the files are never printed.
func TestCorpusRoundTrip(t *testing.T) {
	for kind, patient := range map[string]string{"dicom": "", "pdf": "corpus"} { // a PDF does not name its patient
		t.Run(kind, func(t *testing.T) { roundTrip(t, corpus(t, kind), patient) })
	}
}

func roundTrip(t *testing.T, dir, patient string) {
	refused := make(map[string]int)
	var seen, files, exact, present int
	var vaults []*vaulttest.House
	// store puts a file into the first vault that has no other one under its UID.
	store := func(original []byte) (h *vaulttest.House, r vault.Receipt, err error) {
		for n := 0; ; n++ {
			if n == len(vaults) {
				vaults = append(vaults, vaulttest.New(t, vaulttest.Options{AutoCare: clinician.ID}))
			}
			r, err = vaults[n].Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(original), PatientID: patient})
			var refusal *record.Refusal
			if !errors.As(err, &refusal) || refusal.Code != "instance-exists" {
				return vaults[n], r, err
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if seen++; raced && seen%8 != 1 {
			return nil
		}
		original, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		h, r, err := store(original)
		var refusal *record.Refusal
		if errors.As(err, &refusal) {
			refused[refusal.Code]++
			return nil
		}
		if err != nil {
			t.Errorf("file %d: Put failed without a reason: %T", files, err)
			return nil
		}
		if r.Present {
			present++
			return nil
		}
		if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, original) {
			t.Errorf("file %d came back different", files)
			return nil
		}
		exact++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files: %d byte-exact, %d the same bytes again; the same UID with other bytes took %d vaults", files, exact, present, len(vaults))
	var codes []string
	for code := range refused {
		codes = append(codes, code)
	}
	sort.Strings(codes)
	for _, code := range codes {
		t.Logf("refused %3d: %s", refused[code], code)
	}
	if exact == 0 {
		t.Error("nothing came back")
	}
}
