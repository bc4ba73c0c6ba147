// Package ocr finds words in pictures with tesseract, a program of its own that is
// given pixels only: on its standard input, never in a file.
package ocr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config says how to read.
type Config struct {
	Program   string        // path of tesseract; required
	Languages string        // as tesseract names them, with + between; default "eng"
	Timeout   time.Duration // for one picture, the wait for its turn included; default 20 s
	AtOnce    int           // pictures at once, each on one core; default 1
}

// Reader finds words. It is safe for concurrent use.
type Reader struct {
	c     Config
	turns chan struct{}
}

// Word is something that looks like one, and where it is.
type Word struct {
	Text       string
	Line       int // words of one line have the same number
	Box        image.Rectangle
	Confidence float64 // 0 to 100
}

// Layout says what a picture looks like.
type Layout int

const (
	Sparse Layout = 11 // words here and there
	Report Layout = 3  // a page with columns, tables and paragraphs
)

var languages = regexp.MustCompile(`\A[A-Za-z0-9_]+(\+[A-Za-z0-9_]+)*\z`)

// New checks the configuration and asks the program for its languages.
func New(c Config) (*Reader, error) {
	if c.Languages == "" {
		c.Languages = "eng"
	}
	if !languages.MatchString(c.Languages) {
		return nil, fmt.Errorf("ocr: languages %q: write them as in eng+chi_sim", c.Languages)
	}
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	r := &Reader{c: c, turns: make(chan struct{}, max(c.AtOnce, 1))}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	out, err := r.run(ctx, nil, "--list-langs")
	if err != nil {
		return nil, err
	}
	have := strings.Fields(string(out))
	for _, want := range strings.Split(c.Languages, "+") {
		found := false
		for _, h := range have {
			found = found || h == want
		}
		if !found {
			return nil, fmt.Errorf("ocr: tesseract has no language %s", want)
		}
	}
	return r, nil
}

// Words reads a picture. The timeout counts from the call on, the wait for a turn
// included.
func (r *Reader) Words(ctx context.Context, m *image.Gray) ([]Word, error) {
	return r.Read(ctx, m, Sparse)
}

// Read is Words for a picture of which it is known what it looks like.
func (r *Reader) Read(ctx context.Context, m *image.Gray, layout Layout) ([]Word, error) {
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("ocr: wait for a turn: %w", ctx.Err())
	}
	out, err := r.run(ctx, pgm(m), "stdin", "stdout", "--psm", strconv.Itoa(int(layout)), "-l", r.c.Languages, "tsv")
	if err != nil {
		return nil, err
	}
	return words(out), nil
}

// run gives the program an environment of its own: one thread (more only get in each
// other's way), and where its models lie if that is told.
func (r *Reader) run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, r.c.Program, args...)
	cmd.Env = []string{"OMP_THREAD_LIMIT=1", "LC_ALL=C"}
	if models, ok := os.LookupEnv("TESSDATA_PREFIX"); ok {
		cmd.Env = append(cmd.Env, "TESSDATA_PREFIX="+models)
	}
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed): // what it says about a picture stays here
		return nil, fmt.Errorf("ocr: tesseract ended with %s", failed.ProcessState)
	case err != nil:
		return nil, fmt.Errorf("ocr: run tesseract: %w", err)
	}
	return out, nil
}

// pgm is a picture as tesseract reads it.
func pgm(m *image.Gray) []byte {
	b := m.Bounds()
	out := fmt.Appendf(nil, "P5\n%d %d\n255\n", b.Dx(), b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		at := m.PixOffset(b.Min.X, y)
		out = append(out, m.Pix[at:at+b.Dx()]...)
	}
	return out
}

// words reads the table of words: level, page, block, paragraph, line, word, left, top,
// width, height, confidence, text.
func words(tsv []byte) (found []Word) {
	lines := map[string]int{}
	for row := range strings.Lines(string(tsv)) {
		f := strings.SplitN(strings.TrimRight(row, "\r\n"), "\t", 12)
		if len(f) < 12 || f[0] != "5" || strings.TrimSpace(f[11]) == "" {
			continue
		}
		var n [4]int
		ok := true
		for i := range n {
			v, err := strconv.Atoi(f[6+i])
			n[i], ok = v, ok && err == nil && v >= 0 && v < 1<<16
		}
		confidence, err := strconv.ParseFloat(f[10], 64)
		if !ok || err != nil {
			continue
		}
		key := strings.Join(f[1:5], ".")
		if _, known := lines[key]; !known {
			lines[key] = len(lines)
		}
		found = append(found, Word{Text: strings.TrimSpace(f[11]), Line: lines[key], Confidence: confidence,
			Box: image.Rect(n[0], n[1], n[0]+n[2], n[1]+n[3])})
	}
	return found
}
