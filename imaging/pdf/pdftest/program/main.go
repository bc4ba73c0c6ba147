//go:debug fips140=only

// Program is the process that opens PDFs, alone, for tests: the binary of a test with
// the race detector would be ten times slower, and take more memory than it may.
package main

import (
	"os"

	"medvault/imaging/pdf/worker"
)

func main() { os.Exit(worker.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
