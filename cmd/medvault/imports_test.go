package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The map of the house: which packages of this module a package may import.
//
// The rule of the longest matching path counts. "ROOM/..." stands for ROOM and
// everything below it. Change it on purpose, with the reason in the commit.
var importMap = map[string][]string{
	// The one place that knows every concrete type.
	"cmd/medvault": {"api/...", "vault/...", "storage/...", "keys/...", "imaging/..."},
	"scripts":      {"api/client", "imaging/...", "keys/envelope"},
	// What is measured without a server in front: whole vaults, and their parts.
	"scripts/bench": {"api/client", "imaging/...", "keys", "keys/envelope", "storage/...", "vault/..."},

	// Translates, decides nothing. Knows the front door, and the words.
	"api":        {"api/...", "vault", "vault/record", "vault/rights"}, // the kinds of requests
	"api/client": {"vault", "vault/record"},                            // shapes of answers

	// The front door joins the rooms.
	"vault": {
		"vault/record", "vault/access", "vault/consent", "vault/residency", "vault/retention",
		"vault/rights", "vault/alarm", "vault/breach", "vault/evidence", "vault/staff", "vault/workday", "vault/audit", "vault/atna", "vault/catalog",
		"storage", "storage/replica", "keys", "keys/envelope", "keys/token", "imaging", "imaging/subject", // what people write must not name the patient
	},
	"vault/record":    {},
	"vault/access":    {"vault/record"},
	"vault/consent":   {"vault/record"},
	"vault/residency": {"vault/record"},
	"vault/retention": {"vault/record"},
	"vault/rights":    {"vault/record"},
	"vault/breach":    {"vault/record"},
	"vault/evidence":  {}, // the report of a quarter as people read it
	"vault/workday":   {},
	"vault/alarm":     {}, // by which way people are told, and what
	"vault/staff":     {"vault/record"},
	"vault/audit":     {"vault/record"},
	"vault/atna":      {"vault/record", "vault/audit"},                                               // the log in the words of a repository
	"vault/catalog":   {"vault/record", "vault/consent", "vault/catalog/...", "keys", "vault/audit"}, // the values it stores
	"vault/vaulttest": {"vault/...", "storage/...", "keys/...", "imaging/..."},

	// Sealed objects: no patient, no key.
	"storage":         {},
	"storage/dir":     {"storage"},
	"storage/s3":      {"storage"}, // what the S3 drivers share
	"storage/minio":   {"storage", "storage/s3"},
	"storage/aws":     {"storage", "storage/s3"},
	"storage/replica": {"storage"},

	"storage/storetest": {"storage"},

	"keys":          {},
	"keys/envelope": {"keys"},
	"keys/transit":  {"keys"},
	"keys/insecure": {"keys"},
	"keys/token":    {"keys"},
	"keys/keystest": {"keys"},

	"imaging":                     {"imaging/subject"},
	"imaging/dicom":               {"imaging", "imaging/dicom/...", "imaging/subject", "imaging/descriptor", "imaging/pixel", "imaging/ocr"},
	"imaging/pdf":                 {"imaging", "imaging/mention", "imaging/subject", "imaging/ocr", "imaging/pdf/wire", "imaging/pdf/facsimile"},
	"imaging/pdf/wire":            {},                   // what is said to the process that opens PDFs
	"imaging/pdf/facsimile":       {},                   // the new document
	"imaging/pdf/worker":          {"imaging/pdf/wire"}, // that process: knows no patient
	"imaging/pdf/pdftest":         {"imaging/pdf/...", "imaging/ocr"},
	"imaging/report":              {"imaging", "imaging/pdf", "imaging/mention", "imaging/subject"},
	"imaging/fhir":                {"imaging", "imaging/mention", "imaging/subject"},
	"imaging/subject":             {}, // who the patient is, in text and in bytes
	"imaging/descriptor":          {"imaging/subject"},
	"imaging/mention":             {"imaging/subject", "imaging/descriptor"}, // where a page names somebody
	"imaging/rle":                 {},
	"imaging/ocr":                 {}, // a program that is given pixels
	"imaging/pixel":               {"imaging/rle"},
	"imaging/render":              {"imaging", "imaging/pixel"},
	"imaging/imagingtest":         {"imaging"},
	"imaging/imagingtest/reports": {"imaging", "imaging/imagingtest", "imaging/ocr", "imaging/subject"},
}

