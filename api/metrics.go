package api

import (
	"errors"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics of the gateway. Labels are route patterns and status codes, never values.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	sent     *prometheus.CounterVec
	inFlight prometheus.Gauge
}

func newMetrics(r *prometheus.Registry) (metrics, error) {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medvault_http_requests_total", Help: "Requests answered; status broken is a connection cut off.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "medvault_http_request_duration_seconds", Help: "Time from a request's headers to the end of its answer.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600},
		}, []string{"method", "route"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medvault_http_sent_bytes_total", Help: "Bytes of answers.",
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "medvault_http_requests_in_flight", Help: "Requests being answered now.",
		}),
	}
	return m, errors.Join(
		r.Register(m.requests), r.Register(m.duration), r.Register(m.sent), r.Register(m.inFlight),
		r.Register(collectors.NewGoCollector()),
		r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
}

func (m metrics) count(c *gin.Context, took time.Duration, broken bool) {
	status := "broken"
	if !broken {
		status = strconv.Itoa(c.Writer.Status())
	}
	m.requests.WithLabelValues(method(c), route(c), status).Inc()
	m.duration.WithLabelValues(method(c), route(c)).Observe(took.Seconds())
	m.sent.WithLabelValues(method(c), route(c)).Add(float64(max(0, c.Writer.Size())))
}
