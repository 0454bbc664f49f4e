package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
)

// Config says what a Recorder reads.
type Config struct {
	Stream    string // the name under which offsets are kept
	Topic     string // the events topic
	Cluster   string // the id of the Kafka cluster
	DeadTopic string
	// Replay records the log again into empty tables: nothing but tables changes, no next link becomes due and no dead
	// letter is written a second time.
	Replay bool
	// Lost is joined to the error of Position when the log is not the one that was read before, so that whoever reads
	// knows it by its own error; nil: ErrOtherCluster alone.
	Lost error
	// Now is the clock; nil means time.Now.
	Now     func() time.Time
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

func (c *Config) defaults() error {
	var errs []error
	for name, v := range map[string]string{
		"stream": c.Stream, "topic": c.Topic, "cluster": c.Cluster, "dead topic": c.DeadTopic,
	} {
		if v == "" {
			errs = append(errs, fmt.Errorf("recorder: %s is required", name))
		}
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
	return errors.Join(errs...)
}

// Recorder records batches of events. Its methods may be called from any goroutine, for one partition by one at a time.
type Recorder struct {
	cfg     Config
	store   Store
	writer  Writer
	metrics *metrics

	mu        sync.Mutex
	positions map[int]int64 // where the next batch of a partition begins
}

// New makes a Recorder that keeps everything in store and writes dead letters to writer.
func New(cfg Config, store Store, writer Writer) (*Recorder, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	return &Recorder{
		cfg: cfg, store: store, writer: writer, metrics: newMetrics(cfg.Metrics), positions: map[int]int64{},
	}, nil
}

// Position is the next offset of the partition, -1 when nothing was recorded yet.
func (r *Recorder) Position(ctx context.Context, partition int) (int64, error) {
	next, err := r.store.Position(ctx, r.place(partition), r.cfg.Cluster)
	if errors.Is(err, ErrOtherCluster) && r.cfg.Lost != nil {
		err = errors.Join(r.cfg.Lost, err)
	}
	if err != nil {
		return 0, err
	}
	r.keep(partition, next)
	return next, nil
}

// Handle records a batch of the partition and the position behind it in one transaction. After an error nothing of what
// the error is about is recorded, and the position is asked again.
func (r *Recorder) Handle(ctx context.Context, partition int, batch []delivery.Record) error {
	if len(batch) == 0 {
		return nil
	}
	r.mu.Lock()
	from, known := r.positions[partition]
	delete(r.positions, partition)
	r.mu.Unlock()
	if !known {
		return fmt.Errorf("record partition %d: %w", partition, ErrFenced)
	}
	began := r.cfg.Now()
	items, err := r.decode(ctx, batch)
	if err != nil {
		return err
	}
	next, err := r.record(ctx, partition, from, items)
	if err != nil {
		return err
	}
	r.keep(partition, next)
	r.metrics.batch.Observe(float64(len(batch)))
	r.metrics.seconds.Observe(r.cfg.Now().Sub(began).Seconds())
	return nil
}

func (r *Recorder) place(partition int) Place { return Place{r.cfg.Stream, r.cfg.Topic, partition} }

func (r *Recorder) keep(partition int, next int64) {
	r.mu.Lock()
	r.positions[partition] = next
	r.mu.Unlock()
}

// item is a record and what was read from it; the event is nil when the record needs nothing more.
type item struct {
	record delivery.Record
	event  *delivery.Event
}

// record settles the items in one transaction. When the store refuses them for what is in them, it settles each half
// on its own, until the culprit stands alone and can be buried.
func (r *Recorder) record(ctx context.Context, partition int, from int64, items []item) (next int64, err error) {
	next, err = r.transact(ctx, partition, from, items)
	if !errors.Is(err, ErrBad) {
		return next, err
	}
	if len(items) == 1 {
		r.cfg.Log.ErrorContext(ctx, "event cannot be recorded", "topic", r.cfg.Topic, "partition", partition,
			"offset", items[0].record.Offset, "err", err)
		if err := r.bury(ctx, []delivery.Record{r.letter(items[0].record, "refused", err)}); err != nil {
			return from, err
		}
		items[0].event = nil
		return r.transact(ctx, partition, from, items)
	}
	half := len(items) / 2
	if next, err = r.record(ctx, partition, from, items[:half]); err != nil {
		return next, err
	}
	return r.record(ctx, partition, next, items[half:])
}

func (r *Recorder) transact(ctx context.Context, partition int, from int64, items []item) (int64, error) {
	to := items[len(items)-1].record.Offset + 1
	facts, err := r.facts(ctx, items)
	if err != nil {
		return from, err
	}
	var done *Changes
	err = r.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Advance(ctx, r.place(partition), from, to); err != nil {
			return err
		}
		if len(facts) == 0 {
			done = new(Changes)
			return nil
		}
		done, err = settle(ctx, tx, facts, r.number, r.cfg.Replay)
		return err
	})
	if err != nil {
		return from, fmt.Errorf("record %d events from offset %d: %w", len(items), items[0].record.Offset, err)
	}
	r.metrics.count(done, facts)
	return to, nil
}

