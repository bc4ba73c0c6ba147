package main

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"medvault/storage"
	"medvault/vault"
	"medvault/vault/catalog"
)

// vaultMetrics tells Prometheus how the regions of a vault are. Its only labels are
// regions, the quantile of a lag, and the words for a region's state, role and lock mode.
type vaultMetrics struct {
	ask func(context.Context) ([]vault.RegionStatus, error)
	log *slog.Logger

	objects, bytes, pending, regionUp, keysUp *prometheus.Desc
	pendingBytes, rpo, lag, failures          *prometheus.Desc
	logLeaves, logAge, logFailing             *prometheus.Desc

	state, role, lockMode            *prometheus.Desc // 1 for the word that holds, 0 for the others
	certified, certifiedUntil        *prometheus.Desc
	lockPending, lockDead, lockUntil *prometheus.Desc

	mu     sync.Mutex // held while asking: another scrape shares the answer
	at     time.Time
	states []vault.RegionStatus
}

var _ prometheus.Collector = (*vaultMetrics)(nil)

func newVaultMetrics(v *vault.Vault, log *slog.Logger) *vaultMetrics {
	of := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("medvault_"+name, help, []string{"region"}, nil)
	}
	word := func(name, label, help string) *prometheus.Desc {
		return prometheus.NewDesc("medvault_"+name, help, []string{"region", label}, nil)
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

		state:          word("region_state", "state", "1 for the state in which the region is: active, frozen, draining or drained."),
		role:           word("region_role", "role", "1 for the role of the region: primary, replica or archive."),
		lockMode:       word("region_lock_mode", "mode", "1 for the mode in which the region's objects are locked: none, governance or compliance."),
		certified:      of("region_certified", "1 when the region's certification is on record and has not expired; 0: nothing new is placed there, or nobody has said that it is certified."),
		certifiedUntil: of("region_certification_expiry_timestamp_seconds", "When the region's certification expires, in unix time; left out where none is on record."),
		lockPending:    of("region_lock_pending", "Objects that lie in the region and are still to be locked."),
		lockDead:       of("region_locked_dead_objects", "Superseded objects that a lock keeps in the region."),
		lockUntil:      of("region_locked_dead_until_timestamp_seconds", "When the last lock that keeps a superseded object ends, in unix time; left out where there is none with a date."),
	}
}

// Describe implements prometheus.Collector.
func (m *vaultMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.objects, m.bytes, m.pending, m.regionUp, m.keysUp, m.pendingBytes, m.rpo, m.lag, m.failures, m.logLeaves, m.logAge, m.logFailing,
		m.state, m.role, m.lockMode, m.certified, m.certifiedUntil, m.lockPending, m.lockDead, m.lockUntil} {
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
		m.collectTerms(s, to)
	}
}

// collectTerms tells what a region is used for, and on what terms.
func (m *vaultMetrics) collectTerms(s vault.RegionStatus, to chan<- prometheus.Metric) {
	tell := func(what *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, value, append([]string{s.Name}, labels...)...)
	}
	words := func(what *prometheus.Desc, holds string, all ...string) {
		for _, word := range all {
			tell(what, truth(word == holds), word)
		}
	}
	words(m.state, s.State, catalog.RegionActive, catalog.RegionFrozen, catalog.RegionDraining, catalog.RegionDrained)
	words(m.role, string(s.Role), string(vault.RolePrimary), string(vault.RoleReplica), string(vault.RoleArchive))
	words(m.lockMode, s.Lock.Mode, lockNone, string(storage.Governance), string(storage.Compliance))
	tell(m.certified, truth(s.Certification != nil && !s.Certification.Expired))
	if s.Certification != nil {
		tell(m.certifiedUntil, float64(s.Certification.Expires.Unix()))
	}
	tell(m.lockPending, float64(s.Lock.Pending))
	tell(m.lockDead, float64(s.Lock.Dead))
	if s.Lock.DeadUntil != nil {
		tell(m.lockUntil, float64(s.Lock.DeadUntil.Unix()))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
