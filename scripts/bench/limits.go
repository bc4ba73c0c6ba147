package main

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// measureLimits tells what one core, and the loopback, can do without a vault.
func measureLimits() ([]row, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	const size = 64 << 10 // a chunk of the sealed format
	in, out := make([]byte, size), make([]byte, 0, size+gcm.Overhead())
	large, other := make([]byte, 64<<20), make([]byte, 64<<20)
	rows := []row{
		rate("limit: AES-256-GCM, one core", size, func() { out = gcm.Seal(out[:0], nil, in, nil) }),
		rate("limit: SHA-256, one core", size, func() { sha256.Sum256(in) }),
		rate("limit: memory copy, one core", len(large), func() { copy(other, large) }),
	}
	loopback, err := measureLoopback(in)
	return append(rows, loopback), err
}

// rate repeats f, which handles size bytes, for half a second.
func rate(name string, size int, f func()) row {
	began, n := time.Now(), int64(0)
	for time.Since(began) < 500*time.Millisecond {
		for range max(1, (4<<20)/size) {
			f()
			n += int64(size)
		}
	}
	return finished(row{Name: name, Bytes: n}, began)
}

func measureLoopback(buf []byte) (row, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return row{}, fmt.Errorf("loopback: %w", err)
	}
	defer listener.Close()
	received := make(chan error, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			received <- err
			return
		}
		defer c.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, len(buf)))
		received <- err
	}()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return row{}, fmt.Errorf("loopback: %w", err)
	}
	began, n := time.Now(), int64(0)
	for time.Since(began) < 500*time.Millisecond {
		written, err := c.Write(buf)
		if err != nil {
			return row{}, fmt.Errorf("loopback: %w", err)
		}
		n += int64(written)
	}
	c.Close()
	if err := <-received; err != nil {
		return row{}, fmt.Errorf("loopback: %w", err)
	}
	return finished(row{Name: "limit: loopback TCP copy", Bytes: n}, began), nil
}

// finished fills in time and rates of a row that began then.
func finished(r row, began time.Time) row {
	r.Seconds = time.Since(began).Seconds()
	r.MBPerSecond = float64(r.Bytes) / 1e6 / r.Seconds
	if r.Count > 0 {
		r.PerSecond = float64(r.Count) / r.Seconds
	}
	return r
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
