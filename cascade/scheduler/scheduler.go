// Package scheduler turns rows of due into jobs when their time has come: holds, retries and the next links of cascades.
//
// Rows are taken, looked at, written to Kafka with acknowledgement and removed in one transaction. A crash in between
// writes the same records again, with the same id, message and turn, and the claim drops the second copy. The flags
// that make a row unwanted are read in the transaction that removes it, so that a receipt and a timer cannot race.
// Any number of schedulers may run: each passes over the rows that another one holds.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/backoff"
)

// Config holds the settings of a Scheduler. What is zero takes its default, except the topics.
type Config struct {
	Topics      map[delivery.Lane]string // the jobs topic of each lane
	DeadTopic   string
	EventsTopic string                // where the fate of a job whose bytes are gone is recorded; empty: it is not
	Page        int                   // rows in one transaction; default 500
	Every       time.Duration         // pause when fewer were due; default 200 ms, with jitter
	Timeout     time.Duration         // of one transaction with its writes; default 20 s
	Now         func() time.Time      // the clock; default time.Now
	Log         *slog.Logger          // default: silence
	Metrics     prometheus.Registerer // default: none
}

func (c *Config) defaults() {
	if c.Page <= 0 {
		c.Page = 500
	}
	if c.Every <= 0 {
		c.Every = 200 * time.Millisecond
	}
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
}

// Item is a due row with what is needed to decide about it and to write its job.
type Item struct {
	delivery.Due
	Flags  int32  // first-event bits of the message Skip
	Launch string // label
	Body   []byte // the job as it was kept; nil when it is gone
}

// Store keeps the rows.
type Store interface {
	// Take calls produce with at most limit rows that are due, the most urgent first, and removes them when it returns
	// nil. It returns their number; produce is not called when there are none.
	Take(ctx context.Context, now time.Time, limit int, produce func(context.Context, []Item) error) (int, error)
	// Waiting is the number of all rows, and how long ago the time of the oldest one was.
	Waiting(ctx context.Context, now time.Time) (rows int64, lag time.Duration, err error)
}

// Writer writes records to Kafka and returns nil when all of them are acknowledged.
type Writer interface {
	Write(ctx context.Context, records []delivery.Record) error
}

// Scheduler is the loop over due.
type Scheduler struct {
	cfg     Config
	store   Store
	writer  Writer
	metrics *metrics
	wake    chan struct{}
}

// New makes a Scheduler.
func New(cfg Config, store Store, writer Writer) *Scheduler {
	cfg.defaults()
	return &Scheduler{
		cfg: cfg, store: store, writer: writer, metrics: newMetrics(cfg.Metrics), wake: make(chan struct{}, 1),
	}
}

// Wake makes Run look at once, for whoever has just changed rows to be due now.
func (s *Scheduler) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// measureEvery is how often the rows are counted, which reads the whole table.
const measureEvery = 15 * time.Second

// Run writes jobs as they become due until ctx ends. Faults of the store and of Kafka are repeated.
func (s *Scheduler) Run(ctx context.Context) {
	retry := backoff.Backoff{First: 200 * time.Millisecond, Most: 5 * time.Second}
	var measured time.Time
	for ctx.Err() == nil {
		if now := s.cfg.Now(); now.Sub(measured) >= measureEvery {
			measured = now
			s.measure(ctx, now)
		}
		n, err := s.Once(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.metrics.faults.Inc()
			s.cfg.Log.WarnContext(ctx, "due rows wait", "err", err)
			s.pause(ctx, retry.Next())
		case n < s.cfg.Page:
			retry.Reset()
			s.pause(ctx, backoff.Jitter(s.cfg.Every))
		default:
			retry.Reset()
		}
	}
}

func (s *Scheduler) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-s.wake:
	case <-t.C:
	}
}

func (s *Scheduler) measure(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	rows, lag, err := s.store.Waiting(ctx, now)
	if err != nil {
		s.cfg.Log.DebugContext(ctx, "due rows are not counted", "err", err)
		return
	}
	s.metrics.rows.Set(float64(rows))
	s.metrics.lag.Set(lag.Seconds())
}

// Once handles one page and returns how many rows it held.
func (s *Scheduler) Once(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	now := s.cfg.Now()
	return s.store.Take(ctx, now, s.cfg.Page, func(ctx context.Context, rows []Item) error {
		records := make([]delivery.Record, 0, len(rows))
		sent, unwanted, lost := 0, 0, 0
		for i := range rows {
			r := &rows[i]
			if r.Skip != 0 && r.Flags&r.SkipFlags != 0 {
				unwanted++
				continue
			}
			rec, err := s.job(r)
			if err != nil {
				lost++
				s.cfg.Log.ErrorContext(ctx, "due job cannot be written", "job_id", int64(r.Message.Job()),
					"message_id", int64(r.Message), "err", err)
				gone, err := s.gone(r, err, now)
				if err != nil {
					return err
				}
				records = append(records, gone...)
				continue
			}
			sent++
			s.metrics.late.Observe(max(0, now.Sub(r.At).Seconds()))
			records = append(records, rec)
		}
		if len(records) > 0 {
			if err := s.writer.Write(ctx, records); err != nil {
				return fmt.Errorf("write %d due jobs: %w", len(records), err)
			}
		}
		s.metrics.count(sent, unwanted, lost)
		return nil
	})
}

var errNoBody = errors.New("the bytes of the job are gone")

// job is the record that brings the message back.
func (s *Scheduler) job(r *Item) (delivery.Record, error) {
	if r.Body == nil {
		return delivery.Record{}, errNoBody
	}
	j, err := delivery.DecodeJob(r.Body)
	if err != nil {
		return delivery.Record{}, fmt.Errorf("read the kept job: %w", err)
	}
	h := delivery.Internal{
		ID: r.Message.Job(), Number: r.Message.Number(), Link: r.Link, Turn: r.Turn, Attempt: r.Attempt,
	}
	if j.Herald != nil {
		h.Revision, h.Holdout = j.Herald.Revision, j.Herald.Holdout
	}
	j.Herald = &h
	lane := r.Lane
	if r.Kind == delivery.DueLink { // whoever writes these rows does not know the job
		lane = j.Category.Lane()
	}
	return delivery.JobRecord(s.cfg.Topics[lane], j)
}

// gone ends a message whose job cannot be written again: the fate of the job is recorded, and what is left of it goes to
// the dead letters.
func (s *Scheduler) gone(r *Item, cause error, now time.Time) ([]delivery.Record, error) {
	kept := delivery.Record{Key: []byte(r.Message.Job().String()), Value: r.Body}
	records := []delivery.Record{delivery.DeadRecord(s.cfg.DeadTopic, kept, "due", cause.Error(), "", now, 1)}
	if s.cfg.EventsTopic == "" {
		return records, nil
	}
	e := delivery.Event{
		V: delivery.Version, ID: delivery.DispatchEventID(r.Message, delivery.KindFailed, r.Turn, r.Attempt),
		Kind: delivery.KindFailed, At: now, Job: r.Message.Job(), Message: r.Message, Link: r.Link, ProfileID: r.ProfileID,
		Launch: r.Launch, Turn: r.Turn, Attempt: r.Attempt, Reason: delivery.ReasonContent, Detail: cause.Error(),
	}
	rec, err := delivery.EventRecord(s.cfg.EventsTopic, &e)
	return append(records, rec), err
}
