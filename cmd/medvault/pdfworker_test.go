package main

import (
	"os"
	"testing"
)

// TestMain is this binary's main as far as a gateway in a test needs it: the process that
// opens PDFs.
func TestMain(m *testing.M) {
	if isPDFWorker(os.Args) {
		os.Exit(openPDFs(os.Args))
	}
	os.Exit(m.Run())
}
