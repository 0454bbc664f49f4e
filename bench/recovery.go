package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Recovery measures how long stops, kills and starts take under load. One launch runs all through it; in the end all of it
// is accounted for.
func Recovery(ctx context.Context, opts Options) (*Result, error) {
	r, err := newRig(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	res := r.result("recovery")
	opts.say("writing %d jobs", opts.Jobs)
	if err := r.fill(ctx, launch, opts.Jobs); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name string
		run  func(context.Context, *Result) error
	}{
		{"stop", r.stopAtFullRate}, {"kill", r.killAndRestart}, {"take over", r.takeOver}, {"crash loop", r.crashLoop},
	} {
		opts.say("%s", step.name)
		if err := step.run(ctx, res); err != nil {
			return nil, err
		}
	}
	return res, nil
}

const (
	steady      = 500 * time.Millisecond // over which a rate is taken
	fullRate    = 0.8                    // of the best rate seen
	crashStarts = 15
	// afterCrashes are the jobs that show that messages flow again.
	afterCrashes = 1000
)

// flows waits until messages are answered, and says how long that took from began.
func (r *rig) flows(ctx context.Context, g *gateway, began time.Time) (time.Duration, error) {
	if err := r.ready(ctx, g); err != nil {
		return 0, err
	}
	err := until(ctx, startWithin, 10*time.Millisecond, "messages flow", func() (bool, error) {
		m, err := g.metrics(ctx)
		return err == nil && m.value("herald_provider_answers_total") > 0, nil
	})
	return time.Since(began), err
}

// rates watches the rate of answers for a while.
func (r *rig) rates(ctx context.Context, g *gateway, d time.Duration) (at []time.Time, rate []float64, err error) {
	last, lastAt := 0.0, time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-time.After(steady):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		m, err := g.metrics(ctx)
		if err != nil {
			return nil, nil, err
		}
		n, now := m.value("herald_provider_answers_total"), time.Now()
		at, rate = append(at, now), append(rate, (n-last)/now.Sub(lastAt).Seconds())
		last, lastAt = n, now
	}
	return at, rate, nil
}

func (r *rig) stopAtFullRate(ctx context.Context, res *Result) error {
	began := time.Now()
	g, err := r.startGateway("one")
	if err != nil {
		return err
	}
	first, err := r.flows(ctx, g, began)
	if err != nil {
		return err
	}
	at, rate, err := r.rates(ctx, g, 6*time.Second)
	if err != nil {
		return err
	}
	best := 0.0
	for _, v := range rate {
		best = max(best, v)
	}
	full := time.Duration(0)
	for i, v := range rate {
		if v >= fullRate*best {
			full = at[i].Sub(began)
			break
		}
	}
	res.add("start of a loaded process", "first answer", first.Seconds(), "s")
	res.add("start of a loaded process", "80 % of the best rate", full.Seconds(), "s")
	res.add("start of a loaded process", "best rate", best, "msg/s")
	res.add("SIGTERM at full rate", "until the process ended", g.stop().Seconds(), "s")
	return nil
}

func (r *rig) killAndRestart(ctx context.Context, res *Result) error {
	g, err := r.startGateway("one")
	if err != nil {
		return err
	}
	if _, err := r.flows(ctx, g, time.Now()); err != nil {
		return err
	}
	if _, _, err := r.rates(ctx, g, 2*time.Second); err != nil {
		return err
	}
	g.kill()
	began := time.Now()
	if g, err = r.startGateway("one"); err != nil {
		return err
	}
	took, err := r.flows(ctx, g, began)
	if err != nil {
		return err
	}
	res.add("kill -9, restart under the same name", "first answer", took.Seconds(), "s")
	g.stop()
	return nil
}

func (r *rig) takeOver(ctx context.Context, res *Result) error {
	one, err := r.startGateway("one")
	if err != nil {
		return err
	}
	two, err := r.startGateway("two")
	if err != nil {
		return err
	}
	for _, g := range []*gateway{one, two} {
		if err := r.ready(ctx, g); err != nil {
			return err
		}
	}
	for _, g := range []*gateway{one, two} {
		if err := r.assigned(ctx, g, partitions/2); err != nil {
			return err
		}
	}
	if _, err := r.flows(ctx, two, time.Now()); err != nil {
		return err
	}
	var dead int64
	if err := r.sql.General.QueryRow(ctx, `select max(id) from owner where process = 'one'`).Scan(&dead); err != nil {
		return err
	}
	one.kill()
	began := time.Now()
	if err := r.assigned(ctx, two, partitions); err != nil {
		return err
	}
	res.add("kill -9, another process takes over", "all partitions", time.Since(began).Seconds(), "s")
	// Claims of the dead without a recorded fate that nobody has taken over yet.
	err = until(ctx, startWithin, 200*time.Millisecond, "claims of the dead", func() (bool, error) {
		var left int
		err := r.sql.General.QueryRow(ctx, `select count(*) from claim c where owner = $1
			and not exists (select from message m where m.id between c.id and c.id + 7)`, dead).Scan(&left)
		return left == 0, err
	})
	if err != nil {
		return err
	}
	res.add("kill -9, another process takes over", "all that was in flight", time.Since(began).Seconds(), "s")
	two.stop()
	return nil
}

// assigned waits until a gateway reads exactly as many partitions of the bulk topic.
func (r *rig) assigned(ctx context.Context, g *gateway, want int) error {
	return until(ctx, startWithin, 20*time.Millisecond, "partitions", func() (bool, error) {
		m, err := g.metrics(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // it starts
		}
		n := 0
		for _, s := range m["herald_consumer_lag"].GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetValue() == delivery.LaneBulk.String() {
					n++
				}
			}
		}
		return n == want, nil
	})
}

func (r *rig) crashLoop(ctx context.Context, res *Result) error {
	for range crashStarts {
		g, err := r.startGateway("one")
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Duration(300+rand.IntN(2700)) * time.Millisecond): //nolint:gosec // any moment will do
		case <-ctx.Done():
			return ctx.Err()
		}
		g.kill()
	}
	if err := r.fill(ctx, launch+"-after", afterCrashes); err != nil { // the launch may be over by now
		return err
	}
	began := time.Now()
	g, err := r.startGateway("one")
	if err != nil {
		return err
	}
	took, err := r.flows(ctx, g, began)
	if err != nil {
		return err
	}
	res.add("fifteen starts killed within 3 s, one that stays", "first answer", took.Seconds(), "s")
	if err := r.assigned(ctx, g, partitions); err != nil {
		return err
	}
	res.add("fifteen starts killed within 3 s, one that stays", "all partitions", time.Since(began).Seconds(), "s")
	return r.settle(ctx, g, res)
}

// settle waits for the end and looks whether everything is accounted for.
func (r *rig) settle(ctx context.Context, g *gateway, res *Result) error {
	err := until(ctx, finishWithin*time.Duration(1+r.opts.Jobs/100_000), 500*time.Millisecond, "the end", func() (bool, error) {
		l, err := g.ledger(ctx, launch)
		return err == nil && int(l.Delivered+l.Unknown) >= r.opts.Jobs, nil
	})
	if err != nil {
		return err
	}
	l, err := g.ledger(ctx, launch)
	if err != nil {
		return err
	}
	res.add("in the end", "claimed", float64(l.Claimed), "")
	res.add("in the end", "delivered", float64(l.Delivered), "")
	res.add("in the end", "unknown", float64(l.Unknown), "")
	res.add("in the end", "lost", float64(r.opts.Jobs)-float64(l.Delivered+l.Unknown), "")
	return nil
}
