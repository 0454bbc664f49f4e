package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// decode reads the jobs. What cannot be read goes to the dead letters, with its bytes, and its offset is done when
// they are acknowledged; nothing blocks the partition.
func (d *Dispatcher) decode(ctx context.Context, tasks []*task, now time.Time) ([]*task, error) {
	next := make([]*task, 0, len(tasks))
	var bad []*task
	var letters []delivery.Record
	for _, t := range tasks {
		rec := t.recs[0]
		job, err := delivery.DecodeJob(rec.Value)
		if err != nil {
			bad = append(bad, t)
			letters = append(letters, d.deadLetter(rec.Record, err, now))
			continue
		}
		t.take(job, rec)
		next = append(next, t)
	}
	if len(bad) > 0 {
		if err := d.bury(ctx, bad, letters, now); err != nil {
			return nil, err
		}
	}
	d.metrics.jobs.WithLabelValues(tasks[0].lane.String(), "read").Add(float64(len(next)))
	return next, nil
}

// take fills the task from its job.
func (t *task) take(job *delivery.Job, rec *delivery.Received) {
	t.job = job
	t.start = rec.Time
	if h := job.Herald; h != nil {
		t.id, t.number, t.link, t.turn, t.attempt = h.ID.Job(), h.Number, h.Link, h.Turn, h.Attempt
		t.start = h.ID.Time()
	}
	if links := len(job.Links()); t.link >= links {
		t.link = links - 1
	}
	t.profile = job.Recipient.ProfileID()
	if job.Recipient == nil {
		t.profile = delivery.AnonymousProfile(job.Profile)
	}
}

// bury writes dead letters, counts those that carried a launch's label, and is done with their records.
func (d *Dispatcher) bury(ctx context.Context, bad []*task, letters []delivery.Record, now time.Time) error {
	if err := d.events.Write(ctx, letters); err != nil {
		return err
	}
	lane := bad[0].lane.String()
	void := map[string]int{}
	for _, t := range bad {
		if label := labelOf(t.recs[0].Value); label != "" {
			void[label]++
		}
	}
	if len(void) > 0 {
		err := d.persist(ctx, "count void records", func(ctx context.Context) error {
			return d.claims.Void(ctx, d.owner.ID(), void, now)
		})
		if err != nil && !errors.Is(err, ErrBad) {
			return err
		}
	}
	for _, t := range bad {
		t.done()
	}
	d.metrics.jobs.WithLabelValues(lane, "dead").Add(float64(len(bad)))
	return nil
}

// labelOf finds the launch's label in a record that is no valid job, if it can be seen at all.
func labelOf(b []byte) string {
	var j struct {
		Launch string `json:"launch"`
	}
	if json.Unmarshal(b, &j) != nil || len(j.Launch) > delivery.MaxLabelBytes {
		return ""
	}
	return j.Launch
}

func (d *Dispatcher) deadLetter(rec delivery.Record, err error, now time.Time) delivery.Record {
	class, field := "invalid", ""
	var faults delivery.Faults
	if errors.As(err, &faults) && len(faults) > 0 {
		field = faults[0].Field
	}
	return delivery.DeadRecord(d.cfg.DeadTopic, rec, class, err.Error(), field, now, 1)
}