// adapters are named by cmd/medvault alone; elsewhere only tests may use them.
var adapters = []string{
	"storage/dir", "storage/minio", "storage/aws",
	"keys/transit", "keys/insecure",
	"imaging/dicom", "imaging/report", "imaging/fhir",
}

// A test may use its own room's suites and adapters, and what its room joins.
var testMap = map[string][]string{
	"cmd/medvault": {"..."},
	"api":          {"..."},
	"vault":        {"vault/...", "storage/...", "keys/...", "imaging/..."},
	"storage":      {"storage/..."},
	"keys":         {"keys/..."},
	"imaging":      {"imaging/..."},
	"scripts":      {"..."},
}

const module = "medvault/"

func TestImportsRunOneWay(t *testing.T) {
	root := filepath.Join("..", "..")
	checked := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(root, file, d)
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		checked++
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if name, ok := strings.CutPrefix(imported, module); ok {
				checkImport(t, rel, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 20 {
		t.Errorf("checked %d files; want the whole tree", checked)
	}
}

// skipDir leaves out hidden folders, test data and modules of their own.
func skipDir(root, dir string, d fs.DirEntry) error {
	if dir == root {
		return nil
	}
	if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func checkImport(t *testing.T, file, imported string) {
	pkg := path.Dir(file)
	isTest := strings.HasSuffix(file, "_test.go")
	if pkg == imported && isTest {
		return // an outside test of its own package
	}
	rule, allowed := ruleFor(importMap, pkg)
	if rule == "" {
		t.Errorf("%s: package %s is on no map: add it to importMap in cmd/medvault/imports_test.go", file, pkg)
		return
	}
	if permits(allowed, imported) && (isTest || !slices.Contains(adapters, imported) || mayUseAdapters(pkg, imported)) {
		return
	}
	if isTest {
		if _, inTests := ruleFor(testMap, pkg); permits(inTests, imported) {
			return
		}
	}
	t.Errorf("%s imports %s; the map allows %s", file, imported, strings.Join(allowed, ", "))
}

// mayUseAdapters: the wiring, the whole vault in memory, what is measured, and an
// adapter's own parts.
func mayUseAdapters(pkg, adapter string) bool {
	return pkg == "cmd/medvault" || pkg == "vault/vaulttest" || pkg == "scripts/bench" || strings.HasPrefix(pkg, adapter+"/") || pkg == adapter
}

// ruleFor finds the rule of the longest path that is pkg or lies above it.
func ruleFor(rules map[string][]string, pkg string) (string, []string) {
	for p := pkg; p != "."; p = path.Dir(p) {
		if allowed, ok := rules[p]; ok {
			return p, allowed
		}
	}
	return "", nil
}

func permits(patterns []string, imported string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == "..." {
			return true
		}
		room, below := strings.CutSuffix(pattern, "/...")
		return imported == room || below && strings.HasPrefix(imported, room+"/")
	})
}

func TestTheMapRefuses(t *testing.T) {
	for pkg, imported := range map[string]string{
		"storage":         "keys",
		"keys/envelope":   "storage",
		"imaging/dicom":   "vault/record",
		"vault/access":    "vault/catalog",
		"vault":           "storage/dir",
		"api/dicomweb":    "storage",
		"vault/audit":     "vault/catalog",
		"storage/replica": "storage/minio",
	} {
		if _, allowed := ruleFor(importMap, pkg); permits(allowed, imported) {
			t.Errorf("the map lets %s import %s", pkg, imported)
		}
	}
}
