package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"medvault/vault"
)

// VerifyConfig is one line of what a vault verifies without being asked. Of several
// gateways one does it.
type VerifyConfig struct {
	Level  string        `yaml:"level"`
	Region string        `yaml:"region"` // default all
	Sample string        `yaml:"sample"` // n/t: the next group every time; N: so many at random; default all
	Every  time.Duration `yaml:"every"`
	Limit  string        `yaml:"limit"` // bytes a second, as 50MiB; default none
}

func (c VerifyConfig) line() (vault.VerifyEvery, error) {
	limit, err := parseBytes(c.Limit)
	if err != nil {
		return vault.VerifyEvery{}, err
	}
	e := vault.VerifyEvery{Level: c.Level, Region: c.Region, Sample: c.Sample, Every: c.Every, Limit: limit}
	return e, e.Check()
}

// schedule is what the lines of a checked configuration say.
func schedule(lines []VerifyConfig) (every []vault.VerifyEvery, err error) {
	for _, c := range lines {
		e, err := c.line()
		if err != nil {
			return nil, err
		}
		every = append(every, e)
	}
	return every, nil
}

// verifyMetrics tells Prometheus when each region was last verified at each level.
type verifyMetrics struct {
	ask          func(context.Context) ([]vault.RegionVerified, error)
	log          *slog.Logger
	at, findings *prometheus.Desc
}

var _ prometheus.Collector = (*verifyMetrics)(nil)

func newVerifyMetrics(v *vault.Vault, log *slog.Logger) *verifyMetrics {
	of := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("medvault_verified_"+name, help, []string{"region", "level"}, nil)
	}
	return &verifyMetrics{ask: v.LastVerified, log: log,
		at:       of("timestamp_seconds", "When the region was last verified to its end at the level."),
		findings: of("findings", "Findings of that verification."),
	}
}

// Describe implements prometheus.Collector.
func (m *verifyMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.at
	to <- m.findings
}

// Collect implements prometheus.Collector.
func (m *verifyMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*stateFresh)
	defer cancel()
	last, err := m.ask(ctx)
	if err != nil {
		m.log.Error("measure the vault", "err", err)
		return
	}
	for _, v := range last {
		to <- prometheus.MustNewConstMetric(m.at, prometheus.GaugeValue, float64(v.At.Unix()), v.Region, v.Level)
		to <- prometheus.MustNewConstMetric(m.findings, prometheus.GaugeValue, float64(v.Findings), v.Region, v.Level)
	}
}
