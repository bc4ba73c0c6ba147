package main

import (
	"context"
	"errors"
	"log/slog"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"medvault/vault"
)

// registerBreakglassMetrics tells how many emergencies wait for the data protection officer:
// what an alarm is set on. NaN: it could not be told.
func registerBreakglassMetrics(r *prometheus.Registry, v *vault.Vault, log *slog.Logger) error {
	gauge := func(name, help string, of func(waiting, overdue int) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "medvault_" + name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), stateFresh)
			defer cancel()
			waiting, overdue, err := v.BreakglassDue(ctx)
			if err != nil {
				log.Error("count emergencies", "err", err)
				return math.NaN()
			}
			return float64(of(waiting, overdue))
		})
	}
	return errors.Join(
		r.Register(gauge("breakglass_waiting", "Emergencies in which somebody was let in and which nobody has looked at yet.", func(waiting, _ int) int { return waiting })),
		r.Register(gauge("breakglass_overdue", "Of those the ones whose review is overdue.", func(_, overdue int) int { return overdue })),
	)
}
