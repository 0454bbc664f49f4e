package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/herald-gateway/herald/delivery"
)

// FollowerConfig says what a Follower reads and who keeps its positions.
type FollowerConfig struct {
	Group string
	Topic string
	// Position tells the next offset of a partition, negative when nothing was read yet. It is asked at each assignment
	// and after each failed batch. An error that wraps ErrLost ends Run; any other is asked again.
	Position func(ctx context.Context, partition int) (next int64, err error)
	// Handle takes the next records of a partition, in order, and keeps the new position (the last offset + 1) in the same
	// transaction as what it made of them. After an error Position is asked again. It is called by one goroutine for each
	// partition. Its context ends DrainTimeout after the partition went to another member.
	Handle func(ctx context.Context, partition int, batch []delivery.Record) error
	// MaxBatch is the largest batch; default 500.
	MaxBatch int
	// MaxWait is how long a fetch waits for the first record; default 500 ms.
	MaxWait time.Duration
	// Linger is how long a batch that is not full waits for more; default 20 ms.
	Linger time.Duration
	// AllowGap lets reading go on where records were deleted before they were read. Else Run ends with a GapError.
	AllowGap bool
	// SessionTimeout and DrainTimeout are as for a Consumer; default 10 s and 3 s. The latter also counts at a stop.
	SessionTimeout time.Duration
	DrainTimeout   time.Duration
}

func (c *FollowerConfig) defaults() error {
	if c.Group == "" || c.Topic == "" || c.Position == nil || c.Handle == nil {
		return errors.New("kafka follower: group, topic, position and handle are required")
	}
	c.MaxBatch = orInt(c.MaxBatch, 500)
	c.MaxWait = orDur(c.MaxWait, fetchWait)
	c.Linger = orDur(c.Linger, 20*time.Millisecond)
	c.SessionTimeout = orDur(c.SessionTimeout, sessionTimeout)
	c.DrainTimeout = orDur(c.DrainTimeout, min(3*time.Second, c.SessionTimeout/3))
	return nil
}

// Follower reads partitions in order for somebody who keeps the positions elsewhere. A member of an older generation
// may still be at work when a newer one begins: Handle must fence it, by comparing the position that it is about to
// replace.
type Follower struct {
	client *Client
	cfg    FollowerConfig
	fatal  context.CancelCauseFunc
	loops  sync.WaitGroup

	mu    sync.Mutex
	parts []*followed

	generations, skipped, handleFaults, fetchFaults, records, batches atomic.Int64
}

// NewFollower checks the settings. Run begins to read.
func NewFollower(client *Client, cfg FollowerConfig) (*Follower, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	return &Follower{client: client, cfg: cfg}, nil
}

// Run reads until ctx ends, lets running batches finish, and leaves the group; it returns nil then. It returns an error
// that wraps ErrLost when Position said so or a position is above the end of the log, and a GapError when records were
// deleted before they were read. It never seeks by itself. It is called once.
func (f *Follower) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.fatal = cancel
	m := &membership{
		client: f.client, group: f.cfg.Group, topic: f.cfg.Topic, session: f.cfg.SessionTimeout,
		serve: f.serve,
	}
	if err := m.run(ctx); err != nil {
		return err
	}
	if err := fatalCause(ctx); err != nil {
		return err
	}
	if !waitFor(time.Second, f.loops.Wait) {
		return fmt.Errorf("kafka follower %s: a batch did not return after its context ended", f.cfg.Group)
	}
	return nil
}

// serve is one generation.
func (f *Follower) serve(stop, gctx context.Context, gen *kafkago.Generation) {
	f.generations.Add(1)
	fetching, halt := context.WithCancel(gctx)
	defer context.AfterFunc(stop, halt)()
	defer halt()
	working, cut := context.WithCancel(context.WithoutCancel(stop))
	defer cut()

	var list []*followed
	for _, a := range gen.Assignments[f.cfg.Topic] {
		list = append(list, &followed{f: f, id: a.ID})
	}
	f.setParts(list)
	defer f.setParts(nil)
	var running sync.WaitGroup
	for _, p := range list {
		running.Add(1)
		f.loops.Go(func() {
			defer running.Done()
			p.run(fetching, working)
		})
	}
	f.commitWhile(fetching, gen, list)
	waitFor(f.cfg.DrainTimeout, running.Wait)
	cut()
	_ = f.commit(gen, list)
}

// commitWhile shows in Kafka how far reading is. Nobody reads it but lag displays, so a fault is of no weight.
func (f *Follower) commitWhile(ctx context.Context, gen *kafkago.Generation, list []*followed) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := f.commit(gen, list); err != nil && ctx.Err() == nil {
				f.client.log.DebugContext(ctx, "position is not shown in kafka", "topic", f.cfg.Topic, "err", err)
			}
		}
	}
}

