package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/backoff"
)

// Deps is what a dispatcher works with.
type Deps struct {
	Claims     Claims
	Owner      *Ownership
	Fates      Fates
	Events     Writer // events and dead letters
	References References
	Accounts   []Account
	Now        func() time.Time
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

// Dispatcher takes the jobs of both lanes to the providers. Make it with New, run it with Run, feed it with Handle, and
// end it with Drain.
type Dispatcher struct {
	cfg        Config
	claims     Claims
	owner      *Ownership
	fates      Fates
	events     Writer
	references References
	now        func() time.Time
	log        *slog.Logger
	metrics    *metrics

	accounts  []*account
	byChannel map[delivery.Channel][]*account
	lanes     map[delivery.Lane]*lane
	flight    *flight

	draining atomic.Bool
	taking   context.Context    //nolint:containedctx // the life of the goroutines that take on more work
	stop     context.CancelFunc // ends taking
	working  context.Context    //nolint:containedctx // the life of those that finish what was taken
	cut      context.CancelFunc // ends working
	takers   sync.WaitGroup
	workers  sync.WaitGroup
}

// New makes a dispatcher.
func New(cfg Config, deps Deps) (*Dispatcher, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &Dispatcher{
		cfg: cfg, claims: deps.Claims, owner: deps.Owner, fates: deps.Fates, events: deps.Events,
		references: deps.References, now: deps.Now, log: deps.Log, metrics: newMetrics(deps.Metrics),
		byChannel: map[delivery.Channel][]*account{}, lanes: map[delivery.Lane]*lane{}, flight: newFlight(),
	}
	d.working, d.cut = context.WithCancel(context.Background())
	d.taking, d.stop = context.WithCancel(d.working)
	for _, a := range deps.Accounts {
		acc := newAccount(a)
		d.accounts = append(d.accounts, acc)
		ch := acc.Capability().Channel
		d.byChannel[ch] = append(d.byChannel[ch], acc)
	}
	for _, l := range delivery.Lanes() {
		d.lanes[l] = newLane(l, cfg.Lanes[l])
	}
	d.watchQueues(deps.Metrics)
	return d, nil
}

// Start starts the goroutines of both lanes.
func (d *Dispatcher) Start() {
	for _, l := range d.lanes {
		for range l.cfg.Workers {
			d.takers.Go(func() { d.work(d.taking, l) })
		}
		d.takers.Go(func() { d.resolveMet(d.taking, l) })
		for range reporters {
			d.workers.Go(func() { d.reportLoop(d.working, l) })
		}
		for _, a := range d.accounts {
			d.takers.Go(func() { d.sendLoop(d.taking, a, l) })
		}
	}
}

// Handle takes records of a lane. It blocks when the lane has enough to do, and returns without taking them when ctx or
// the dispatcher ends; their offsets are then not done, and they are read again.
func (d *Dispatcher) Handle(ctx context.Context, lane delivery.Lane, batch []*delivery.Received) {
	select {
	case d.lanes[lane].inbox <- batch:
	case <-ctx.Done():
	case <-d.taking.Done():
	}
}

// Open says that the dispatcher takes records. It is false while it drains.
func (d *Dispatcher) Open() bool { return !d.draining.Load() }

// InFlight is how many jobs are in work.
func (d *Dispatcher) InFlight() int { return d.flight.len() }

// Drain ends the dispatcher. What is in work may finish for half of the time that ctx leaves; then nothing more is
// handed over, and answers are awaited. Whatever has no answer at the end is in doubt: marketing messages are recorded
// unknown, transactional ones are left to whoever takes over. What was not handed over is simply not done, and goes on
// elsewhere. Records must not be fetched any more when Drain is called.
func (d *Dispatcher) Drain(ctx context.Context) error {
	d.draining.Store(true)
	half, cancel := context.WithDeadline(ctx, middle(ctx))
	d.waitIdle(half)
	cancel()

	d.stop()
	d.takers.Wait()
	closing, cancel := context.WithDeadline(ctx, middle(ctx))
	defer cancel()
	var errs []error
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, a := range d.accounts {
		wg.Go(func() {
			err := a.Close(closing)
			if errors.Is(err, context.DeadlineExceeded) { // the provider's silence is no fault of the stop
				d.log.WarnContext(ctx, "messages are in doubt after the stop", "provider", a.Name(), "err", err)
				return
			}
			if err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	d.waitReported(ctx)
	if err := d.unmarkQueued(ctx); err != nil {
		errs = append(errs, err)
	}
	d.cut()
	d.workers.Wait()
	return errors.Join(errs...)
}

// unmarkQueued takes the hand-over mark back from what still waits in the queues: messages that were throttled, or that
// a closing connection never took. Nothing of them left, so that whoever takes them over need not doubt.
func (d *Dispatcher) unmarkQueued(ctx context.Context) error {
	var ids []delivery.ID
	for _, a := range d.accounts {
		for _, q := range a.queues {
			for _, t := range q.takeAll() {
				if !t.marked.IsZero() {
					ids = append(ids, t.id)
				}
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return d.claims.Unmark(ctx, d.owner.ID(), ids)
}

// middle is half-way between now and ctx's deadline.
func middle(ctx context.Context) time.Time {
	at, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(5 * time.Second)
	}
	return time.Now().Add(time.Until(at) / 2)
}

func (d *Dispatcher) waitIdle(ctx context.Context) {
	poll(ctx, func() bool {
		for _, l := range d.lanes {
			if len(l.inbox) > 0 || l.collecting.Load() > 0 || l.met.len() > 0 {
				return false
			}
		}
		return d.flight.len() == 0
	})
}

// waitReported waits until every answer is written and settled.
func (d *Dispatcher) waitReported(ctx context.Context) {
	poll(ctx, func() bool {
		for _, l := range d.lanes {
			if l.reports.len() > 0 || l.settling.Load() > 0 {
				return false
			}
		}
		return true
	})
}

func poll(ctx context.Context, done func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// write puts records on the log. What the broker refuses, such as a topic that somebody deleted, is repeated like an
// outage: a task that was given up here would hold its partition for ever. Events that are written twice count once.
func (d *Dispatcher) write(ctx context.Context, records []delivery.Record) error {
	return d.persist(ctx, "write to the log", func(ctx context.Context) error { return d.events.Write(ctx, records) })
}

// persist repeats a call of the store until it succeeds, is refused for good (ErrBad), or ctx ends.
func (d *Dispatcher) persist(ctx context.Context, what string, call func(context.Context) error) error {
	var pause backoff.Backoff
	for {
		err := call(ctx)
		if err == nil || errors.Is(err, ErrBad) || ctx.Err() != nil {
			return err
		}
		d.metrics.storeErrors.Inc()
		d.log.WarnContext(ctx, "store away, waiting", "call", what, "err", err)
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}
