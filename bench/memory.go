package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/internal/kafka"
)

const (
	steadyFor = 10 * time.Minute
	pourEvery = 100 * time.Millisecond
)

// Memory sends jobs evenly for ten minutes, at about half of the greatest rate, and looks whether memory grows.
func Memory(ctx context.Context, opts Options) (*Result, error) {
	r, err := newRig(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	res := r.result("memory")
	g, err := r.startGateway("gateway")
	if err != nil {
		return nil, err
	}
	if err := r.ready(ctx, g); err != nil {
		return nil, err
	}
	opts.say("%d jobs in %s", opts.Jobs, steadyFor)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	minutes := make(chan []float64, 1)
	go func() { minutes <- memoryByMinute(watching, g.pid) }()
	began := time.Now()
	if err := r.pour(ctx); err != nil {
		return nil, err
	}
	res.add("load", "rate", float64(opts.Jobs)/time.Since(began).Seconds(), "msg/s")
	stop()
	mib := <-minutes
	if _, err := r.follow(ctx, g, launch); err != nil {
		return nil, err
	}
	for i, v := range mib {
		res.add("memory of the gateway", fmt.Sprintf("minute %d", i+1), v, "MiB")
	}
	res.add("memory of the gateway", "peak", float64(peakMemory(g.pid))/(1<<20), "MiB")
	if n := len(mib); n >= 4 {
		res.add("memory of the gateway", "last minute to the second", mib[n-1]/mib[1], "")
	}
	m, err := g.metrics(ctx)
	if err != nil {
		return nil, err
	}
	res.add("gateway", "goroutines at the end", m.value("go_goroutines"), "")
	for _, q := range []float64{.5, .99} {
		res.add("age of the job at submit", fmt.Sprintf("p%g", q*100), m.quantile(nil, "herald_job_age_seconds", "bulk", q), "s")
	}
	return res, nil
}

// pour writes the jobs evenly over the time.
func (r *rig) pour(ctx context.Context) (err error) {
	p := kafka.NewProducer(r.kafka, kafka.ProducerConfig{})
	defer func() { err = errors.Join(err, p.Close()) }()
	tick := time.NewTicker(pourEvery)
	defer tick.Stop()
	began := time.Now()
	for from := 0; from < r.opts.Jobs; {
		share := min(1, float64(time.Since(began))/float64(steadyFor))
		to := int(share * float64(r.opts.Jobs))
		if err := r.write(ctx, p, launch, from, to); err != nil {
			return err
		}
		from = to
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// memoryByMinute is the mean resident memory of a process in each whole minute until ctx ends, in MiB.
func memoryByMinute(ctx context.Context, pid int) (means []float64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	sum, n := 0.0, 0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return means
		}
		sum += float64(memory(pid)) / (1 << 20)
		if n++; n == 60 {
			means = append(means, sum/60)
			sum, n = 0, 0
		}
	}
}
