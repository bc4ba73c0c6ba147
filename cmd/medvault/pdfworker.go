package main

import (
	"os"

	"medvault/imaging/pdf/worker"
)

// pdfWorker is the hidden command that the gateway starts for every PDF: this same
// binary, which then opens the document in a process without network and files. It is no
// command of the tree of commands: it answers in frames, not in words, and must start
// fast.
const pdfWorker = "pdf-worker"

// isPDFWorker reports whether this process was started to open a PDF.
func isPDFWorker(args []string) bool { return len(args) > 1 && args[1] == pdfWorker }

// openPDFs is that process.
func openPDFs(args []string) int {
	return worker.Main(args[2:], os.Stdin, os.Stdout, os.Stderr)
}
