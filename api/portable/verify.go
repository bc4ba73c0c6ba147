package portable

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"medvault/vault"
)

// OpenManifest checks the signature of a manifest against the log's key that its reader
// trusts ("": the one that the manifest names itself, which proves that nothing was changed
// by whoever does not make a key of their own), and reads it.
func OpenManifest(data, signature []byte, logKey string) (m Manifest, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if logKey == "" {
		logKey = m.LogKey
	}
	key, err := note.NewVerifier(logKey)
	if err != nil {
		return m, fmt.Errorf("manifest: the key of the log: %w", err)
	}
	signed, err := vault.OpenPackageSignature(signature, key)
	if err != nil {
		return m, err
	}
	if signed.Manifest != sha256.Sum256(data) || signed.ID != m.Package || signed.Patient != m.Patient {
		return m, errors.New("the signature is of another manifest")
	}
	return m, nil
}

// Finding is something that is not as the manifest says.
type Finding struct {
	Path string `json:"path"`
	What string `json:"what"` // "missing", "damaged", "not-listed" or "twice"
}

// Verify compares every file of a package with its manifest, and the manifest with its
// signature. It needs nothing of the vault. An error: the package cannot be judged at all.
func Verify(z *zip.Reader, logKey string, read func(n int64)) (m Manifest, findings []Finding, err error) {
	names := make(map[string]*zip.File, len(z.File))
	for _, f := range z.File {
		if names[f.Name] != nil {
			findings = append(findings, Finding{f.Name, "twice"})
		}
		names[f.Name] = f
	}
	data, err := whole(names[ManifestName])
	if err != nil {
		return m, nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	signature, err := whole(names[SignatureName])
	if err != nil {
		return m, nil, fmt.Errorf("%s: %w", SignatureName, err)
	}
	if m, err = OpenManifest(data, signature, logKey); err != nil {
		return m, nil, err
	}
	delete(names, ManifestName)
	delete(names, SignatureName)
	for _, f := range m.Files {
		if what := compare(names[f.Path], f, read); what != "" {
			findings = append(findings, Finding{f.Path, what})
		}
		delete(names, f.Path)
	}
	for name := range names {
		findings = append(findings, Finding{name, "not-listed"})
	}
	slices.SortFunc(findings, func(a, b Finding) int { return strings.Compare(a.Path, b.Path) })
	return m, findings, nil
}

// maxManifest bounds what is read whole of a package from anywhere.
const maxManifest = 1 << 30

func whole(f *zip.File) ([]byte, error) {
	if f == nil {
		return nil, errors.New("it is not there")
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err == nil && len(data) == maxManifest {
		err = errors.New("it is too large")
	}
	return data, err
}

func compare(there *zip.File, f File, read func(n int64)) (what string) {
	if there == nil {
		return "missing"
	}
	r, err := there.Open()
	if err != nil {
		return "damaged"
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(r, f.Size+1))
	read(n)
	if err != nil || n != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return "damaged"
	}
	return ""
}
