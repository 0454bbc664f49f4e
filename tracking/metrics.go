package tracking

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
)

// metrics are the figures of receipts.
type metrics struct {
	receipts *prometheus.CounterVec // by provider and state
	results  *prometheus.CounterVec // by what became of them
	orphans  prometheus.Gauge
	parked   *prometheus.GaugeVec // rows, by what they are
}

func newMetrics(reg prometheus.Registerer, memory *memory) *metrics {
	m := &metrics{
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_receipts_total", Help: "Receipts as providers told them.",
		}, []string{"provider", "state"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_receipts_handled_total", Help: "Receipts by what became of them: resolved, parked until their " +
				"message is known, dropped after three days of that, or unusable because they name nothing.",
		}, []string{"result"}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "herald_receipts_orphans", Help: "Receipts parked for more than four minutes: their message is not known.",
		}),
	}
	m.parked = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "herald_parked_rows", Help: "Receipts and events that wait for their message, as of the last minute.",
	}, []string{"what"})
	gauge := func(name, help string, read func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(read()) })
	}
	reg.MustRegister(m.receipts, m.results, m.orphans, m.parked,
		gauge("herald_references", "Ids of recent acceptances in memory.", memory.len),
		gauge("herald_references_max", "How many there may be.", func() int { return maxEntries }))
	m.park(Parked{})
	for _, result := range []string{"resolved", "parked", "dropped", "unusable"} {
		m.results.WithLabelValues(result)
	}
	return m
}

func (m *metrics) park(p Parked) {
	m.parked.WithLabelValues("receipt").Set(float64(p.Receipts))
	m.parked.WithLabelValues("event").Set(float64(p.Events))
	m.orphans.Set(float64(p.Orphans))
}

func (m *metrics) receipt(provider string, s delivery.ReceiptState) {
	name := map[delivery.ReceiptState]string{
		delivery.ReceiptSent: "sent", delivery.ReceiptDelivered: "delivered", delivery.ReceiptUndelivered: "undelivered",
		delivery.ReceiptRejected: "rejected", delivery.ReceiptExpired: "expired", delivery.ReceiptRead: "read",
		delivery.ReceiptAccepted: "accepted",
	}[s]
	m.receipts.WithLabelValues(provider, name).Inc()
}
