package dicom

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"medvault/imaging"
)

// PixelRules say which pictures are shown, masked or held. The zero value is the
// built-in rules (pixels.rules), which stand behind those of a deployment.
type PixelRules struct {
	own []pixelRule
	sum string // hex SHA-256 of the deployment's file
}

//go:embed pixels.rules
var builtInRules []byte

// builtIn are the rules that every PixelRules ends with.
var builtIn = func() []pixelRule {
	rules, err := parsePixelRules(builtInRules)
	if err != nil {
		panic(err) // the file is part of the program, and tested
	}
	return rules
}()

const (
	maxRulesFile  = 1 << 20
	maxRegions    = 100 // a scanner shows a handful
	classesPrefix = "1.2.840.10008.5.1.4.1.1"
	unknownReason = "unknown-picture" // no rule fits
)

// ParsePixelRules reads a deployment's rules; pixels.rules describes how they are
// written. An error names the line.
func ParsePixelRules(data []byte) (PixelRules, error) {
	rules, err := parsePixelRules(data)
	if err != nil {
		return PixelRules{}, fmt.Errorf("read pixel rules: %w", err)
	}
	sum := sha256.Sum256(data)
	return PixelRules{own: rules, sum: hex.EncodeToString(sum[:])}, nil
}

// Digest is the hex SHA-256 over the built-in rules and the deployment's.
func (r PixelRules) Digest() string {
	sum := sha256.Sum256(append(slices.Clone(builtInRules), r.sum...))
	return hex.EncodeToString(sum[:])
}

// pixelRule is one line.
type pixelRule struct {
	action         pixelAction
	reason         string // of hold
	masks          []imaging.Mask
	outsideRegions bool
	conditions     []condition
}

type pixelAction byte

const (
	holdPicture pixelAction = iota // the zero rule holds
	passPicture
	maskPicture
)

type condition struct {
	key      string
	not      bool
	patterns []string // lower case
}

// signs are the facts about a picture that conditions ask for, by key, in small
// letters. Of an Image Type there are all values together and each of them.
type signs map[string][]string

var signKeys = []string{"class", "syntax", "modality", "manufacturer", "model", "photometric", "burned-in", "conversion",
	"image-type", "rows", "columns", "bits", "regions", "pixels"}

// decide returns the first rule that fits and, where it holds the picture, its code
// with those of the rules behind it, up to one that would show the picture.
func (r PixelRules) decide(s signs) (pixelRule, []string) {
	var first *pixelRule
	var reasons []string
	for _, rules := range [][]pixelRule{r.own, builtIn} {
		for i := range rules {
			rule := &rules[i]
			if !rule.fits(s) {
				continue
			}
			if first == nil {
				first = rule
			}
			if rule.action != holdPicture {
				return *first, reasons
			}
			reasons = append(reasons, rule.reason)
		}
	}
	if first == nil {
		return pixelRule{reason: unknownReason}, []string{unknownReason}
	}
	return *first, reasons
}

// fits reports whether all conditions hold. There is nothing to mask where there are no
// pixels; such a document is for another rule.
func (r *pixelRule) fits(s signs) bool {
	if r.action == maskPicture && s["pixels"][0] != "yes" {
		return false
	}
	for i := range r.conditions {
		c := &r.conditions[i]
		if c.fits(s[c.key]) == c.not {
			return false
		}
	}
	return true
}

func (c *condition) fits(values []string) bool {
	for _, p := range c.patterns {
		for _, v := range values {
			if glob(p, v) {
				return true
			}
		}
		if len(values) == 0 && glob(p, "absent") {
			return true
		}
	}
	return false
}