func (f *Follower) commit(gen *kafkago.Generation, list []*followed) error {
	changed := map[int]int64{}
	for _, p := range list {
		if next := p.next.Load(); next > 0 && next != p.shown {
			changed[p.id] = next
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := gen.CommitOffsets(map[string]map[int]int64{f.cfg.Topic: changed}); err != nil {
		return err
	}
	for _, p := range list {
		if next, ok := changed[p.id]; ok {
			p.shown = next
		}
	}
	return nil
}

func (f *Follower) setParts(list []*followed) {
	f.mu.Lock()
	f.parts = list
	f.mu.Unlock()
}

// followed is one partition of one generation.
type followed struct {
	f     *Follower
	id    int
	shown int64        // committed to Kafka; of the committing goroutine
	next  atomic.Int64 // behind the last handled batch
	held  atomic.Int32 // records that are read and not handled
	end   atomic.Int64
}

// run follows the partition until fetching ends: find the position, read on until a fault, and again.
func (p *followed) run(fetching, working context.Context) {
	retry := pace{first: fetchRetryFirst, most: fetchRetryMost}
	for fetching.Err() == nil {
		err := p.follow(fetching, working, &retry)
		var gap *GapError
		switch {
		case err == nil || fetching.Err() != nil:
			return
		case errors.Is(err, ErrLost), errors.As(err, &gap):
			p.f.fatal(err)
			return
		}
		p.f.client.log.WarnContext(fetching, "partition is read again from its kept position", "topic", p.f.cfg.Topic,
			"partition", p.id, "err", err)
		if retry.wait(fetching) != nil {
			return
		}
	}
}

// follow reads from the kept position on until something fails.
func (p *followed) follow(fetching, working context.Context, retry *pace) error {
	rd := &fetcher{client: p.f.client, topic: p.f.cfg.Topic, partition: p.id}
	defer rd.close()
	defer p.held.Store(0)
	if err := p.seek(fetching, rd); err != nil {
		return err
	}
	var buf []delivery.Record
	for {
		var err error
		if buf, err = p.gather(fetching, rd, buf); fetching.Err() != nil {
			return nil
		}
		if err != nil && len(buf) == 0 {
			p.f.fetchFaults.Add(1)
			return err // out of range too: seek finds out what it means
		}
		if len(buf) == 0 {
			retry.reset()
			continue
		}
		p.held.Store(int32(len(buf))) //nolint:gosec // of one fetch
		n := min(len(buf), p.f.cfg.MaxBatch)
		if err := p.f.cfg.Handle(working, p.id, buf[:n:n]); err != nil {
			p.f.handleFaults.Add(1)
			return fmt.Errorf("handle %d records of %s/%d from offset %d: %w", n, rd.topic, p.id, buf[0].Offset, err)
		}
		retry.reset()
		p.next.Store(buf[n-1].Offset + 1)
		p.f.records.Add(int64(n))
		p.f.batches.Add(1)
		if buf = buf[n:]; len(buf) == 0 {
			buf = nil // what Handle got is never written to again
			p.held.Store(0)
		}
	}
}

// seek asks for the position and compares it with the log.
func (p *followed) seek(ctx context.Context, rd *fetcher) error {
	next, err := p.f.cfg.Position(ctx, p.id)
	if err != nil {
		return fmt.Errorf("position of %s/%d: %w", rd.topic, p.id, err)
	}
	rd.pos = next
	if next < 0 {
		return rd.open(ctx)
	}
	for look := 1; ; look++ {
		first, last, err := rd.bounds(ctx)
		switch {
		case err != nil:
			return err
		case next < first:
			return p.gap(ctx, rd, first)
		case next <= last:
			p.next.Store(next)
			p.end.Store(last)
			return nil
		case look == lostLooks: // a new leader may lag behind for a moment
			return fmt.Errorf("%s/%d: position %d is above the end %d: %w", rd.topic, p.id, next, last, ErrLost)
		}
		if err := sleep(ctx, fetchWait); err != nil {
			return err
		}
	}
}

func (p *followed) gap(ctx context.Context, rd *fetcher, first int64) error {
	gap := &GapError{Topic: rd.topic, Partition: p.id, From: rd.pos, To: first}
	p.f.skipped.Add(first - rd.pos)
	if !p.f.cfg.AllowGap {
		return gap
	}
	p.f.client.log.ErrorContext(ctx, "reading goes on behind a gap", "topic", rd.topic, "partition", p.id, "err", gap)
	rd.pos = first
	return nil
}

// gather adds to buf until it holds a batch or Linger is over. What was read before an error is kept.
func (p *followed) gather(ctx context.Context, rd *fetcher, buf []delivery.Record) ([]delivery.Record, error) {
	if len(buf) >= p.f.cfg.MaxBatch {
		return buf, nil
	}
	var err error
	if len(buf) == 0 {
		if buf, err = rd.fetch(ctx, buf, fetchRecords, p.f.cfg.MaxWait); err != nil || len(buf) == 0 {
			return buf, err
		}
	}
	p.end.Store(rd.high)
	if len(buf) >= p.f.cfg.MaxBatch || rd.pos >= rd.high && sleep(ctx, p.f.cfg.Linger) != nil {
		return buf, ctx.Err()
	}
	// A fault of this second look comes again with the next fetch.
	buf, _ = rd.fetch(ctx, buf, fetchRecords, time.Millisecond)
	p.end.Store(rd.high)
	return buf, nil
}
