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

// ConsumerConfig says what a Consumer reads and how much it holds.
type ConsumerConfig struct {
	Group string
	Topic string
	// MaxInFlight bounds the unfinished records of all partitions; default 4000.
	MaxInFlight int
	// MaxPerPart bounds, for each partition, the records from the last committed offset on: what is read again after a
	// crash. It must hold what is in flight and at least two of the handler's batches; default 1000.
	MaxPerPart int
	// MaxBatch is the largest slice that the handler gets; default 500.
	MaxBatch int
	// DrainTimeout is how long handlers may finish what they have when partitions move to another member; default 3 s. It
	// must be well under SessionTimeout, because heartbeats have stopped by then.
	DrainTimeout time.Duration
	// StopTimeout is the same when the process stops; default 10 s.
	StopTimeout time.Duration
	// SessionTimeout is after what silence the group takes this member for dead; default 10 s.
	SessionTimeout time.Duration
	// Gate is asked before each fetch; while it says false nothing new is handed out and the partitions are kept. Nil:
	// open.
	Gate func() bool
	// Handler takes records of one partition, in their order. It is called by one goroutine for each partition of a
	// generation; while it blocks, nothing more of that partition is read. Each record's Done is called, by whom and
	// whenever, once its fate is durable. The context ends when the drain is over, not when it begins; then the handler
	// must return. A handler that panics ends the process: to swallow it would leave records without a fate.
	Handler func(ctx context.Context, batch []*delivery.Received)
}

func (c *ConsumerConfig) defaults() error {
	if c.Group == "" || c.Topic == "" || c.Handler == nil {
		return errors.New("kafka consumer: group, topic and handler are required")
	}
	c.MaxInFlight = orInt(c.MaxInFlight, 4000)
	c.MaxPerPart = orInt(c.MaxPerPart, 1000)
	c.MaxBatch = orInt(c.MaxBatch, 500)
	c.SessionTimeout = orDur(c.SessionTimeout, sessionTimeout)
	c.DrainTimeout = orDur(c.DrainTimeout, min(3*time.Second, c.SessionTimeout/3))
	c.StopTimeout = orDur(c.StopTimeout, 10*time.Second)
	if c.DrainTimeout > c.SessionTimeout/2 {
		return fmt.Errorf("kafka consumer %s: drain timeout %s must be at most half the session timeout %s", c.Group,
			c.DrainTimeout, c.SessionTimeout)
	}
	return nil
}

func orInt(v, d int) int {
	if v <= 0 {
		return d
	}
	return v
}

func orDur(v, d time.Duration) time.Duration {
	if v <= 0 {
		return d
	}
	return v
}

// Consumer reads jobs as a member of a group. See the package comment for what it promises.
type Consumer struct {
	client   *Client
	cfg      ConsumerConfig
	inFlight *slots
	handlers sync.WaitGroup
	fatal    context.CancelCauseFunc

	mu    sync.Mutex
	parts []*partition // of the running generation

	generations, skipped, commitFaults, fetchFaults, records atomic.Int64
}

// NewConsumer checks the settings. Run begins to read.
func NewConsumer(client *Client, cfg ConsumerConfig) (*Consumer, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	return &Consumer{client: client, cfg: cfg, inFlight: newSlots(cfg.MaxInFlight)}, nil
}

// Run reads until ctx ends, then drains, commits and leaves the group; it returns nil then. It returns an error that
// wraps ErrLost when the log is shorter than what was committed, and an error when handlers do not return. It is called
// once.
func (c *Consumer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.fatal = cancel
	m := &membership{
		client: c.client, group: c.cfg.Group, topic: c.cfg.Topic, session: c.cfg.SessionTimeout,
		serve: c.serve,
	}
	if err := m.run(ctx); err != nil {
		return err
	}
	if err := fatalCause(ctx); err != nil {
		return err
	}
	return c.waitHandlers()
}

// fatalCause is the reason that a part of Run itself gave for its end.
func fatalCause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && err != ctx.Err() { //nolint:errorlint // identity: nobody gave a reason
		return err
	}
	return nil
}

// waitHandlers waits for the handlers whose context has ended.
func (c *Consumer) waitHandlers() error {
	if !waitFor(time.Second, c.handlers.Wait) {
		return fmt.Errorf("kafka consumer %s: handlers did not return after their context ended", c.cfg.Group)
	}
	return nil
}

