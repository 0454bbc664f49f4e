package smpp

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of one account; the account is a constant label.
type metrics struct {
	reconnects, foreign, malformed, late, timeouts, nacks prometheus.Counter
	receipts, replies, refused, unparsed, clashes, lost   prometheus.Counter

	reg  prometheus.Registerer
	mine []prometheus.Collector
}

// newMetrics registers the metrics of an account. reg may be nil.
func newMetrics(reg prometheus.Registerer, c *client) (*metrics, error) {
	m := &metrics{}
	if reg != nil {
		m.reg = prometheus.WrapRegistererWith(prometheus.Labels{"provider": c.name}, reg)
	}
	counter := func(name, help string) prometheus.Counter {
		v := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.mine = append(m.mine, v)
		return v
	}
	gauge := func(name, help string, f func() float64) {
		m.mine = append(m.mine, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("herald_provider_up", "Whether the account can send: 1 or 0.", func() float64 {
		return float64(min(1, c.bindsUp.Load()))
	})
	gauge("herald_provider_window_size", "Slots of the account's window.", func() float64 {
		return float64(c.window.Size())
	})
	gauge("herald_provider_window_used", "Slots in use.", func() float64 { return float64(c.window.Used()) })
	gauge("herald_smpp_binds_up", "Bound connections that send.", func() float64 { return float64(c.bindsUp.Load()) })
	gauge("herald_smpp_inbound_waiting", "Receipts and replies that wait for the sink.", func() float64 {
		return float64(len(c.queue))
	})
	gauge("herald_smpp_inbound_max", "Room for them.", func() float64 { return float64(cap(c.queue)) })
	gauge("herald_smpp_inbound_kept", "Late acceptances and joined replies that the sink refused, tried again.",
		func() float64 { return float64(c.kept.Load()) })
	gauge("herald_smpp_inbound_kept_max", "Room for them.", func() float64 { return ownMost })
	gauge("herald_smpp_replies_joining", "Replies of which parts are missing.", func() float64 {
		return float64(c.joining.Load())
	})
	gauge("herald_smpp_replies_joining_max", "Room for them.", func() float64 { return joinMost })
	gauge("herald_smpp_delayed_messages", "Messages with parts that wait to go again; they keep their slots.",
		func() float64 { return float64(c.delayedNow()) })
	m.reconnects = counter("herald_smpp_reconnects_total", "Connections that were lost or refused.")
	m.foreign = counter("herald_smpp_foreign_responses_total", "Responses to nothing that was asked.")
	m.malformed = counter("herald_smpp_malformed_pdus_total", "PDUs whose body cannot be read.")
	m.late = counter("herald_smpp_late_responses_total", "Answers that came after their message was given up.")
	m.timeouts = counter("herald_smpp_response_timeouts_total", "Messages without an answer in time.")
	m.nacks = counter("herald_smpp_unknown_pdus_total", "PDUs of an unknown kind, answered with generic_nack.")
	m.receipts = counter("herald_smpp_receipts_total", "Receipts that the sink took.")
	m.replies = counter("herald_smpp_replies_total", "Messages of recipients that the sink took.")
	m.refused = counter("herald_smpp_refused_receipts_total", "deliver_sm refused for now: queue full or sink failed.")
	m.unparsed = counter("herald_smpp_unparsed_receipts_total", "Receipts without an id.")
	m.clashes = counter("herald_smpp_receipt_conflicts_total", "Receipts whose TLV and text disagree.")
	m.lost = counter("herald_smpp_lost_inbound_total", "Late acceptances and parts of replies that were given up.")
	if m.reg == nil {
		return m, nil
	}
	for i, v := range m.mine {
		if err := m.reg.Register(v); err != nil {
			m.mine = m.mine[:i]
			m.close()
			return nil, errors.Join(errors.New("metrics of the account"), err)
		}
	}
	return m, nil
}

// close takes the metrics out of the registry, so that an account of the same name can follow.
func (m *metrics) close() {
	if m.reg == nil {
		return
	}
	for _, v := range m.mine {
		m.reg.Unregister(v)
	}
}
