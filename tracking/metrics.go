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
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		receipts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_receipts_total", Help: "Receipts as providers told them.",
		}, []string{"provider", "state"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_receipts_handled_total", Help: "Receipts by what became of them: resolved, parked until their " +
				"message is known, dropped after three days of that, or unusable because they name nothing.",
		}, []string{"result"}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "herald_receipts_orphans", Help: "Receipts parked for more than a minute: their message is not known.",
		}),
	}
	reg.MustRegister(m.receipts, m.results, m.orphans)
	for _, result := range []string{"resolved", "parked", "dropped", "unusable"} {
		m.results.WithLabelValues(result)
	}
	return m
}

func (m *metrics) receipt(provider string, s delivery.ReceiptState) {
	name := map[delivery.ReceiptState]string{
		delivery.ReceiptSent: "sent", delivery.ReceiptDelivered: "delivered", delivery.ReceiptUndelivered: "undelivered",
		delivery.ReceiptRejected: "rejected", delivery.ReceiptExpired: "expired", delivery.ReceiptRead: "read",
		delivery.ReceiptAccepted: "accepted",
	}[s]
	m.receipts.WithLabelValues(provider, name).Inc()
}
