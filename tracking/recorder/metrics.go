package recorder

import "github.com/prometheus/client_golang/prometheus"

// metrics are the recorder's figures.
type metrics struct {
	events  *prometheus.CounterVec // by what became of the event
	batch   prometheus.Histogram   // events in a batch
	seconds prometheus.Histogram   // time of a batch
	due     prometheus.Counter     // next links
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_recorder_events_total",
			Help: "Events by what became of them: recorded, parked until their message is known, without a message, " +
				"too late for the days that are kept, or dead letters.",
		}, []string{"result"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_recorder_batch_events", Help: "Events recorded in one transaction.",
			Buckets: []float64{1, 5, 20, 50, 100, 250, 500, 1000},
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_recorder_batch_duration_seconds", Help: "Time to record one batch.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 10),
		}),
		due: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "herald_recorder_next_links_total", Help: "Rows written that bring the next link of a cascade.",
		}),
	}
	reg.MustRegister(m.events, m.batch, m.seconds, m.due)
	for _, result := range []string{"recorded", "parked", "beside", "too_late", "dead"} {
		m.events.WithLabelValues(result)
	}
	return m
}

func (m *metrics) count(c *Changes, facts []*fact) {
	m.events.WithLabelValues("parked").Add(float64(len(c.Park)))
	m.events.WithLabelValues("recorded").Add(float64(len(facts) - len(c.Park)))
	m.due.Add(float64(len(c.Due)))
}
