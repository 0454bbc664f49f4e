package dispatcher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-gateway/herald/internal/backoff"
)

const (
	heartbeat = 2 * time.Second
	// silence is how long an owner may be unseen before others declare it dead.
	silence = 15 * time.Second
)

// Ownership is this process's row among the owners: it registers, sends heartbeats, and declares silent owners dead. A
// process that finds itself dead goes on as a new owner; what it had not handed over comes to it again like any claim
// of a dead owner.
type Ownership struct {
	store   Owners
	process string
	log     *slog.Logger
	sendOff func(ctx context.Context, members []string) // sends Kafka members of dead owners away

	mu      sync.Mutex
	current Owner
	members map[string]string // consumer → its member id
}

// NewOwnership makes the ownership of a process. sendOff gets the Kafka members of dead predecessors, so that the group
// does not wait for them.
func NewOwnership(
	store Owners, process string, log *slog.Logger, sendOff func(ctx context.Context, members []string),
) *Ownership {
	return &Ownership{store: store, process: process, log: log, sendOff: sendOff, members: map[string]string{}}
}

// Register makes this process an owner. It repeats until it succeeds or ctx ends. Nothing may be claimed before.
func (o *Ownership) Register(ctx context.Context) error {
	var pause backoff.Backoff
	for {
		owner, err := o.store.Register(ctx, o.process)
		if err == nil {
			o.mu.Lock()
			o.current = owner
			o.mu.Unlock()
			o.log.InfoContext(ctx, "registered as owner", "owner", owner.ID, "process", owner.Process)
			if len(owner.Gone) > 0 {
				o.sendOff(ctx, owner.Gone)
			}
			return nil
		}
		o.log.WarnContext(ctx, "cannot register as owner, waiting", "err", err)
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// ID is the owner's number now.
func (o *Ownership) ID() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.current.ID
}

// Joined remembers the Kafka member id of one of the process's consumers. It is in the store with the next heartbeat.
func (o *Ownership) Joined(consumer, member string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.members[consumer] = member
}

// Run sends heartbeats until ctx ends. Others are declared dead only by a process that has itself had the store all the
// time that they were silent: after an outage of the store everybody gets as long to show that he lives.
func (o *Ownership) Run(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	healthy, last := 0, time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if time.Since(last) > 2*heartbeat {
			healthy = 0 // this process was stopped, and perhaps the others with it
		}
		last = time.Now()
		alive, err := o.store.Beat(ctx, o.ID(), o.memberIDs())
		if err != nil {
			healthy = 0
			continue
		}
		if !alive {
			o.log.WarnContext(ctx, "declared dead by another process, going on as a new owner", "owner", o.ID())
			if err := o.Register(ctx); err != nil {
				return
			}
			healthy = 0
			continue
		}
		if healthy++; time.Duration(healthy)*heartbeat > silence {
			if err := o.store.Reap(ctx, silence); err != nil {
				o.log.WarnContext(ctx, "cannot look for dead owners", "err", err)
			}
		}
	}
}

// Retire ends the ownership: whatever is unfinished may be taken over at once.
func (o *Ownership) Retire(ctx context.Context) error { return o.store.Retire(ctx, o.ID()) }

func (o *Ownership) memberIDs() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := make([]string, 0, len(o.members))
	for _, id := range o.members {
		ids = append(ids, id)
	}
	return ids
}
