package app

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
)

// watchConsumer shows a lane's consumer as metrics, read when they are asked for.
func (a *App) watchConsumer(l delivery.Lane, c *kafka.Consumer) {
	a.reg.MustRegister(collector{
		descs: consumerDescs(l),
		read: func(d []*prometheus.Desc, out chan<- prometheus.Metric) {
			s := c.Stats()
			paused := 0.0
			if s.Paused {
				paused = 1
			}
			out <- prometheus.MustNewConstMetric(d[0], prometheus.GaugeValue, float64(s.InFlight))
			out <- prometheus.MustNewConstMetric(d[1], prometheus.GaugeValue, s.OldestAge.Seconds())
			out <- prometheus.MustNewConstMetric(d[2], prometheus.GaugeValue, paused)
			for _, p := range s.Assigned {
				out <- prometheus.MustNewConstMetric(d[3], prometheus.GaugeValue, float64(p.Lag), strconv.Itoa(p.Partition))
			}
		},
	})
}

func consumerDescs(l delivery.Lane) []*prometheus.Desc {
	labels := prometheus.Labels{"lane": l.String()}
	return []*prometheus.Desc{
		prometheus.NewDesc("herald_consumer_in_flight", "Records that are read and have no fate yet.", nil, labels),
		prometheus.NewDesc("herald_oldest_unfinished_seconds", "Age of the oldest of them.", nil, labels),
		prometheus.NewDesc("herald_consumer_paused", "1 while nothing new is read.", nil, labels),
		prometheus.NewDesc("herald_consumer_lag", "Records that are not read yet.", []string{"partition"}, labels),
	}
}

// watchFollower shows the recorder's reading.
func (a *App) watchFollower(f *kafka.Follower) {
	a.reg.MustRegister(collector{
		descs: []*prometheus.Desc{
			prometheus.NewDesc("herald_recorder_lag", "Events that are not recorded yet.", []string{"partition"}, nil),
		},
		read: func(d []*prometheus.Desc, out chan<- prometheus.Metric) {
			for _, p := range f.Stats().Assigned {
				out <- prometheus.MustNewConstMetric(d[0], prometheus.GaugeValue, float64(p.Lag), strconv.Itoa(p.Partition))
			}
		},
	})
}

// collector makes metrics out of figures that a part keeps itself.
type collector struct {
	descs []*prometheus.Desc
	read  func([]*prometheus.Desc, chan<- prometheus.Metric)
}

var _ prometheus.Collector = collector{}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) { c.read(c.descs, out) }
