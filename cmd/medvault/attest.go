package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
)

// attesting is what attest was asked for.
type attesting struct {
	at             connection
	output         string
	offline, key   string
	original, view string
}

func newAttestCommand(a *app) *cobra.Command {
	var ask attesting
	cmd := &cobra.Command{
		Use:   "attest OBJECT",
		Short: "prove how identity was taken out of a document",
		Long: `attest fetches a document's leaf with its proof under the signed head of the log,
verifies both, and prints what the leaf says: hashes of what came in and of the
de-identified view, tables, options and rules, what was done, key versions. It holds
no patient data.

-o FILE keeps the proof. With --offline FILE it is verified again without any vault,
against the log's key (--key), which should come from elsewhere than the file.
--original and --view compare files with the hashes.

Exit code 3: it does not verify, or a file is another.`,
		Example: `  medvault attest --dev .medvault 00112233445566778899aabbccddeeff -o proof.json
  medvault attest --offline proof.json --key medvault+1234abcd+Ae… --view study/1.dcm`,
		Args: wantArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.attest(cmd.Context(), &ask, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&ask.output, "output", "o", "", "file that the proof is written to")
	f.StringVar(&ask.offline, "offline", "", "verify the proof in this file; no vault is asked")
	f.StringVar(&ask.key, "key", "", "verifier key of the log, NAME+HASH+KEY (default: as the vault tells it)")
	f.StringVar(&ask.original, "original", "", "file that should be the original")
	f.StringVar(&ask.view, "view", "", "file that should be the de-identified view")
	ask.at.addFlags(cmd, record.RoleAuditor)
	return cmd
}

func (a *app) attest(ctx context.Context, ask *attesting, args []string) error {
	at, err := ask.proof(ctx, args)
	if err != nil {
		return err
	}
	page := attestPage{Object: at.Object, SupersededBy: at.SupersededBy, Log: attestLog{Key: ask.key, Trusted: ask.key != ""}}
	if ask.key == "" {
		page.Log.Key = at.LogKey
	}
	said, err := at.Verify(page.Log.Key)
	if err != nil {
		page.Problems = append(page.Problems, err.Error())
	} else {
		page.fill(at, said)
		if err := page.compare(ask); err != nil {
			return err
		}
	}
	page.Verified = len(page.Problems) == 0
	if ask.output != "" && ask.offline == "" {
		if err := writeProof(ask.output, at); err != nil {
			return err
		}
	}
	if err := a.print(page, page.write); err != nil {
		return err
	}
	if !page.Verified {
		return findingsError{fmt.Errorf("attest %s: %s", at.Object, strings.Join(page.Problems, "; "))}
	}
	return nil
}

// proof comes from the vault, or from a file.
func (ask *attesting) proof(ctx context.Context, args []string) (at vault.Attestation, err error) {
	var id record.ObjectID
	if len(args) == 1 {
		if id, err = record.ParseObjectID(args[0]); err != nil {
			return at, usagef("attest %q: %w", args[0], err)
		}
	}
	switch {
	case ask.offline == "" && id == "":
		return at, usagef("attest: which document? give its object id, as upload prints it")
	case ask.offline == "":
		from, err := ask.at.open()
		if err != nil {
			return at, err
		}
		if at, err = from.Attest(ctx, id); err != nil {
			return at, err
		}
	case ask.key == "":
		return at, usagef("attest --offline: give the log's verifier key with --key; the one in the file proves nothing")
	default:
		if at, err = readProof(ask.offline); err != nil {
			return at, err
		}
	}
	if id != "" && at.Object != id {
		return at, findingsError{fmt.Errorf("attest %s: the proof is of another object", id)}
	}
	return at, nil
}

// maxProof is many times what a proof takes.
const maxProof = 1 << 20

func readProof(path string) (at vault.Attestation, err error) {
	f, err := os.Open(path)
	if err != nil {
		return at, usageError{fmt.Errorf("attest --offline: %w", err)}
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxProof)).Decode(&at); err != nil {
		return at, findingsError{fmt.Errorf("attest --offline: %s is no attestation", path)}
	}
	if _, err := record.ParseObjectID(string(at.Object)); err != nil {
		return at, findingsError{fmt.Errorf("attest --offline: %s is no attestation: %w", path, err)}
	}
	return at, nil
}

