package dispatcher

import (
	"context"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

const (
	// roomPatience is how long a sender waits for half a window of room: marks in small chunks cost several times more.
	roomPatience = 5 * time.Millisecond
	// markLife is how old a hand-over mark may be when the bytes leave. A process that was stopped in between has
	// perhaps been declared dead meanwhile.
	markLife = 10 * time.Second
	// downPoll is how often a sender looks again whether a provider that is down has come back.
	downPoll = 100 * time.Millisecond
)

// enqueue puts tasks into the queues of their accounts.
func (d *Dispatcher) enqueue(tasks []*task) {
	now := d.now()
	for _, t := range tasks {
		t.queued = now
		t.account.queues[t.lane].push(t)
	}
}

// sendLoop hands one lane's messages to one account until ctx ends: room in the window, tokens of the rate, the mark,
// then Submit, in this order.
func (d *Dispatcher) sendLoop(ctx context.Context, a *account, l *lane) {
	q := a.queues[l.id]
	var down time.Time // since when the account cannot be sent to; zero: it can
	for q.wait(ctx) {
		usable, cause := d.usable(a)
		if usable {
			down = time.Time{}
		} else {
			if down.IsZero() {
				down = d.now()
			}
			if err := d.waitDown(ctx, q, down, cause); err != nil {
				return
			}
			continue
		}
		chunk, err := d.takeChunk(ctx, a, q)
		if err != nil || len(chunk) == 0 {
			continue
		}
		chunk, err = d.mark(ctx, chunk)
		if err != nil {
			d.putBack(a, q, chunk)
			return
		}
		d.submit(ctx, a, q, chunk)
	}
}

// usable says that the account can be sent to now, or why it cannot.
func (d *Dispatcher) usable(a *account) (ok bool, cause string) {
	closed, cause := a.gate.Closed(d.now())
	if closed <= 0 && a.window.Size() > 0 {
		return true, ""
	}
	if cause == "" {
		cause = "not connected"
	}
	return false, a.Name() + ": " + cause
}

// waitDown waits a little for an account that has been down since then. When that is long enough, it gives up what has
// waited as long in memory. A slow provider with a long queue is not down: time in the queue alone does not count.
func (d *Dispatcher) waitDown(ctx context.Context, q *queue[*task], down time.Time, cause string) error {
	if late := d.now().Add(-d.cfg.HoldAfter); down.Before(late) {
		given := d.giveUpWaiting(q.take(func(t *task) bool { return t.queued.Before(late) }), cause)
		again, err := d.conclude(ctx, given)
		if err != nil {
			return err
		}
		if err := d.links(ctx, again); err != nil {
			return err
		}
	}
	pause(ctx, downPoll)
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// giveUpWaiting decides about messages whose provider has been down too long to keep them in memory: they are held, and
// when the patience for providers that are down is over, the link cannot be used. A record may have waited for hours
// before it was read, so that a message's age is not enough: it was also held so often that it makes up the patience.
func (d *Dispatcher) giveUpWaiting(tasks []*task, cause string) []*task {
	now := d.now()
	longest := d.cfg.HoldAfter + 2*d.cfg.HoldFor // of one hold, with the time in memory before it
	for _, t := range tasks {
		switch {
		case !now.Before(t.expires):
			t.expire()
		case now.Sub(later(t.start, t.begins(d.cfg.Zone))) > d.cfg.Patience &&
			time.Duration(t.turn)*longest >= d.cfg.Patience:
			t.suppress(delivery.ReasonProviderDown, cause)
		default:
			until := now.Add(d.cfg.HoldFor + time.Duration(int64(t.id/delivery.MessagesPerJob)%int64(d.cfg.HoldFor)))
			t.hold(delivery.ReasonProviderDown, earlier(until, t.expires), cause)
		}
	}
	return tasks
}

// takeChunk takes what fits into the window and the rate now, at least one message.
func (d *Dispatcher) takeChunk(ctx context.Context, a *account, q *queue[*task]) ([]*task, error) {
	lane, first := delivery.LaneBulk, 1
	q.take(func(t *task) bool { lane, first = t.lane, t.size; return false })
	room := a.window.Wait(ctx, lane, max(first, q.len()), roomPatience)
	room = min(room, a.unackedMax()-int(a.unacked.Load()))
	if room <= 0 || room < first && a.window.Used() > 0 { // no tokens are taken for a message that has no room
		pause(ctx, roomPatience)
		return nil, nil
	}
	tokens, err := a.limiter.Take(ctx, min(room, q.len()))
	if err != nil {
		return nil, err
	}
	now, left := d.now(), tokens
	var late []*task
	chunk := q.take(func(t *task) bool {
		if !now.Before(t.expires) {
			late = append(late, t)
			return true
		}
		if left <= 0 || !a.window.Take(lane, t.size) {
			return false
		}
		left -= t.size
		return true
	})
	if more := -left; more > 0 { // the last message had more parts than tokens were left
		for more > 0 {
			n, err := a.limiter.Take(ctx, more)
			if err != nil {
				break
			}
			more -= n
		}
	}
	for _, t := range late {
		t.expire()
	}
	d.decide(late)
	return without(chunk, late), nil
}

// mark writes the hand-over mark. Tasks whose claim is not ours any more give their slots back and are looked at anew.
func (d *Dispatcher) mark(ctx context.Context, chunk []*task) ([]*task, error) {
	ids := make([]delivery.ID, len(chunk))
	for i, t := range chunk {
		ids[i] = t.id
	}
	var ours []delivery.ID
	err := d.persist(ctx, "hand-over mark", func(ctx context.Context) (err error) {
		ours, err = d.claims.Mark(ctx, d.owner.ID(), ids)
		return err
	})
	if err != nil {
		return chunk, err
	}
	now := d.now()
	if len(ours) == len(chunk) {
		for _, t := range chunk {
			t.marked = now
		}
		return chunk, nil
	}
	still := make(map[delivery.ID]bool, len(ours))
	for _, id := range ours {
		still[id] = true
	}
	kept := chunk[:0:0]
	for _, t := range chunk {
		if still[t.id] {
			t.marked = now
			kept = append(kept, t)
			continue
		}
		t.account.window.Release(t.size)
		d.lost(t)
	}
	return kept, nil
}

// lost gives a task whose claim is somebody else's, or a dead owner's, to the resolver.
func (d *Dispatcher) lost(t *task) {
	t.recs = d.flight.leave(t)
	d.lanes[t.lane].met.push(t)
}

// submit hands marked messages over.
func (d *Dispatcher) submit(ctx context.Context, a *account, q *queue[*task], chunk []*task) {
	for i, t := range chunk {
		if d.now().Sub(t.marked) > markLife {
			d.putBack(a, q, chunk[i:])
			return
		}
		t.unacked = true
		a.unacked.Add(int64(t.size))
		t.msg.Attempt = t.attempt + 1
		began := d.now()
		d.metrics.jobAge.WithLabelValues(t.lane.String()).Observe(began.Sub(t.written).Seconds())
		err := a.Submit(ctx, t.msg, func(_ *providers.Message, r providers.Result) { d.answered(a, t, r, began) })
		if err != nil {
			d.log.DebugContext(ctx, "submit refused, waiting", "provider", a.Name(), "err", err)
			a.settled(t)
			d.putBack(a, q, chunk[i:])
			return
		}
	}
}

// putBack gives the slots of messages that did not leave back, and makes them first in their queue.
func (d *Dispatcher) putBack(a *account, q *queue[*task], tasks []*task) {
	for _, t := range tasks {
		a.window.Release(t.size)
	}
	q.pushFront(tasks...)
}

func without(list, drop []*task) []*task {
	if len(drop) == 0 {
		return list
	}
	gone := make(map[*task]bool, len(drop))
	for _, t := range drop {
		gone[t] = true
	}
	kept := list[:0:0]
	for _, t := range list {
		if !gone[t] {
			kept = append(kept, t)
		}
	}
	return kept
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
