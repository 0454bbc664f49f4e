package dispatcher

import (
	"context"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// farthest is how far ahead not_before may lie: a job that lives 30 days from then must find its rows, which are kept for
// 45 days from its arrival.
const farthest = 14 * 24 * time.Hour

// when holds what is too early and ends what is too late, and hold-outs, which get nothing.
func (d *Dispatcher) when(_ context.Context, tasks []*task, now time.Time) ([]*task, error) {
	next := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		t.channel = t.links[t.link].Channel
		begins := t.begins(d.cfg.Zone)
		t.expires = t.job.Expiry(begins)
		switch {
		case t.job.Herald != nil && t.job.Herald.Holdout:
			t.suppress(delivery.ReasonHoldout, "")
		case !now.Before(t.expires):
			t.expire()
		case begins.Sub(now) > farthest:
			t.verdict = &verdict{
				kind: delivery.KindFailed, reason: delivery.ReasonContent, detail: "not_before: more than 14 days ahead",
			}
		case !t.job.NotBefore.IsZero() && now.Before(begins):
			t.hold(delivery.ReasonNotBefore, begins, "")
		default:
			next = append(next, t)
		}
	}
	return next, nil
}

// begins is when the job's time starts: not_before, in the recipient's zone when it names no offset, else the time of
// the record.
func (t *task) begins(zone *time.Location) time.Time {
	if t.job.NotBefore.IsZero() {
		return t.start
	}
	if r := t.job.Recipient; r != nil && r.Timezone != "" {
		if own, err := time.LoadLocation(r.Timezone); err == nil {
			zone = own
		}
	}
	return t.job.NotBefore.In(zone)
}
