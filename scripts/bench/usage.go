package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"
)

// usage measures what this process takes until its end.
type usage struct {
	began time.Time
	cpu   time.Duration
	stop  context.CancelFunc
	done  sync.WaitGroup
	heap  uint64 // the most
}

func beginUsage() *usage {
	runtime.GC() // what was done before does not count
	forgetPeak(os.Getpid())
	ctx, stop := context.WithCancel(context.Background())
	u := &usage{stop: stop, cpu: ownCPU()}
	u.done.Go(func() { u.watch(ctx) })
	u.began = time.Now()
	return u
}

// watch looks how much was alive when memory was last collected.
func (u *usage) watch(ctx context.Context) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(sample)
		u.heap = max(u.heap, sample[0].Value.Uint64())
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (u *usage) end() answer {
	a := answer{Seconds: time.Since(u.began).Seconds(), CPU: (ownCPU() - u.cpu).Seconds(), PeakMiB: peakMiB(os.Getpid())}
	u.stop()
	u.done.Wait()
	a.HeapMiB = float64(u.heap) / (1 << 20)
	return a
}

// forgetPeak makes peakMiB begin anew.
func forgetPeak(pid int) {
	os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// peakMiB is the most memory that a process has had since forgetPeak.
func peakMiB(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.Atoi(strings.Fields(value)[0])
			return float64(kilobytes) / 1024
		}
	}
	return 0
}