// serve is one generation: a goroutine for each partition, and the commits.
func (c *Consumer) serve(stop, gctx context.Context, gen *kafkago.Generation) {
	c.generations.Add(1)
	fetching, halt := context.WithCancel(gctx) // ends at whichever comes first; closes the sockets
	defer context.AfterFunc(stop, halt)()
	defer halt()
	working, cut := context.WithCancel(context.WithoutCancel(stop)) // the handlers' context
	defer cut()

	g := &generation{
		gen: gen, topic: c.cfg.Topic, settled: make(chan struct{}, 1), hurry: make(chan struct{}, 1), committed: map[int]int64{},
	}
	for _, a := range gen.Assignments[c.cfg.Topic] {
		g.parts = append(g.parts, newPartition(c, g, a))
	}
	c.setParts(g.parts)
	defer c.setParts(nil)
	for _, p := range g.parts {
		c.handlers.Go(func() { p.run(fetching, working) })
	}
	c.commitWhile(fetching, g)
	timeout := c.cfg.DrainTimeout
	if gctx.Err() == nil {
		timeout = c.cfg.StopTimeout
	}
	c.drain(gctx, g, timeout)
	cut()
	c.lastCommit(stop, g)
}

const (
	commitEvery = 250 * time.Millisecond
	commitPause = 20 * time.Millisecond // the shortest time between two commits
	// commitShare: a commit does not wait for its time when a partition has this part of MaxPerPart to commit.
	commitShare = 8
)

func (c *Consumer) commitWhile(ctx context.Context, g *generation) {
	t := time.NewTicker(commitEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-g.hurry:
			if sleep(ctx, commitPause) != nil {
				return
			}
		}
		c.commit(ctx, g)
	}
}

func (c *Consumer) commit(ctx context.Context, g *generation) bool {
	err := g.commit()
	if err != nil && ctx.Err() == nil {
		c.commitFaults.Add(1)
		c.client.log.WarnContext(ctx, "offsets are not committed; repeated with the next", "topic", c.cfg.Topic, "err", err)
	}
	return err == nil
}

// lastCommit has no second chance in this generation, so it tries again once.
func (c *Consumer) lastCommit(ctx context.Context, g *generation) {
	committed := c.commit(ctx, g)
	if !committed {
		committed = c.commit(ctx, g)
	}
	if !committed {
		c.client.log.WarnContext(ctx, "last offsets of a generation are not committed; records will come again",
			"topic", c.cfg.Topic)
	}
}

// drain waits until everything that was handed out is finished, at most for timeout.
func (c *Consumer) drain(gctx context.Context, g *generation, timeout time.Duration) {
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	ended := gctx.Done()
	if gctx.Err() != nil {
		ended = nil
	}
	for g.pending() > 0 {
		select {
		case <-g.settled:
		case <-limit.C:
			return
		case <-ended: // the group wants to go on without us: the shorter time counts from here
			ended = nil
			limit.Reset(c.cfg.DrainTimeout)
		}
	}
}

func (c *Consumer) setParts(list []*partition) {
	c.mu.Lock()
	c.parts = list
	c.mu.Unlock()
}

// generation is what the members agreed on for a while. Its watermarks are its own.
type generation struct {
	gen       *kafkago.Generation
	topic     string
	parts     []*partition
	settled   chan struct{} // something for the drain to look at
	hurry     chan struct{} // a partition has much to commit
	committed map[int]int64 // touched by the committing goroutine only
}

// commit writes the positions that moved. What fails stays to be written next time.
func (g *generation) commit() error {
	changed := map[int]int64{}
	passed := make([]int64, len(g.parts))
	for i, p := range g.parts {
		next, total := p.water.Passed()
		passed[i] = total
		if next >= 0 && next != p.assigned && next != g.committed[p.id] {
			changed[p.id] = next
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := g.gen.CommitOffsets(map[string]map[int]int64{g.topic: changed}); err != nil {
		return fmt.Errorf("commit offsets of %s: %w", g.topic, err)
	}
	for i, p := range g.parts {
		if next, ok := changed[p.id]; ok {
			g.committed[p.id] = next
			p.room.give(int(passed[i] - p.committed.Swap(passed[i])))
		}
	}
	return nil
}

func (g *generation) pending() int {
	n := 0
	for _, p := range g.parts {
		n += p.busy()
	}
	return n
}

// signal wakes whoever listens, now or at its next look.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
