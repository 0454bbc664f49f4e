package app

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
)

// watchConsumer shows a lane's consumer as metrics.
func (a *App) watchConsumer(l delivery.Lane, c *kafka.Consumer) {
	a.watch(prometheus.Labels{"lane": l.String()}, []gauge{
		{name: "herald_consumer_in_flight", help: "Records that are handed out and have no fate yet."},
		{name: "herald_consumer_in_flight_max", help: "How many there may be."},
		{name: "herald_consumer_waiting", help: "Records that are read and wait for room in flight."},
		{name: "herald_oldest_unfinished_seconds", help: "Age of the oldest record without a fate."},
		{name: "herald_consumer_paused", help: "1 while nothing new is read."},
		{name: "herald_consumer_pending_max", help: "Bound of herald_consumer_pending."},
		{name: "herald_consumer_pending", help: "Records from the committed offset on.", label: "partition"},
		{name: "herald_consumer_lag", help: "Records that are not read yet.", label: "partition"},
	}, func(set setGauge) {
		s := c.Stats()
		set("herald_consumer_in_flight", float64(s.InFlight))
		set("herald_consumer_in_flight_max", float64(s.MaxInFlight))
		set("herald_consumer_waiting", float64(s.Waiting))
		set("herald_oldest_unfinished_seconds", s.OldestAge.Seconds())
		set("herald_consumer_paused", one(s.Paused))
		set("herald_consumer_pending_max", float64(s.MaxPerPart))
		for _, p := range s.Assigned {
			set("herald_consumer_pending", float64(p.Pending), strconv.Itoa(p.Partition))
			set("herald_consumer_lag", float64(p.Lag), strconv.Itoa(p.Partition))
		}
	})
}

// watchFollower shows the recorder's reading.
func (a *App) watchFollower(f *kafka.Follower) {
	a.watch(nil, []gauge{
		{name: "herald_recorder_lag", help: "Events that are not recorded yet.", label: "partition"},
		{name: "herald_recorder_pending", help: "Events that are read and not recorded yet.", label: "partition"},
	}, func(set setGauge) {
		for _, p := range f.Stats().Assigned {
			set("herald_recorder_lag", float64(p.Lag), strconv.Itoa(p.Partition))
			set("herald_recorder_pending", float64(p.Pending), strconv.Itoa(p.Partition))
		}
	})
}

// watchProducers shows what waits for the broker.
func (a *App) watchProducers() {
	a.watch(nil, []gauge{
		{name: "herald_producer_waiting", help: "Records that wait for their acknowledgement.", label: "producer"},
	}, func(set setGauge) {
		set("herald_producer_waiting", float64(a.producer.events.Stats().Waiting), "events")
		for l, p := range a.producer.jobs {
			set("herald_producer_waiting", float64(p.Stats().Waiting), l.String())
		}
	})
}

// watchPools shows how busy the connections to the database are.
func (a *App) watchPools() {
	for name, stat := range a.db.Stats() {
		a.watch(prometheus.Labels{"pool": name}, []gauge{
			{name: "herald_postgres_connections_used", help: "Connections to the database that are in use."},
			{name: "herald_postgres_connections_max", help: "How many there may be."},
			{name: "herald_postgres_waits_total", help: "Times that all connections were in use.", counter: true},
			{name: "herald_postgres_wait_seconds_total", help: "Time that was waited for one.", counter: true},
		}, func(set setGauge) {
			s := stat()
			set("herald_postgres_connections_used", float64(s.Used))
			set("herald_postgres_connections_max", float64(s.Max))
			set("herald_postgres_waits_total", float64(s.Waits))
			set("herald_postgres_wait_seconds_total", s.Waited.Seconds())
		})
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// gauge describes a metric that is read when it is asked for.
type gauge struct {
	name, help string
	label      string // of which there is one series for each value; empty: a single series
	counter    bool   // it only grows
}

// setGauge tells the value of a metric, and of its label when it has one.
type setGauge func(name string, v float64, label ...string)

// watch registers metrics that a part keeps as figures of its own, all with the same fixed labels.
func (a *App) watch(fixed prometheus.Labels, list []gauge, read func(setGauge)) {
	c := collector{descs: map[string]*prometheus.Desc{}, kinds: map[string]prometheus.ValueType{}, read: read}
	for _, g := range list {
		var labels []string
		if g.label != "" {
			labels = []string{g.label}
		}
		c.descs[g.name] = prometheus.NewDesc(g.name, g.help, labels, fixed)
		c.kinds[g.name] = prometheus.GaugeValue
		if g.counter {
			c.kinds[g.name] = prometheus.CounterValue
		}
	}
	a.reg.MustRegister(c)
}

// collector makes metrics out of figures.
type collector struct {
	descs map[string]*prometheus.Desc
	kinds map[string]prometheus.ValueType
	read  func(setGauge)
}

var _ prometheus.Collector = collector{}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	c.read(func(name string, v float64, label ...string) {
		out <- prometheus.MustNewConstMetric(c.descs[name], c.kinds[name], v, label...)
	})
}
