package scheduler

import "github.com/prometheus/client_golang/prometheus"

// metrics are the scheduler's figures.
type metrics struct {
	taken  *prometheus.CounterVec // by what became of the row
	late   prometheus.Histogram   // seconds behind the row's time
	rows   prometheus.Gauge
	lag    prometheus.Gauge
	faults prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_scheduler_rows_total", Help: "Due rows by what became of them: written as a job, unwanted " +
				"meanwhile, or lost because the job cannot be written again.",
		}, []string{"result"}),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_scheduler_delay_seconds", Help: "Time from when a row was due to its job.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
		rows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "herald_due_rows", Help: "Rows that wait for their time or are overdue.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "herald_scheduler_lag_seconds", Help: "How long ago the time of the oldest overdue row was.",
		}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "herald_scheduler_faults_total", Help: "Pages that failed and were repeated.",
		}),
	}
	reg.MustRegister(m.taken, m.late, m.rows, m.lag, m.faults)
	m.count(0, 0, 0)
	return m
}

func (m *metrics) count(sent, unwanted, lost int) {
	m.taken.WithLabelValues("sent").Add(float64(sent))
	m.taken.WithLabelValues("unwanted").Add(float64(unwanted))
	m.taken.WithLabelValues("lost").Add(float64(lost))
}
