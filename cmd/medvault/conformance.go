package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"medvault/api/dicomweb"
	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
)

func newConformanceCommand(a *app) *cobra.Command {
	var config, named string
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "print the DICOM conformance statement",
		Long: `conformance prints what this program does with DICOM, from the tables it works by:
services, transfer syntaxes, character sets, and for every attribute, private element
and kind of picture what becomes of it when identity is taken out. Markdown, or JSON
with --json. With --config it speaks of that deployment, with --profile of another set
of options.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.conformance(config, named) },
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration file of the deployment (default: built-in settings)")
	cmd.Flags().StringVar(&named, "profile", "", "profile to speak of (default: the deployment's)")
	return cmd
}

func (a *app) conformance(config, named string) error {
	var deployment DeidentificationConfig
	if config != "" {
		cfg, err := loadConfig(config)
		if err != nil {
			return usageError{err}
		}
		deployment = cfg.Deidentification
	}
	deployment.Profile = cmp.Or(named, deployment.Profile)
	options, err := deployment.options()
	if err != nil {
		return usagef("--profile: %w", err)
	}
	scrubber, err := deployment.scrubber()
	if err != nil {
		return usageError{err}
	}
	s := newStatement(scrubber.Rules(), profile.New(options))
	for name, own := range deployment.Profiles {
		s.Profiles[name] = own
	}
	if deployment.PixelRulesFile != "" {
		own, err := os.ReadFile(deployment.PixelRulesFile)
		if err != nil {
			return usageError{fmt.Errorf("conformance: %w", err)}
		}
		s.Pixels = dicom.PixelRuleLines(own)
	}
	if err := s.readScore(); err != nil {
		return err
	}
	return a.print(s, s.write)
}

// statement is the conformance statement.
type statement struct {
	Implementation   implementation         `json:"implementation"`
	Services         []service              `json:"services"`
	TransferSyntaxes []dicom.TransferSyntax `json:"transferSyntaxes"`
	CharacterSets    []string               `json:"characterSets"`
	Rules            imaging.Rules          `json:"rules"`
	Acknowledgement  string                 `json:"acknowledgement"`
	Profiles         map[string][]string    `json:"profiles"` // options by name of the profile
	Codes            []profile.Code         `json:"codes"`    // CID 7050
	Attributes       []attributeLine        `json:"attributes"`
	Outside          []outsideLine          `json:"outside"`
	Private          []privateLine          `json:"private"`
	Pixels           []string               `json:"pixels"`
	Score            *scoreLine             `json:"score,omitempty"`
}

type implementation struct {
	ClassUID    string `json:"classUid"`
	VersionName string `json:"versionName"`
}

// service is one of PS3.18, with the addresses at which it answers.
type service struct {
	Name   string   `json:"name"`
	Routes []string `json:"routes"`
}

// attributeLine is one row of table E.1-1.
type attributeLine struct {
	Tag     string            `json:"tag"`
	Name    string            `json:"name"`
	VR      string            `json:"vr,omitempty"`
	Basic   string            `json:"basic"`             // the standard's code
	Options map[string]string `json:"options,omitempty"` // the standard's code of each option
	Action  string            `json:"action"`            // what is done, where the attribute's type in the object is not known
}

// outsideLine is an attribute that the table leaves out.
type outsideLine struct {
	Tag     string `json:"tag"`
	VR      string `json:"vr"`
	Keyword string `json:"keyword"`
	Kind    string `json:"kind"` // what it says
	Action  string `json:"action"`
}

// privateLine is a private element that stays.
type privateLine struct {
	Creator string `json:"creator"`
	Element string `json:"element"` // gggg,xxee
	VR      string `json:"vr,omitempty"`
}

// scoreLine is how the rules did on objects with an answer key.
type scoreLine struct {
	Objects int     `json:"objects"`
	Percent float64 `json:"percent"`
	Digest  string  `json:"digest"` // of the rules that were scored
}

func newStatement(rules imaging.Rules, p *profile.Profile) *statement {
	s := &statement{Services: services(), TransferSyntaxes: dicom.TransferSyntaxes(), CharacterSets: dicom.CharacterSets(),
		Rules: rules, Acknowledgement: profile.Acknowledgement, Profiles: make(map[string][]string), Codes: p.Codes(), Pixels: dicom.PixelRuleLines(nil)}
	s.Implementation.ClassUID, s.Implementation.VersionName = dicom.Implementation()
	for name, set := range profile.Named() {
		s.Profiles[name] = set.Names()
	}
	for _, row := range profile.Rows() {
		line := attributeLine{Tag: row.Tag, Name: row.Name, VR: row.VR, Basic: row.Basic, Action: actionOf(p, row.Tag, row.VR)}
		for i, option := range profile.Options() {
			if code := row.Options[i]; code != "" {
				if line.Options == nil {
					line.Options = make(map[string]string)
				}
				line.Options[option] = code
			}
		}
		s.Attributes = append(s.Attributes, line)
	}
	for _, o := range profile.Outside() {
		s.Outside = append(s.Outside, outsideLine{o.Tag, o.VR, o.Keyword, o.Kind, actionOf(p, o.Tag, o.VR)})
	}
	if p.Set()&profile.RetainSafePrivate != 0 {
		for _, r := range profile.SafeRows() {
			s.Private = append(s.Private, privateLine{r.Creator, fmt.Sprintf("%04X,xx%02X", r.Group, r.Element), r.VR})
		}
	}
	return s
}

// services lists what answers under /dicomweb.
func services() []service {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	dicomweb.Register(engine.Group("/dicomweb"), dicomweb.Config{})
	byName := map[string][]string{}
	for _, r := range engine.Routes() {
		name := "QIDO-RS"
		switch {
		case r.Method == "OPTIONS":
			name = "Capabilities"
		case r.Method == "POST":
			name = "STOW-RS"
		case strings.Contains(r.Path, "metadata"), strings.Contains(r.Path, "frames"), strings.Contains(r.Path, "bulkdata"),
			strings.Count(r.Path, ":") > 0 && strings.HasPrefix(lastSegment(r.Path), ":"):
			name = "WADO-RS"
		}
		if r.Method != "HEAD" && !strings.HasSuffix(r.Path, "/") {
			byName[name] = append(byName[name], r.Method+" "+r.Path)
		}
	}
	var list []service
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		slices.Sort(byName[name])
		list = append(list, service{name, byName[name]})
	}
	return list
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// actionOf tells what a profile does with an attribute. Repeating groups stand for
// their first.
func actionOf(p *profile.Profile, tag, vr string) string {
	if tag == profile.OddGroups {
		if p.Set()&profile.RetainSafePrivate != 0 {
			return "remove, but for the safe private elements below"
		}
		return "remove"
	}
	number, err := strconv.ParseUint(strings.NewReplacer(",", "", "x", "0").Replace(tag), 16, 32)
	if err != nil {
		return "remove" // what is no tag is in no document
	}
	rule := p.Decide(uint32(number), vr, "", nil)
	word := actionWords[rule.Action]
	if rule.Action == profile.Clean && rule.Bare != 0 && rule.Bare != profile.Clean {
		word += ", else " + actionWords[rule.Bare]
	}
	return word
}

var actionWords = map[profile.Action]string{
	profile.Remove: "remove", profile.Empty: "empty", profile.Dummy: "dummy", profile.MapUID: "map UID",
	profile.Shift: "shift", profile.Token: "token", profile.Clean: "clean", profile.Keep: "keep",
}

func (s *statement) readScore() error {
	data := dicom.Score()
	if data == nil {
		return nil
	}
	if err := json.Unmarshal(data, &s.Score); err != nil {
		return fmt.Errorf("conformance: the recorded score: %w", err)
	}
	return nil
}

// write prints the statement as Markdown.
func (s *statement) write(w io.Writer) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	row := func(cells ...string) { line("| %s |", strings.Join(cells, " | ")) }
	head := func(cells ...string) {
		row(cells...)
		line("|%s", strings.Repeat("---|", len(cells)))
	}
	line("# DICOM conformance statement\n")
	line("Medvault stores DICOM instances byte for byte and shows them to those who treat the patient; to all others it shows them de-identified.\n")
	line("Implementation Class UID %s, Implementation Version Name %s.\n", s.Implementation.ClassUID, s.Implementation.VersionName)

	line("## Services\n")
	for _, one := range s.Services {
		line("%s:\n", one.Name)
		for _, r := range one.Routes {
			line("- `%s`", r)
		}
		line("")
	}
	line("## Transfer syntaxes\n")
	line("Stored and given as received. Native ones are also given in Explicit VR Little Endian. Others than these are stored, and their de-identified view is withheld.\n")
	head("UID", "name", "converted")
	for _, t := range s.TransferSyntaxes {
		row(t.UID, t.Name, yes(t.Native))
	}
	line("\n## Character sets\n\nDefault repertoire, %s.\n", strings.Join(s.CharacterSets, ", "))

	line("## De-identification\n")
	line("%s, profile `%s`. Rules %s.\n", s.Rules.Edition, s.Rules.Profile, s.Rules.Digest)
	line("Tables: %s.\n", s.Acknowledgement)
	if s.Score != nil {
		current := "the rules above"
		if s.Score.Digest != s.Rules.Digest {
			current = "rules " + s.Score.Digest
		}
		line("Score: %.3f %% of the answer key of %d synthetic objects, by %s.\n", s.Score.Percent, s.Score.Objects, current)
	}
	line("### Options\n")
	head("profile", "options")
	for _, name := range slices.Sorted(maps.Keys(s.Profiles)) {
		row(name, strings.Join(s.Profiles[name], ", "))
	}
	line("\n### De-identification Method Code Sequence (CID 7050)\n")
	line("Written into every content; 113101 (Clean Pixel Data Option) too where masks were painted or a person released the picture.\n")
	head("code", "scheme", "meaning")
	for _, c := range s.Codes {
		row(c.Value, c.Scheme, c.Meaning)
	}
	line("\n### Attributes of table E.1-1 (%d)\n", len(s.Attributes))
	line("The last column is what is done where the attribute's type in the object is not known; where it is, compound codes ask for the least that keeps the object valid.\n")
	head("tag", "name", "VR", "basic", "options", "done")
	for _, r := range s.Attributes {
		var codes []string
		for _, option := range slices.Sorted(maps.Keys(r.Options)) {
			codes = append(codes, option+" "+r.Options[option])
		}
		row("("+r.Tag+")", r.Name, r.VR, r.Basic, strings.Join(codes, ", "), r.Action)
	}
	line("\n### Attributes that the table leaves out (%d)\n", len(s.Outside))
	line("What stands in neither list and is no number, code or time of day is removed.\n")
	head("tag", "keyword", "VR", "kind", "done")
	for _, o := range s.Outside {
		row("("+o.Tag+")", o.Keyword, o.VR, o.Kind, o.Action)
	}
	line("\n### Private elements that stay (%d)\n", len(s.Private))
	line("By creator and element, table E.3.10-1. UIDs in them are mapped, dates shifted. All others are removed.\n")
	if len(s.Private) > 0 {
		head("creator", "element", "VR")
		for _, p := range s.Private {
			row(strings.ReplaceAll(p.Creator, "|", `\|`), p.Element, p.VR)
		}
	}
	line("\n### Pictures\n")
	line("The first line that fits decides; what none fits is held. A held view waits for a person.\n\n```")
	for _, rule := range s.Pixels {
		line("%s", rule)
	}
	line("```")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
