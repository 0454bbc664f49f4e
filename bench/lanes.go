package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
)

const (
	codesEvery = 50 * time.Millisecond // 20 a second
	idleFor    = 20 * time.Second
	loadedFor  = 15 * time.Second
)

// Lanes measures how long a transactional job waits, alone and while bulk runs at full rate with many jobs behind it.
func Lanes(ctx context.Context, opts Options) (*Result, error) {
	r, err := newRig(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	res := r.result("lanes")
	g, err := r.startGateway("gateway")
	if err != nil {
		return nil, err
	}
	if err := r.ready(ctx, g); err != nil {
		return nil, err
	}
	if err := r.codes(ctx, "warm", 2*time.Second); err != nil {
		return nil, err
	}
	if err := r.waits(ctx, g, res, "idle", idleFor); err != nil {
		return nil, err
	}
	g.stop() // or it would have sent a good part of them before all are written
	opts.say("writing %d bulk jobs", opts.Jobs)
	if err := r.fill(ctx, launch, opts.Jobs); err != nil {
		return nil, err
	}
	if g, err = r.startGateway("gateway"); err != nil {
		return nil, err
	}
	if err := r.ready(ctx, g); err != nil {
		return nil, err
	}
	if err := r.codes(ctx, "warm again", 2*time.Second); err != nil {
		return nil, err
	}
	before, err := g.ledger(ctx, launch)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := r.waits(ctx, g, res, "loaded", loadedFor); err != nil {
		return nil, err
	}
	after, err := g.ledger(ctx, launch)
	if err != nil {
		return nil, err
	}
	res.add("bulk meanwhile", "rate", float64(after.Accepted-before.Accepted)/time.Since(began).Seconds(), "msg/s")
	res.add("bulk meanwhile", "jobs still waiting at the end", float64(opts.Jobs)-float64(after.Claimed), "")
	res.add("ratio", "p99 loaded to idle", res.Value("loaded", "p99")/res.Value("idle", "p99"), "")
	return res, nil
}

// waits measures the time from job to submit while codes are sent.
func (r *rig) waits(ctx context.Context, g *gateway, res *Result, name string, d time.Duration) error {
	r.opts.say("codes for %s: %s", d, name)
	before, err := g.metrics(ctx)
	if err != nil {
		return err
	}
	if err := r.codes(ctx, name, d); err != nil {
		return err
	}
	after, err := g.metrics(ctx)
	if err != nil {
		return err
	}
	for _, q := range []float64{.5, .95, .99} {
		wait := after.quantile(before, "herald_job_age_seconds", delivery.LaneTransactional.String(), q)
		res.add(name, fmt.Sprintf("p%g", q*100), wait*1000, "ms")
	}
	return nil
}

// codes sends transactional jobs, evenly, for a while.
func (r *rig) codes(ctx context.Context, name string, d time.Duration) error {
	p := kafka.NewProducer(r.kafka, kafka.ProducerConfig{Fast: true})
	defer func() { _ = p.Close() }()
	tick := time.NewTicker(codesEvery)
	defer tick.Stop()
	for i := range int(d / codesEvery) {
		rec, err := delivery.JobRecord(r.kafka.TopicName(delivery.LaneTransactional), r.job(delivery.LaneTransactional, "codes-"+name, i))
		if err != nil {
			return err
		}
		if err := p.Write(ctx, []delivery.Record{rec}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
