package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestEveryMappedTestIsThere(t *testing.T) {
	var promises []promise
	if err := json.Unmarshal(table, &promises); err != nil {
		t.Fatal(err)
	}
	known, err := findTests("../..")
	if err != nil {
		t.Fatal(err)
	}
	trimmed := make(map[string][]string)
	for dir, tests := range known {
		trimmed[strings.TrimPrefix(dir, "../../")] = tests
	}
	verdicts, unknown := match(promises, trimmed)
	for _, test := range unknown {
		t.Errorf("%s names no row of the policy", test)
	}
	for _, v := range verdicts {
		for _, r := range v.Tests {
			if r.Result == "missing" {
				t.Errorf("promise %s: %s has no test %s", v.Row, r.Package, r.Test)
			}
		}
	}
}

func TestTheWorstTestOfAPromiseCounts(t *testing.T) {
	promises := []promise{{Row: "1.1", Mapped: []string{"a TestOne"}}, {Row: "3.5"}, {Row: "3.5b"}, {Row: "4.1", Mapped: []string{"b TestGone"}}, {Row: "5.1"}}
	known := map[string][]string{"a": {"TestOne", "TestPromise1_1Also", "TestPromise3_5bAndMore", "TestPromise3_5"}, "c": {"TestPromise5_1", "TestPromise9_9No"}}
	const output = `{"Action":"pass","Package":"medvault/a","Test":"TestOne"}
{"Action":"fail","Package":"medvault/a","Test":"TestPromise1_1Also"}
{"Action":"pass","Package":"medvault/a","Test":"TestPromise3_5"}
{"Action":"pass","Package":"medvault/a","Test":"TestPromise3_5/of a part"}
{"Action":"skip","Package":"medvault/a","Test":"TestPromise3_5bAndMore"}
--- PASS: TestPromise5_1 (0.10s)
`
	went := make(results)
	if err := went.read(strings.NewReader(output)); err != nil {
		t.Fatal(err)
	}
	verdicts, unknown := match(promises, known)
	if len(unknown) != 1 || unknown[0] != "c TestPromise9_9No" {
		t.Errorf("unknown = %v; want the test of row 9.9", unknown)
	}
	for i, want := range []string{"fail", "pass", "skipped", "missing", "pass"} {
		verdicts[i].judge(went)
		if verdicts[i].Result != want {
			t.Errorf("promise %s: %s; want %s", verdicts[i].Row, verdicts[i].Result, want)
		}
	}
	none := verdict{Row: "6.1"}
	if none.judge(went); none.Result != "missing" {
		t.Errorf("a promise without a test is %s; want missing", none.Result)
	}
}
