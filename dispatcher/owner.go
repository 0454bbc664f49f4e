package dispatcher

import (
	"context"
	"log/slog"
	"slices"
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
	member  string
	log     *slog.Logger
	sendOff func(ctx context.Context, members []string)

	mu      sync.Mutex
	current Owner
}

// NewOwnership makes the ownership of a process. member is how Kafka knows the process in its groups; sendOff gets the
// members of dead owners, so that no group waits for them.
func NewOwnership(
	store Owners, process, member string, log *slog.Logger, sendOff func(ctx context.Context, members []string),
) *Ownership {
	return &Ownership{store: store, process: process, member: member, log: log, sendOff: sendOff}
}

// Register makes this process an owner. It repeats until it succeeds or ctx ends. Nothing may be claimed before.
func (o *Ownership) Register(ctx context.Context) error {
	var pause backoff.Backoff
	for {
		owner, err := o.store.Register(ctx, o.process, o.member)
		if err == nil {
			o.mu.Lock()
			o.current = owner
			o.mu.Unlock()
			o.log.InfoContext(ctx, "registered as owner", "owner", owner.ID, "process", owner.Process)
			o.bury(ctx, owner.Gone)
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

// bury sends the dead owners' members away. A process that was declared dead and goes on keeps its own.
func (o *Ownership) bury(ctx context.Context, gone []string) {
	gone = slices.DeleteFunc(gone, func(m string) bool { return m == o.member })
	if len(gone) > 0 {
		o.sendOff(ctx, gone)
	}
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
		alive, err := o.store.Beat(ctx, o.ID())
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
			gone, err := o.store.Reap(ctx, silence)
			if err != nil {
				o.log.WarnContext(ctx, "cannot look for dead owners", "err", err)
			}
			o.bury(ctx, gone)
		}
	}
}

// Retire ends the ownership: whatever is unfinished may be taken over at once.
func (o *Ownership) Retire(ctx context.Context) error { return o.store.Retire(ctx, o.ID()) }
