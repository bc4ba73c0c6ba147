package main

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"medvault/vault"
)

// vaultMetrics tells Prometheus how the regions of a vault are. Its only labels are
// regions, and the quantile of a lag.
type vaultMetrics struct {
	ask func(context.Context) ([]vault.RegionStatus, error)
	log *slog.Logger

	objects, bytes, pending, regionUp, keysUp *prometheus.Desc
	pendingBytes, rpo, lag, failures          *prometheus.Desc
	logLeaves, logAge, logFailing             *prometheus.Desc

	mu     sync.Mutex // held while asking: another scrape shares the answer
	at     time.Time
	states []vault.RegionStatus
}

var _ prometheus.Collector = (*vaultMetrics)(nil)

func newVaultMetrics(v *vault.Vault, log *slog.Logger) *vaultMetrics {
	of := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("medvault_"+name, help, []string{"region"}, nil)
	}
	return &vaultMetrics{ask: v.State, log: log,
		objects:  of("region_objects", "Objects that lie in the region."),
		bytes:    of("region_bytes", "Bytes of the objects that lie in the region."),
		pending:  of("region_pending_copies", "Copies that the region was promised and does not hold yet."),
		regionUp: of("region_up", "1 when the region answers."),
		keysUp:   of("key_service_up", "1 when the region's key service wraps and unwraps."),

		pendingBytes: of("region_pending_bytes", "Bytes of the copies that the region was promised and does not hold yet."),
		rpo:          of("region_rpo_seconds", "Age of the oldest document that the region was promised and does not hold yet; 0 when it holds all."),
		lag: prometheus.NewDesc("medvault_region_lag_seconds", "How long it took from the promise of a copy to its placement, of the last 10,000 within 24 hours; NaN: there was none.",
			[]string{"region", "quantile"}, nil),
		failures: of("region_failures", "Attempts to copy or remove that failed in the last hour."),

		logLeaves:  of("region_log_leaves", "Leaves of the audit log that the region's newest checkpoint covers."),
		logAge:     of("region_log_age_seconds", "Time since the region last had the whole audit log; +Inf when it never had."),
		logFailing: of("region_log_failing", "1 when the last export of the audit log to the region failed."),
	}
}

// Describe implements prometheus.Collector.
func (m *vaultMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.objects, m.bytes, m.pending, m.regionUp, m.keysUp, m.pendingBytes, m.rpo, m.lag, m.failures, m.logLeaves, m.logAge, m.logFailing} {
		to <- d
	}
}

// stateFresh is how long an answer serves: scrapes must not load regions and keys.
const stateFresh = 5 * time.Second

// Collect implements prometheus.Collector.
func (m *vaultMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() || time.Since(m.at) > stateFresh {
		ctx, cancel := context.WithTimeout(context.Background(), 2*stateFresh)
		defer cancel()
		var err error
		if m.states, err = m.ask(ctx); err != nil {
			m.log.Error("measure the vault", "err", err)
			m.states = nil // nothing is told rather than something old
		}
		m.at = time.Now()
	}
	for _, s := range m.states {
		tell := func(what *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, value, s.Name)
		}
		tell(m.objects, float64(s.Objects))
		tell(m.bytes, float64(s.Bytes))
		tell(m.pending, float64(s.Pending))
		tell(m.pendingBytes, float64(s.PendingBytes))
		tell(m.rpo, s.RPO)
		tell(m.failures, float64(s.Failures))
		for quantile, lag := range map[string]float64{"0.5": s.Lag.P50, "0.95": s.Lag.P95, "0.99": s.Lag.P99} {
			if s.Lag.Count == 0 {
				lag = math.NaN()
			}
			to <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, lag, s.Name, quantile)
		}
		tell(m.regionUp, truth(s.Reachable))
		tell(m.keysUp, truth(s.KeyService))
		tell(m.logLeaves, float64(s.Log.Size))
		age := math.Inf(1)
		if !s.Log.At.IsZero() {
			age = time.Since(s.Log.At).Seconds()
		}
		tell(m.logAge, age)
		tell(m.logFailing, truth(s.Log.Problem != ""))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
