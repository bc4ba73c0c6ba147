// Command promises tells for every promise that patients were made which tests prove it,
// and whether they pass:
//
//	go run ./scripts/promises              runs the tests; servers by the variables of scripts/backends/start
//	go run ./scripts/promises --read FILE  reads what `go test -json` or `go test -v` printed elsewhere
//	go run ./scripts/promises --list       only looks which tests there are
//	go run ./scripts/promises --json       the same as JSON
//
// The promises are promises.json: a row's number and what it says, with tests that prove it
// under another name. Beside these every test named TestPromise<row>… proves its row, with
// _ for the dot: TestPromise5_3BackupsOpenNothing.
//
// Exit code 3: a promise has no test, or one that failed or was skipped; a promise without
// a running proof is not kept.
package main

import (
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

//go:embed promises.json
var table []byte

// promise is a row of the policy.
type promise struct {
	Row    string   `json:"row"`
	Says   string   `json:"says"`
	Mapped []string `json:"tests"` // "PACKAGE TEST", the package's folder below the root
}

// verdict is a promise and what its tests say.
type verdict struct {
	Row    string   `json:"row"`
	Says   string   `json:"says"`
	Tests  []result `json:"tests"`
	Result string   `json:"result"` // "pass", "fail", "skipped", "not run" or "missing"
}

// result is one test and how it went.
type result struct {
	Package string `json:"package"`
	Test    string `json:"test"`
	Result  string `json:"result"` // "pass", "fail", "skipped", "not run" or "missing"
}

func main() {
	var read string
	var list, asJSON bool
	flag.StringVar(&read, "read", "", "read the output of go test -json or -v from this file (-: standard input) instead of running the tests")
	flag.BoolVar(&list, "list", false, "run nothing, only look which tests there are")
	flag.BoolVar(&asJSON, "json", false, "print JSON")
	flag.Parse()
	kept, err := run(read, list, asJSON)
	if err != nil {
		fmt.Fprintln(os.Stderr, "promises:", err)
		os.Exit(1)
	}
	if !kept {
		os.Exit(3)
	}
}

func run(read string, list, asJSON bool) (kept bool, err error) {
	var promises []promise
	if err := json.Unmarshal(table, &promises); err != nil {
		return false, fmt.Errorf("promises.json: %w", err)
	}
	known, err := findTests(".")
	if err != nil {
		return false, err
	}
	verdicts, unknown := match(promises, known)
	for _, test := range unknown {
		fmt.Fprintf(os.Stderr, "promises: %s names no row of the policy\n", test)
	}
	went := make(results)
	switch {
	case list:
	case read != "":
		err = went.readFile(read)
	default:
		err = went.runAll(verdicts)
	}
	if err != nil {
		return false, err
	}
	kept = len(unknown) == 0
	for i := range verdicts {
		verdicts[i].judge(went)
		kept = kept && (verdicts[i].Result == "pass" || list && verdicts[i].Result == "not run")
	}
	return kept, show(verdicts, asJSON)
}

// judge says how the tests of a promise went: the worst counts.
func (v *verdict) judge(went results) {
	v.Result = "missing"
	worst := -1
	order := []string{"pass", "not run", "skipped", "fail", "missing"}
	for i := range v.Tests {
		t := &v.Tests[i]
		if t.Result == "" {
			t.Result = went.of(t.Package, t.Test)
		}
		if at := slices.Index(order, t.Result); at > worst {
			worst, v.Result = at, t.Result
		}
	}
}

func show(verdicts []verdict, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(verdicts)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROMISE\t\tTESTS\tRESULT")
	count := make(map[string]int)
	for _, v := range verdicts {
		count[v.Result]++
		first := result{Test: "-"}
		if len(v.Tests) > 0 {
			first = v.Tests[0]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Row, v.Says, first.Test, v.Result)
		for i, t := range v.Tests {
			if i == 0 {
				continue
			}
			note := ""
			if t.Result != v.Result {
				note = "(" + t.Result + ")"
			}
			fmt.Fprintf(w, "\t\t%s\t%s\n", t.Test, note)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("\n%d promises: %d pass, %d fail, %d skipped, %d not run, %d missing\n", len(verdicts), count["pass"], count["fail"], count["skipped"], count["not run"], count["missing"])
	return nil
}
