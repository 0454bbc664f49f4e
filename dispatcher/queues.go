package dispatcher

import (
	"github.com/prometheus/client_golang/prometheus"
)

// watchQueues shows how full the queues are. They are looked at when the metrics are asked for, and only then.
func (d *Dispatcher) watchQueues(reg prometheus.Registerer) {
	gauge := func(name, help string, labels prometheus.Labels, read func() int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(read()) }))
	}
	gauge("herald_jobs_in_work", "Jobs that are claimed and have no fate yet.", nil, d.flight.len)
	for _, l := range d.lanes {
		lane := prometheus.Labels{"lane": l.id.String()}
		gauge("herald_inbox_batches", "Fetched batches that wait for a worker.", lane, func() int { return len(l.inbox) })
		gauge("herald_inbox_batches_max", "Room for them.", lane, func() int { return cap(l.inbox) })
		gauge("herald_stage_batches", "Batches in the stages.", lane, func() int { return int(l.collecting.Load()) })
		gauge("herald_stage_batches_max", "Workers for them.", lane, func() int { return l.cfg.Workers })
		gauge("herald_met_jobs", "Jobs whose claim somebody else holds.", lane, l.met.len)
		gauge("herald_reports_waiting", "Outcomes that are not on their way to the log yet.", lane, l.reports.len)
		for _, a := range d.accounts {
			gauge("herald_provider_queue_messages", "Messages that wait for room in the window.",
				prometheus.Labels{"provider": a.Name(), "lane": l.id.String()}, a.queues[l.id].len)
		}
	}
	for _, a := range d.accounts {
		provider := prometheus.Labels{"provider": a.Name()}
		gauge("herald_provider_unacknowledged", "Slots of messages that were handed over and whose event is not on the log.",
			provider, func() int { return int(a.unacked.Load()) })
		gauge("herald_provider_unacknowledged_max", "How many there may be: two windows.", provider, a.unackedMax)
	}
}
