// Package worker is the process that opens PDFs: pdfium, compiled to WebAssembly, in a
// process without network and files (enclose_linux.go), given one document at a time
// and killed with it. It is started by package pdf of the gateway and speaks package
// wire. It knows no patient.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"

	"medvault/imaging/pdf/wire"
)

// wasmPages is how much memory pdfium may ask for, in pages of 64 KiB: 1 GiB.
const wasmPages = 16 << 10

// Main runs the process: -fonts DIR, -cache DIR, -memory BYTES and -cpu SECONDS as its
// arguments, documents on in, pages on out. With -compile it fills the cache and ends.
// It returns the exit code.
func Main(args []string, in io.Reader, out, log io.Writer) int {
	flags := flag.NewFlagSet("pdf-worker", flag.ContinueOnError)
	flags.SetOutput(log)
	fonts := flags.String("fonts", "", "directory with fonts")
	cache := flags.String("cache", "", "directory with compiled code")
	memory := flags.Int64("memory", 0, "bytes this process may take; 0 for no limit")
	cpu := flags.Int64("cpu", 0, "seconds of processor time this process may take; 0 for no limit")
	compile := flags.Bool("compile", false, "fill the cache and end")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return 2
	}
	if err := run(*fonts, *cache, *memory, *cpu, *compile, in, out); err != nil {
		fmt.Fprintln(log, err) // of this machine: nothing of a document gets into these
		return 1
	}
	return 0
}

func run(fonts, cache string, memory, cpu int64, compile bool, in io.Reader, out io.Writer) error {
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(wasmPages)
	if cache != "" {
		compiled, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return fmt.Errorf("pdf worker: cache: %w", err)
		}
		config = config.WithCompilationCache(compiled)
	}
	font, err := openFont(fonts)
	if err != nil {
		return err
	}
	pool, err := webassembly.Init(webassembly.Config{MaxTotal: 1, RuntimeConfig: config,
		FSConfig: wazero.NewFSConfig().WithFSMount(font.fs(), "/"), // never the host's: nil would mount it whole
		Stdout:   io.Discard, Stderr: io.Discard})
	if err != nil {
		return fmt.Errorf("pdf worker: start pdfium: %w", err)
	}
	defer pool.Close()
	if compile {
		return nil
	}
	// What follows reads a document. Nothing opens a file after this line.
	enclosure := enclose(memory, cpu)
	enclosure.Fonts = font.data != nil
	hello, err := json.Marshal(enclosure)
	if err != nil {
		return err
	}
	if err := wire.Write(out, wire.Hello, hello); err != nil {
		return err
	}
	return serve(pool, in, out)
}

// serve answers until the other side has no more to ask.
func serve(pool pdfium.Pool, in io.Reader, out io.Writer) error {
	var open *document
	for {
		kind, payload, err := wire.Read(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case kind == wire.Open:
			if open != nil {
				open.close()
			}
			var facts wire.Facts
			if open, facts, err = load(pool, payload); err == nil {
				err = answer(out, wire.Document, facts)
			}
		case kind == wire.Fetch && open != nil:
			var ask wire.Request
			if ask, err = wire.DecodeRequest(payload); err != nil {
				return err
			}
			var page wire.Page
			if page, err = open.page(ask); err == nil {
				err = wire.Write(out, wire.Leaf, page.Encode())
			}
		default:
			return wire.ErrFrame
		}
		var f fault
		if errors.As(err, &f) {
			err = wire.Write(out, wire.Fault, []byte(f))
		}
		if err != nil {
			return err
		}
	}
}

func answer(out io.Writer, kind byte, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return wire.Write(out, kind, payload)
}

// fault is what is wrong with a document: one of the codes of package wire.
type fault string

func (f fault) Error() string { return string(f) }

// instance begins a fresh pdfium, which knows nothing of another document.
func instance(pool pdfium.Pool) (pdfium.Pdfium, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return pool.GetInstanceWithContext(ctx)
}

// font is the one font of the machine that pdfium may see, or none.
type font struct {
	data []byte
}

// preferred are fonts with Chinese characters, the best first.
func preferred() []string {
	return []string{"NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSerifCJK-Regular.ttc", "wqy-zenhei.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf"}
}

// openFont looks for the first of the preferred fonts below a directory.
func openFont(dir string) (font, error) {
	if dir == "" {
		return font{}, nil
	}
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found[d.Name()] = path
		}
		return nil // a directory that cannot be read has no fonts
	})
	if err != nil {
		return font{}, err
	}
	for _, name := range preferred() {
		if path, ok := found[name]; ok {
			data, err := mapped(path)
			if err != nil {
				return font{}, fmt.Errorf("pdf worker: font %s: %w", name, err)
			}
			return font{data}, nil
		}
	}
	return font{}, nil
}
