package bench

import (
	"context"
	"fmt"
	"time"
)

// finishWithin is how long a run may take for each hundred thousand jobs, and at least.
const finishWithin = 3 * time.Minute

// SMS sends jobs that wait in Kafka and counts until the last receipt is in the database.
func SMS(ctx context.Context, opts Options) (*Result, error) {
	r, err := newRig(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	res := r.result("sms")
	if err := r.fillMeasured(ctx, res); err != nil {
		return nil, err
	}
	if err := r.measureRun(ctx, res); err != nil {
		return nil, err
	}
	if err := r.limits(ctx, res); err != nil {
		return nil, err
	}
	return res, nil
}

const launch = "bench"

func (r *rig) result(scenario string) *Result {
	kind := "embedded, each batch synced"
	if r.broker == nil {
		kind = "external, acks=all"
	}
	return &Result{
		Scenario: scenario, At: time.Now(), Version: r.opts.Version, Machine: thisMachine(),
		Settings: map[string]string{
			"broker":     kind,
			"PostgreSQL": "fsync on, synchronous_commit on for claims and marks, off for the recorder",
			"SMSC":       fmt.Sprintf("answers after %s, receipts after %s more", r.opts.Latency, r.opts.ReceiptDelay),
			"jobs":       fmt.Sprintf("%d, keys %t, %d partitions, 2 connections with a window of %d", r.opts.Jobs, r.opts.Keys, partitions, r.opts.Window),
		},
	}
}

// fillMeasured fills the bulk topic, which is also the limit of a producer alone.
func (r *rig) fillMeasured(ctx context.Context, res *Result) error {
	r.opts.say("writing %d jobs", r.opts.Jobs)
	self, broker, began := ownCPU(), r.brokerCPU(), time.Now()
	if err := r.fill(ctx, launch, r.opts.Jobs); err != nil {
		return err
	}
	took := time.Since(began)
	res.add("alone: producer of jobs", "rate", float64(r.opts.Jobs)/took.Seconds(), "jobs/s")
	res.add("alone: producer of jobs", "client", r.each(ownCPU()-self), "us")
	res.add("alone: producer of jobs", "broker", r.each(r.brokerCPU()-broker), "us")
	return nil
}

// sample is the processes' CPU time and the log's position at one moment.
type sample struct {
	at                        time.Time
	gateway, pg, broker, smsc time.Duration
	wal                       int64
	allocated, objects        float64
}

func (r *rig) sample(ctx context.Context, g *gateway) (s sample, err error) {
	s = sample{at: time.Now(), gateway: cpu(g.pid), pg: cpu(r.db.Pid()), broker: r.brokerCPU(), smsc: cpu(r.smsc.pid)}
	err = r.sql.General.QueryRow(ctx, `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint`).Scan(&s.wal)
	if err != nil || g.info.Private == "" {
		return s, err
	}
	m, err := g.metrics(ctx)
	if err != nil {
		return s, err
	}
	s.allocated, s.objects = m.value("go_memstats_alloc_bytes_total"), m.value("go_memstats_mallocs_total")
	return s, nil
}

func (r *rig) brokerCPU() time.Duration {
	if r.broker == nil {
		return 0
	}
	return cpu(r.broker.pid)
}

// each is a time per job in microseconds.
func (r *rig) each(d time.Duration) float64 { return float64(d.Microseconds()) / float64(r.opts.Jobs) }

func (r *rig) measureRun(ctx context.Context, res *Result) error {
	began := time.Now()
	g, err := r.startGateway("gateway")
	if err != nil {
		return err
	}
	first, err := r.sample(ctx, g)
	if err != nil {
		return err
	}
	if err := r.ready(ctx, g); err != nil {
		return err
	}
	res.add("start", "until ready", time.Since(began).Seconds(), "s")
	p, err := r.follow(ctx, g, launch)
	if err != nil {
		return err
	}
	last, err := r.sample(ctx, g)
	if err != nil {
		return err
	}
	m, err := g.metrics(ctx)
	if err != nil {
		return err
	}
	n := float64(r.opts.Jobs)
	res.add("whole", "rate until the last receipt", n/p.ended.Sub(p.first).Seconds(), "msg/s")
	res.add("whole", "rate of submits", n/p.submitted.Sub(p.first).Seconds(), "msg/s")
	for _, c := range []struct {
		name string
		cpu  time.Duration
	}{
		{"gateway", last.gateway - first.gateway},
		{"PostgreSQL", last.pg - first.pg},
		{"broker", last.broker - first.broker},
		{"together", last.gateway - first.gateway + last.pg - first.pg + last.broker - first.broker},
		{"simulator (apart)", last.smsc - first.smsc},
	} {
		res.add("CPU a message", c.name, r.each(c.cpu), "us")
	}
	for _, q := range []float64{.5, .95, .99} {
		res.add("age of the job at submit", fmt.Sprintf("p%g", q*100), m.quantile(nil, "herald_job_age_seconds", "bulk", q), "s")
	}
	res.add("gateway", "allocations a message", last.objects/n, "")
	res.add("gateway", "allocated a message", last.allocated/n, "B")
	res.add("gateway", "peak memory", float64(peakMemory(g.pid))/(1<<20), "MiB")
	res.add("gateway", "mean batch", mean(m, "herald_batch_jobs"), "jobs")
	res.add("gateway", "mean batch of the recorder", mean(m, "herald_recorder_batch_events"), "events")
	res.add("PostgreSQL", "WAL a message", float64(last.wal-first.wal)/n, "B")
	res.add("stop", "after SIGTERM", g.stop().Seconds(), "s")
	return nil
}

func mean(m metrics, name string) float64 {
	var sum, n float64
	for _, s := range m[name].GetMetric() {
		sum += s.GetHistogram().GetSampleSum()
		n += float64(s.GetHistogram().GetSampleCount())
	}
	return sum / max(n, 1)
}

// progress is when what happened.
type progress struct{ first, submitted, ended time.Time }

// follow waits until all is delivered.
func (r *rig) follow(ctx context.Context, g *gateway, launch string) (p progress, err error) {
	p.first = time.Now()
	profiled := make(chan error, 1)
	go func() { profiled <- r.profile(ctx, g) }()
	limit := finishWithin * time.Duration(1+r.opts.Jobs/100_000)
	next := time.Now()
	err = until(ctx, limit, 100*time.Millisecond, "all is delivered", func() (bool, error) {
		select {
		case <-g.done:
			return false, fmt.Errorf("the gateway ended: %s", r.logEnd(g.name))
		default:
		}
		l, err := g.ledger(ctx, launch)
		if err != nil || l.Accepted == 0 {
			return false, nil //nolint:nilerr // no job was read yet
		}
		if p.submitted.IsZero() && int(l.Accepted) >= r.opts.Jobs {
			p.submitted = time.Now()
		}
		if time.Now().After(next) {
			next = time.Now().Add(2 * time.Second)
			r.opts.say("%s: %d accepted, %d delivered", time.Since(p.first).Round(time.Second), l.Accepted, l.Delivered)
		}
		if int(l.Claimed) >= r.opts.Jobs && l.Pending+l.Awaiting == 0 && int(l.Delivered) < r.opts.Jobs {
			return false, fmt.Errorf("not all was delivered: %+v", l)
		}
		return int(l.Delivered) >= r.opts.Jobs, nil
	})
	p.ended = time.Now()
	if err != nil {
		return p, err
	}
	return p, <-profiled
}
