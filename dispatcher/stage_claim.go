package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// claim makes the jobs ours. The new ones, and those that come back from due, go on. A job whose claim exists already is
// either a repeat or was left behind by a crash: the resolver finds out (doubt.go).
func (d *Dispatcher) claim(ctx context.Context, tasks []*task, now time.Time) ([]*task, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	asks := make([]Ask, len(tasks))
	for i, t := range tasks {
		rec := t.recs[0]
		asks[i] = Ask{
			Lane: t.lane, Partition: rec.Partition, Offset: rec.Offset, ID: t.id, Key: t.job.Key, Turn: t.turn,
			Launch: t.job.Launch,
		}
		if len(t.links) > 1 && t.turn == 0 {
			t.expires = t.job.Expiry(t.begins(d.cfg.Zone))
			body, err := t.body()
			if err != nil {
				return nil, err
			}
			asks[i].Body = body
		}
	}
	next, met, err := d.claimOnce(ctx, tasks, asks, now)
	if errors.Is(err, ErrBad) {
		return d.claimHalves(ctx, tasks, now, err)
	}
	if err != nil {
		return nil, err
	}
	d.lanes[tasks[0].lane].met.push(met...)
	d.metrics.jobs.WithLabelValues(tasks[0].lane.String(), "met").Add(float64(len(met)))
	return next, d.recall(ctx, next)
}

// claimOnce claims and enters what is ours into the table of jobs in work.
func (d *Dispatcher) claimOnce(
	ctx context.Context, tasks []*task, asks []Ask, now time.Time,
) (next, met []*task, err error) {
	defer d.flight.begin()()
	var answers []Claimed
	err = d.persist(ctx, "claim", func(ctx context.Context) (err error) {
		answers, err = d.claims.Claim(ctx, d.owner.ID(), asks, now)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	next = make([]*task, 0, len(tasks))
	for i, t := range tasks {
		t.id, t.launchID = answers[i].ID, answers[i].LaunchID
		if answers[i].Ours {
			d.flight.start(t)
			next = append(next, t)
		} else {
			met = append(met, t)
		}
	}
	return next, met, nil
}

// recall finds out how often service messages that come back for another try were sent again in doubt: that is counted
// over all their turns.
func (d *Dispatcher) recall(ctx context.Context, tasks []*task) error {
	var tried []*task
	for _, t := range tasks {
		if t.attempt > 0 && t.job.Category == delivery.CategoryTransactional {
			tried = append(tried, t)
		}
	}
	fates, err := d.fatesOf(ctx, tried)
	for _, t := range tried {
		t.redriven = fates[t.message()].Redriven
	}
	return err
}

// claimHalves finds the record that the store refuses by halving the batch, and buries it, so that one bad job does not
// stop the others.
func (d *Dispatcher) claimHalves(ctx context.Context, tasks []*task, now time.Time, cause error) ([]*task, error) {
	if len(tasks) == 1 {
		letter := d.letter(tasks[0].recs[0].Record, "refused", cause.Error(), "", now)
		return nil, d.bury(ctx, tasks, []delivery.Record{letter}, now)
	}
	left, err := d.claim(ctx, tasks[:len(tasks)/2], now)
	if err != nil {
		return nil, err
	}
	right, err := d.claim(ctx, tasks[len(tasks)/2:], now)
	return append(left, right...), err
}
