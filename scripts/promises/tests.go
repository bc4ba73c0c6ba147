package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	testFunc  = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(t \*testing\.T\)`)
	ofPromise = regexp.MustCompile(`^TestPromise([0-9]+)_([0-9]+[a-z]?)(?:[A-Z_]|$)`)
)

// findTests lists the tests below a folder, by the folder of their package.
func findTests(root string) (map[string][]string, error) {
	found := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, m := range testFunc.FindAllSubmatch(data, -1) {
			found[dir] = append(found[dir], string(m[1]))
		}
		return nil
	})
	return found, err
}

// match gives every promise its tests: those that bear its number, then those of the
// table. A test of the table that is not there is missing. unknown bear a number that no
// promise has.
func match(promises []promise, known map[string][]string) (verdicts []verdict, unknown []string) {
	numbered := make(map[string][]result)
	for _, dir := range slices.Sorted(maps.Keys(known)) {
		for _, test := range slices.Sorted(slices.Values(known[dir])) {
			if m := ofPromise.FindStringSubmatch(test); m != nil {
				row := m[1] + "." + m[2]
				numbered[row] = append(numbered[row], result{Package: dir, Test: test})
			}
		}
	}
	for _, p := range promises {
		v := verdict{Row: p.Row, Says: p.Says, Tests: numbered[p.Row]}
		delete(numbered, p.Row)
		for _, mapped := range p.Mapped {
			dir, test, _ := strings.Cut(mapped, " ")
			r := result{Package: dir, Test: test}
			if !slices.Contains(known[dir], test) {
				r.Result = "missing"
			}
			v.Tests = append(v.Tests, r)
		}
		if v.Tests == nil {
			v.Tests = []result{}
		}
		verdicts = append(verdicts, v)
	}
	for _, tests := range numbered {
		for _, t := range tests {
			unknown = append(unknown, t.Package+" "+t.Test)
		}
	}
	slices.Sort(unknown)
	return verdicts, unknown
}

// results say how tests went, by package and name; the package is "" where the output
// names none.
type results map[[2]string]string

func (r results) of(dir, test string) string {
	for _, key := range [][2]string{{dir, test}, {"", test}} {
		if went, ok := r[key]; ok {
			return went
		}
	}
	return "not run"
}

// runAll runs the tests of the verdicts, package by package.
func (r results) runAll(verdicts []verdict) error {
	byPackage := make(map[string][]string)
	for _, v := range verdicts {
		for _, t := range v.Tests {
			if t.Result == "" && !slices.Contains(byPackage[t.Package], t.Test) {
				byPackage[t.Package] = append(byPackage[t.Package], t.Test)
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(byPackage)) {
		fmt.Fprintf(os.Stderr, "promises: %s, %d tests\n", dir, len(byPackage[dir]))
		cmd := exec.Command("go", "test", "-json", "-timeout", "40m", "-run", "^("+strings.Join(byPackage[dir], "|")+")$", "./"+dir)
		out, err := cmd.Output()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) { // that a test failed stands in the output
			return fmt.Errorf("go test ./%s: %w", dir, err)
		}
		if err := r.read(bytes.NewReader(out)); err != nil {
			return err
		}
		for _, test := range byPackage[dir] {
			if r.of(dir, test) == "not run" {
				r[[2]string{dir, test}] = "fail" // its package does not build, or ended before
			}
		}
	}
	return nil
}

func (r results) readFile(path string) error {
	if path == "-" {
		return r.read(os.Stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.read(f)
}

var plainResult = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (Test\w+) `)

// read takes the output of go test, -json or -v.
func (r results) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Bytes()
		var event struct{ Action, Package, Test string }
		if bytes.HasPrefix(line, []byte("{")) && json.Unmarshal(line, &event) == nil {
			if event.Test != "" && !strings.Contains(event.Test, "/") {
				r.note(strings.TrimPrefix(event.Package, "medvault/"), event.Test, event.Action)
			}
			continue
		}
		if m := plainResult.FindSubmatch(line); m != nil {
			r.note("", string(m[2]), strings.ToLower(string(m[1])))
		}
	}
	return lines.Err()
}

// note keeps the worse of two runs of one test.
func (r results) note(dir, test, action string) {
	key := [2]string{dir, test}
	switch action {
	case "pass":
		if r[key] == "" {
			r[key] = "pass"
		}
	case "skip":
		if r[key] != "fail" {
			r[key] = "skipped"
		}
	case "fail":
		r[key] = "fail"
	}
}
