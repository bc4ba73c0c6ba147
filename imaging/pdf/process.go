package pdf

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"medvault/imaging/pdf/wire"
)

// Redactor makes de-identified views of reports. It is safe for concurrent use.
type Redactor struct {
	c Config

	compiling sync.Mutex
	compiled  bool // the cache holds what it should
}

func newRedactor(c Config) (*Redactor, error) {
	if len(c.Worker) == 0 {
		return nil, errors.New("pdf redactor: no command for the process that opens PDFs")
	}
	if c.Fonts == "" {
		c.Fonts = "/usr/share/fonts"
	}
	if c.MemoryLimit <= 0 {
		c.MemoryLimit = 1536 << 20
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.Cache != "" {
		if err := ownDirectory(c.Cache); err != nil {
			return nil, fmt.Errorf("pdf redactor: cache: %w", err)
		}
	}
	return &Redactor{c: c}, nil
}

// ownDirectory makes a directory where only this user can put code.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return errors.New("others can write into it: what lies there is run")
	}
	return nil
}

// errCostly says that the process was ended, or ended itself, over a document.
var errCostly = errors.New("the process that opens PDFs met its limit of memory or time")

// fault is what the process says is wrong with a document.
type fault string

func (f fault) Error() string { return string(f) }

// process is one that opens PDFs. Everything it says may be a lie.
type process struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	said      limited // on its standard error, before it had a document
	timeout   time.Duration
	enclosure wire.Enclosure
}

// starting is how long a process may take until its first word, which no document can
// delay: without a cache, and on a machine with much else to do.
const starting = time.Minute

// start begins a process and waits for its first word. ctx ends it.
func (r *Redactor) start(ctx context.Context) (*process, error) {
	if err := r.compile(ctx); err != nil {
		return nil, err
	}
	p := &process{timeout: r.c.Timeout}
	p.cmd = r.command(ctx, &p.said, "-memory", strconv.FormatInt(r.c.MemoryLimit, 10),
		"-cpu", strconv.Itoa(int(time.Hour/time.Second))) // a last bound, if nobody is left to kill it
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pdf redactor: start: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pdf redactor: start: %w", err)
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 64<<10)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("pdf redactor: start: %w", err)
	}
	stop := time.AfterFunc(max(p.timeout, starting), p.kill)
	kind, payload, err := wire.Read(p.out)
	stop.Stop()
	if err == nil && kind == wire.Hello {
		p.enclosure, err = wire.DecodeEnclosure(payload)
	} else if err == nil {
		err = wire.ErrFrame
	}
	if err != nil {
		p.end()
		return nil, fmt.Errorf("pdf redactor: start: %w: %s", err, &p.said)
	}
	return p, nil
}

// compile fills the cache, once: the processes that open documents cannot write to it.
func (r *Redactor) compile(ctx context.Context) error {
	r.compiling.Lock()
	defer r.compiling.Unlock()
	if r.compiled || r.c.Cache == "" {
		return nil
	}
	var said limited
	if err := r.command(ctx, &said, "-compile").Run(); err != nil {
		return fmt.Errorf("pdf redactor: compile: %w: %s", err, &said)
	}
	r.compiled = true
	return nil
}

// command is the process with an environment of its own: no variable may hold a secret
// that it could give away.
func (r *Redactor) command(ctx context.Context, said io.Writer, args ...string) *exec.Cmd {
	args = append(append(append([]string{}, r.c.Worker[1:]...), "-fonts", r.c.Fonts, "-cache", r.c.Cache), args...)
	cmd := exec.CommandContext(ctx, r.c.Worker[0], args...)
	cmd.Env = []string{"GOTRACEBACK=none"}
	if debug, ok := os.LookupEnv("GODEBUG"); ok {
		cmd.Env = append(cmd.Env, "GODEBUG="+debug)
	}
	cmd.Stderr = said
	cmd.WaitDelay = time.Second
	return cmd
}

// limited keeps the beginning of what is written to it.
type limited struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	const most = 1 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p[:min(len(p), most-min(l.b.Len(), most))])
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.b.Bytes()))
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // it has ended by itself otherwise

// end kills the process, nothing it could still say matters, and tells how long it
// computed.
func (p *process) end() time.Duration {
	p.kill()
	_ = p.in.Close()
	_ = p.cmd.Wait() // says how it ended: by our hand
	if p.cmd.ProcessState == nil {
		return 0
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// ask sends one frame and reads the answer. An error is errCostly, a fault, or that of
// ctx.
func (p *process) ask(ctx context.Context, kind byte, payload []byte) (byte, []byte, error) {
	stop := time.AfterFunc(p.timeout, p.kill)
	defer stop.Stop()
	// The answer may begin before the question has been taken.
	sent := make(chan error, 1)
	go func() { sent <- wire.Write(p.in, kind, payload) }()
	answer, data, err := wire.Read(p.out)
	if err != nil {
		p.kill()
	}
	if werr := <-sent; err == nil {
		err = werr
	}
	switch {
	case ctx.Err() != nil:
		return 0, nil, fmt.Errorf("pdf redactor: %w", ctx.Err())
	case err != nil:
		return 0, nil, errCostly
	case answer == wire.Fault:
		return 0, nil, fault(data)
	}
	return answer, data, nil
}

// open gives the process a document, in place of one it had.
func (p *process) open(ctx context.Context, document []byte) (wire.Facts, error) {
	kind, data, err := p.ask(ctx, wire.Open, document)
	if err != nil {
		return wire.Facts{}, err
	}
	if kind != wire.Document {
		return wire.Facts{}, errCostly
	}
	facts, err := wire.DecodeFacts(data)
	if err != nil {
		return wire.Facts{}, errCostly
	}
	return facts, nil
}

// page reads one page.
func (p *process) page(ctx context.Context, request wire.Request) (wire.Page, error) {
	kind, data, err := p.ask(ctx, wire.Fetch, request.Encode())
	if err != nil {
		return wire.Page{}, err
	}
	if kind != wire.Leaf {
		return wire.Page{}, errCostly
	}
	page, err := wire.DecodePage(data)
	if err != nil || page.Pixels.Rect.Empty() != (request.DPI == 0) {
		return wire.Page{}, errCostly
	}
	return page, nil
}