// glob matches * with any characters and ? with one.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0: // let the last star take one more
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func parsePixelRules(data []byte) ([]pixelRule, error) {
	if len(data) > maxRulesFile {
		return nil, errors.New("the file is larger than 1 MiB")
	}
	var rules []pixelRule
	n := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		n++
		words, err := ruleWords(line)
		if err == nil && len(words) > 0 {
			var rule pixelRule
			rule, err = parseRule(words)
			rules = append(rules, rule)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return rules, nil
}

// ruleWords cuts a line at spaces outside of quotes, up to a comment.
func ruleWords(line string) (words []string, err error) {
	var word strings.Builder
	quoted, begun := false, false
	end := func() {
		if begun {
			words = append(words, word.String())
			word.Reset()
			begun = false
		}
	}
	for _, c := range line {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case quoted:
			word.WriteRune(c)
		case c == '#':
			end()
			return words, nil
		case c == ' ' || c == '\t' || c == '\r':
			end()
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	end()
	return words, nil
}

func parseRule(words []string) (rule pixelRule, err error) {
	when := slices.Index(words, "when")
	if when < 0 || when+1 == len(words) {
		return rule, errors.New("no conditions: write when KEY=PATTERN")
	}
	args := words[1:max(when, 1)]
	switch {
	case words[0] == "pass" && len(args) == 0:
		rule.action = passPicture
	case words[0] == "hold" && len(args) == 1:
		rule.reason, err = reasonCode(args[0])
	case words[0] == "mask" && len(args) == 1 && args[0] == "outside-regions":
		rule.action, rule.outsideRegions = maskPicture, true
	case words[0] == "mask" && len(args) > 0 && len(args) <= maxMasks:
		rule.action = maskPicture
		rule.masks, err = parseMasks(args)
	default:
		err = errors.New("write pass, hold CODE, mask X,Y,WIDTH,HEIGHT or mask outside-regions")
	}
	for _, w := range words[when+1:] {
		if err != nil {
			return rule, err
		}
		var c condition
		c, err = parseCondition(w)
		rule.conditions = append(rule.conditions, c)
	}
	return rule, err
}

func reasonCode(s string) (string, error) {
	if len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", errors.New("a code is of small letters, digits and dashes, at most 40")
	}
	return s, nil
}

func parseMasks(args []string) (masks []imaging.Mask, err error) {
	for _, a := range args {
		var n [4]int
		parts := strings.Split(a, ",")
		if len(parts) != len(n) {
			return nil, errors.New("a mask is X,Y,WIDTH,HEIGHT")
		}
		for i, p := range parts {
			v, err := strconv.ParseUint(p, 10, 16)
			if err != nil || i >= 2 && v == 0 {
				return nil, errors.New("a mask is of whole numbers, width and height at least 1")
			}
			n[i] = int(v)
		}
		masks = append(masks, imaging.Mask{X: n[0], Y: n[1], Width: n[2], Height: n[3]})
	}
	return masks, nil
}

func parseCondition(word string) (c condition, err error) {
	key, patterns, ok := strings.Cut(word, "=")
	if !ok || patterns == "" {
		return c, errors.New("a condition is KEY=PATTERN or KEY!=PATTERN")
	}
	c.key, c.not = strings.CutSuffix(key, "!")
	if !slices.Contains(signKeys, c.key) {
		return c, fmt.Errorf("no key %.40q", c.key)
	}
	for p := range strings.SplitSeq(strings.ToLower(patterns), "|") {
		if c.key == "class" && strings.HasPrefix(p, ".") {
			p = classesPrefix + p
		}
		c.patterns = append(c.patterns, p)
	}
	return c, nil
}

// signsOf collects what rules ask for from the header of the original.
func signsOf(header *Segment, syntax Syntax, class string) signs {
	s := make(signs, len(signKeys))
	set := func(key, value string) {
		if value = strings.ToLower(trimmed(value)); value != "" {
			s[key] = []string{value}
		}
	}
	text := func(key string, t Tag) { set(key, header.text(t)) }
	number := func(key string, t Tag) {
		if n, ok := header.number(t, syntax.order()); ok {
			set(key, strconv.Itoa(n))
		}
	}
	set("class", class)
	set("syntax", syntax.UID)
	text("image-type", 0x0008_0008)
	if whole := s["image-type"]; whole != nil && strings.Contains(whole[0], `\`) {
		for value := range strings.SplitSeq(whole[0], `\`) {
			s["image-type"] = append(s["image-type"], trimmed(value))
		}
	}
	text("modality", 0x0008_0060)
	text("conversion", 0x0008_0064)
	text("manufacturer", 0x0008_0070)
	text("model", 0x0008_1090)
	text("photometric", 0x0028_0004)
	text("burned-in", 0x0028_0301)
	number("rows", 0x0028_0010)
	number("columns", 0x0028_0011)
	number("bits", 0x0028_0101)
	set("regions", "no")
	if header.Find(0x0018_6011) != nil {
		set("regions", "yes")
	}
	set("pixels", "no")
	if n := len(header.Elements); header.Bulk && pixels(header.Elements[n-1].Tag) {
		set("pixels", "yes")
	}
	return s
}

// regionsOf is the rectangles of the ultrasound regions (PS3.3 C.8.5.5), cut to the
// image; false where one is not understood.
func regionsOf(header *Segment, order interface{ Uint32([]byte) uint32 }, rows, columns int) (regions []imaging.Mask, ok bool) {
	sequence := header.Find(0x0018_6011)
	if sequence == nil || !sequence.Container() {
		return nil, false
	}
	for item := slices.Index(header.Elements, *sequence) + 1; item < int(sequence.Next); item = int(header.Elements[item].Next) {
		corner := map[Tag]int{}
		for i := item + 1; i < int(header.Elements[item].Next); i = int(header.Elements[i].Next) {
			e := &header.Elements[i]
			if t := e.Tag; t >= 0x0018_6018 && t <= 0x0018_601E && e.Length == 4 && !e.Container() {
				corner[t] = int(min(order.Uint32(header.Bytes(e)), math.MaxInt32))
			}
		}
		x0, y0 := corner[0x0018_6018], corner[0x0018_601A]
		x1, y1 := min(corner[0x0018_601C]+1, columns), min(corner[0x0018_601E]+1, rows) // the last pixel belongs to it
		if len(corner) < 4 || x0 >= x1 || y0 >= y1 {
			return nil, false
		}
		if regions = append(regions, imaging.Mask{X: x0, Y: y0, Width: x1 - x0, Height: y1 - y0}); len(regions) > maxRegions {
			return nil, false
		}
	}
	return regions, len(regions) > 0
}
