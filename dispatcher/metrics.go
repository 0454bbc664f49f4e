package dispatcher

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
)

// metrics are the dispatcher's figures. Labels come from closed sets and from the configured accounts.
type metrics struct {
	jobs        *prometheus.CounterVec   // by lane and what became of the record
	batch       *prometheus.HistogramVec // jobs in a batch, by lane
	stage       *prometheus.HistogramVec // seconds, by stage
	jobAge      *prometheus.HistogramVec // seconds from record to Submit, by lane
	answers     *prometheus.CounterVec   // by provider and outcome
	answerTime  *prometheus.HistogramVec // seconds, by provider
	messages    *prometheus.CounterVec   // by channel and kind
	reasons     *prometheus.CounterVec   // by kind and reason
	doubts      *prometheus.CounterVec   // by what was decided
	storeErrors prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	seconds := prometheus.ExponentialBuckets(0.0005, 2.5, 12)
	m := &metrics{
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_jobs_consumed_total", Help: "Records of the jobs topics, by lane and what they were.",
		}, []string{"lane", "result"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_batch_jobs", Help: "Jobs in one run through the stages.",
			Buckets: []float64{1, 5, 20, 50, 100, 250, 500, 1000},
		}, []string{"lane"}),
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_stage_duration_seconds", Help: "Time of one batch in one stage.", Buckets: seconds,
		}, []string{"stage"}),
		jobAge: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_job_age_seconds", Help: "Time from the job's record to its Submit.",
			Buckets: []float64{
				.002, .005, .007, .01, .015, .02, .03, .04, .06, .08, .12, .16, .25, .35, .5, .7, 1, 2, 4, 8, 15, 30, 60, 600, 3600,
			},
		}, []string{"lane"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_provider_answers_total", Help: "Answers of providers to Submit, by outcome.",
		}, []string{"provider", "outcome"}),
		answerTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_provider_request_duration_seconds", Help: "Time from Submit to the answer.", Buckets: seconds,
		}, []string{"provider"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_messages_total", Help: "What became of messages, as far as the dispatcher knows.",
		}, []string{"channel", "kind"}),
		reasons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_reasons_total", Help: "Why messages were suppressed, held, refused or failed.",
		}, []string{"kind", "reason"}),
		doubts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_doubts_total", Help: "Messages in doubt after a crash, by what was decided.",
		}, []string{"kind"}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "herald_store_errors_total", Help: "Calls of the store that failed and were repeated.",
		}),
	}
	reg.MustRegister(m.jobs, m.batch, m.stage, m.jobAge, m.answers, m.answerTime, m.messages, m.reasons, m.doubts,
		m.storeErrors)
	m.create()
	return m
}

// create makes the series whose labels are known from the start, so that a rate over them never misses the first event.
func (m *metrics) create() {
	for _, lane := range delivery.Lanes() {
		for _, result := range []string{"read", "dead", "met", "repeat"} {
			m.jobs.WithLabelValues(lane.String(), result)
		}
	}
	for _, ch := range delivery.Channels() {
		for _, k := range dispatched() {
			m.messages.WithLabelValues(ch.String(), k.String())
		}
	}
	for _, k := range []delivery.Kind{delivery.KindUnknown, delivery.KindRedriven} {
		m.doubts.WithLabelValues(k.String())
	}
}

// dispatched are the kinds of events that the dispatcher writes.
func dispatched() []delivery.Kind {
	return []delivery.Kind{
		delivery.KindHeld, delivery.KindSuppressed, delivery.KindUnknown, delivery.KindAccepted, delivery.KindExpired,
		delivery.KindFailed, delivery.KindRejected, delivery.KindRedriven,
	}
}

func (m *metrics) count(e *delivery.Event) {
	m.messages.WithLabelValues(e.Channel.String(), e.Kind.String()).Inc()
	if e.Reason != delivery.ReasonNone {
		m.reasons.WithLabelValues(e.Kind.String(), e.Reason.String()).Inc()
	}
}