func writeProof(path string, at vault.Attestation) error {
	data, err := json.MarshalIndent(at, "", "  ")
	if err != nil {
		return fmt.Errorf("attest: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("attest: %w", err)
	}
	return nil
}

// attestPage is what attest prints.
type attestPage struct {
	Verified     bool                `json:"verified"`
	Problems     []string            `json:"problems,omitempty"`
	Object       record.ObjectID     `json:"object"`
	SupersededBy record.ObjectID     `json:"supersededBy,omitempty"`
	Supersedes   record.ObjectID     `json:"supersedes,omitempty"`
	Patient      record.PatientToken `json:"patient,omitempty"`
	Kind         string              `json:"kind,omitempty"`
	Stored       *time.Time          `json:"stored,omitempty"`
	Log          attestLog           `json:"log"`
	Original     *attestHash         `json:"original,omitempty"`
	View         *attestHash         `json:"view,omitempty"`
	Held         string              `json:"held,omitempty"`
	Edition      string              `json:"edition,omitempty"`
	Profile      string              `json:"profile,omitempty"`
	Options      []string            `json:"options,omitempty"`
	Rules        string              `json:"rules,omitempty"`
	Actions      map[string]int      `json:"actions,omitempty"`
	Residual     string              `json:"residual,omitempty"`
	Pixels       string              `json:"pixels,omitempty"`
	Generation   uint32              `json:"generation,omitempty"`
	Keys         []audit.KeyVersion  `json:"keys,omitempty"`
	Files        []string            `json:"files,omitempty"` // that were compared and are the same
}

type attestLog struct {
	Key     string `json:"key"`
	Trusted bool   `json:"trusted"` // the key was given, not told by the vault itself
	Leaf    int64  `json:"leaf"`
	Leaves  int64  `json:"leaves"`
}

type attestHash struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (p *attestPage) fill(at vault.Attestation, said vault.Attested) {
	commit := said.Leaf.Commit
	p.Log.Leaf, p.Log.Leaves = at.Number, said.Leaves
	p.Patient, p.Kind, p.Stored, p.Generation = said.Leaf.Patient, commit.Kind.String(), &said.Leaf.Time, commit.Generation
	p.Supersedes = commit.Supersedes
	a := commit.Attest
	if a == nil {
		p.Problems = append(p.Problems, "the document was stored before the log attested how identity was taken out")
		return
	}
	p.View = &attestHash{a.Size, hex.EncodeToString(a.SHA256[:])}
	if o := said.Original; o != nil {
		p.Original = &attestHash{o.Size, hex.EncodeToString(o.SHA256[:])}
	}
	p.Held, p.Edition, p.Profile, p.Options, p.Rules = a.Held, a.Edition, a.Profile, a.Options, a.Rules
	p.Actions, p.Residual, p.Pixels, p.Keys = a.Actions, a.Residual, a.Pixels, a.Keys
}

// compare holds files against the hashes of a verified proof.
func (p *attestPage) compare(ask *attesting) error {
	for _, file := range []struct {
		what, path string
		want       *attestHash
	}{{"original", ask.original, p.Original}, {"view", ask.view, p.View}} {
		if file.path == "" {
			continue
		}
		if file.want == nil {
			p.Problems = append(p.Problems, "the proof does not tell the hash of the "+file.what)
			continue
		}
		got, err := hashFile(file.path)
		if err != nil {
			return usageError{fmt.Errorf("attest --%s: %w", file.what, err)}
		}
		if got != *file.want {
			p.Problems = append(p.Problems, file.path+" is not the "+file.what)
			continue
		}
		p.Files = append(p.Files, file.path)
	}
	return nil
}

func hashFile(path string) (h attestHash, err error) {
	f, err := os.Open(path)
	if err != nil {
		return h, err
	}
	defer f.Close()
	sum := sha256.New()
	if h.Size, err = io.Copy(sum, f); err != nil {
		return h, err
	}
	h.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return h, nil
}

// write prints the page for people.
func (p attestPage) write(w io.Writer) {
	rows := [][]string{{"object", string(p.Object)}}
	add := func(name string, value ...string) {
		if text := strings.Join(value, ""); text != "" {
			rows = append(rows, []string{name, text})
		}
	}
	hashed := func(name string, h *attestHash) {
		if h != nil {
			add(name, fmt.Sprintf("%s, %d bytes", h.SHA256, h.Size))
		}
	}
	add("superseded by", string(p.SupersededBy))
	add("supersedes", string(p.Supersedes))
	add("patient", string(p.Patient))
	add("kind", p.Kind)
	if p.Stored != nil {
		add("stored", p.Stored.Format(time.RFC3339))
	}
	hashed("original SHA-256", p.Original)
	hashed("view SHA-256", p.View)
	add("view withheld", p.Held)
	add("tables", p.Edition)
	add("profile", p.Profile)
	add("options", strings.Join(p.Options, ", "))
	add("rules", p.Rules)
	var actions []string
	for _, action := range slices.Sorted(maps.Keys(p.Actions)) {
		actions = append(actions, fmt.Sprintf("%s %d", action, p.Actions[action]))
	}
	add("elements", strings.Join(actions, ", "))
	add("residual scan", p.Residual)
	add("pixels", p.Pixels)
	if p.Generation != 0 {
		add("key generation", fmt.Sprint(p.Generation))
	}
	for _, k := range p.Keys {
		add("key version", fmt.Sprintf("%s, %s shard %s: %d", k.Service, k.Kind, k.Shard, k.Version))
	}
	if p.Log.Leaves > 0 {
		add("log", fmt.Sprintf("leaf %d of %d", p.Log.Leaf, p.Log.Leaves))
	}
	add("log key", p.Log.Key)
	for _, path := range p.Files {
		add("compared", path, ": the same")
	}
	for _, problem := range p.Problems {
		add("PROBLEM", problem)
	}
	verdict := "the log's signature, the leaf's inclusion and what it says hold"
	if !p.Verified {
		verdict = "DOES NOT VERIFY"
	} else if !p.Log.Trusted {
		verdict += "; the key is the vault's own word: compare it with one from elsewhere"
	}
	add("verdict", verdict)
	table(w, rows)
}