// decode reads the records. What cannot be read goes to the dead letters.
func (r *Recorder) decode(ctx context.Context, batch []delivery.Record) ([]item, error) {
	items := make([]item, len(batch))
	var letters []delivery.Record
	limit := delivery.IDAt(r.cfg.Now().Add(idAhead))
	for i := range batch {
		items[i].record = batch[i]
		e := new(delivery.Event)
		err := delivery.DecodeEvent(batch[i].Value, e)
		if err == nil {
			err = plausible(e, limit)
		}
		if err != nil {
			letters = append(letters, r.letter(batch[i], "invalid", err))
			continue
		}
		if e.Message != 0 {
			items[i].event = plain(e)
		} else {
			r.metrics.events.WithLabelValues("beside").Inc()
		}
	}
	return items, r.bury(ctx, letters)
}

// idAhead is how far the clock of whoever made an id may be ahead of ours.
const idAhead = 48 * time.Hour

// plausible refuses events whose message cannot exist.
func plausible(e *delivery.Event, limit delivery.ID) error {
	switch {
	case e.Message < 0 || e.Message >= limit:
		return fmt.Errorf("message: %s is no id that was given out", e.Message)
	case e.Message != 0 && e.Job != e.Message.Job():
		return fmt.Errorf("message: %s is none of job %s", e.Message, e.Job)
	}
	return nil
}

// plain brings an event to the precision and the characters that the store keeps.
func plain(e *delivery.Event) *delivery.Event {
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if e.Next != nil && !e.Next.At.IsZero() {
		e.Next.At = e.Next.At.UTC().Truncate(time.Microsecond)
	}
	for _, s := range []*string{&e.ID, &e.Code, &e.Detail, &e.Launch, &e.Provider} {
		if strings.IndexByte(*s, 0) >= 0 {
			*s = strings.ReplaceAll(*s, "\x00", "")
		}
	}
	return e
}

// facts finds the numbers of the names in the events, and leaves out those whose day is gone.
func (r *Recorder) facts(ctx context.Context, items []item) ([]*fact, error) {
	facts := make([]*fact, 0, len(items))
	for i := range items {
		e := items[i].event
		if e == nil {
			continue
		}
		known, err := r.store.Known(ctx, e.Message)
		if err != nil {
			return nil, err
		}
		if !known {
			if e.Message.Time().After(r.cfg.Now().Add(-24 * time.Hour)) {
				return nil, fmt.Errorf("no partition for the day of message %s", e.Message)
			}
			r.metrics.events.WithLabelValues("too_late").Inc()
			continue
		}
		f := &fact{Event: e, origin: isOrigin(e), body: items[i].record.Value}
		if err := r.number(ctx, f); err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// number finds the numbers of the provider and, for events that make rows, of the launch.
func (r *Recorder) number(ctx context.Context, f *fact) (err error) {
	if f.Provider != "" {
		if f.provider, err = r.store.Provider(ctx, f.Provider, f.Channel); err != nil {
			return err
		}
	}
	if f.origin && f.Launch != "" {
		f.launch, err = r.store.Launch(ctx, f.Launch, f.At)
	}
	return err
}

func (r *Recorder) letter(rec delivery.Record, class string, err error) delivery.Record {
	field := ""
	var faults delivery.Faults
	if errors.As(err, &faults) && len(faults) > 0 {
		field = faults[0].Field
	}
	return delivery.DeadRecord(r.cfg.DeadTopic, rec, class, err.Error(), field, r.cfg.Now(), 1)
}

func (r *Recorder) bury(ctx context.Context, letters []delivery.Record) error {
	if len(letters) == 0 {
		return nil
	}
	r.metrics.events.WithLabelValues("dead").Add(float64(len(letters)))
	if r.cfg.Replay {
		return nil
	}
	if err := r.writer.Write(ctx, letters); err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}
