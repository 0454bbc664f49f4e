package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

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
	t.job, t.links = job, job.Links()
	t.start, t.written = rec.Time, rec.Time
	if h := job.Herald; h != nil {
		t.id, t.number, t.link, t.turn, t.attempt = h.ID.Job(), h.Number, h.Link, h.Turn, h.Attempt
		t.start = h.ID.Time()
	}
	if of := rec.Header(delivery.HeaderReplayOf); len(of) > 0 && job.Herald == nil && job.Key == "" {
		job.Key = string(of) // a dead letter that is replayed twice is still one job
	}
	if links := len(t.links); t.link >= links {
		t.link = links - 1
	}
	t.profile = job.Recipient.ProfileID()
	if job.Recipient == nil {
		t.profile = delivery.AnonymousProfile(job.Profile)
	}
}

// bury writes dead letters, counts those that carried a launch's label, and is done with their records.
func (d *Dispatcher) bury(ctx context.Context, bad []*task, letters []delivery.Record, now time.Time) error {
	if err := d.write(ctx, letters); err != nil {
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

// labelOf finds the launch's label in a record that is no valid job, if it can be seen at all. Labels of digits are those
// of campaigns, which count their records themselves.
func labelOf(b []byte) string {
	var j struct {
		Launch string `json:"launch"`
	}
	if json.Unmarshal(b, &j) != nil || len(j.Launch) > delivery.MaxLabelBytes ||
		strings.Trim(j.Launch, "0123456789") == "" || strings.ContainsFunc(j.Launch, unprintable) {
		return ""
	}
	return j.Launch
}

func unprintable(c rune) bool { return c == unicode.ReplacementChar || !unicode.IsPrint(c) }

func (d *Dispatcher) deadLetter(rec delivery.Record, err error, now time.Time) delivery.Record {
	class, field := "invalid", ""
	var faults delivery.Faults
	if errors.As(err, &faults) && len(faults) > 0 {
		field = faults[0].Field
	}
	return d.letter(rec, class, err.Error(), field, now)
}

// maxLetter is how much of a record goes into its dead letter. A compressed record may be larger than any that Herald
// can write; the letter says where the whole stands.
const maxLetter = 512 << 10

// letter makes the dead letter of a record, of one that is too large from its beginning.
func (d *Dispatcher) letter(rec delivery.Record, class, detail, field string, now time.Time) delivery.Record {
	size := len(rec.Key) + len(rec.Value)
	for _, h := range rec.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if size > maxLetter {
		detail = fmt.Sprintf("the record has %d bytes, its beginning is kept; %s", size, detail)
		rec.Headers, rec.Key = nil, rec.Key[:min(len(rec.Key), maxLetter/4)]
		rec.Value = rec.Value[:min(len(rec.Value), maxLetter/2)]
	}
	return delivery.DeadRecord(d.cfg.DeadTopic, rec, class, detail, field, now, 1)
}
