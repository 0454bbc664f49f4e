package providers

import (
	"context"
	"sync"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Window counts what one account has in flight, in slots: a message takes one slot, a long SMS one per part. The
// provider sets its size as connections come and go; size 0 means that nothing can be sent now. The dispatcher takes
// slots before it submits and gives them back when the message is done. A tenth, at least one slot, is kept for the
// transactional lane, so that a one-time code never waits behind a full bulk window.
type Window struct {
	mu      sync.Mutex
	size    int
	used    int
	changed chan struct{} // closed and replaced whenever room may have grown
}

// NewWindow makes a window of size 0.
func NewWindow() *Window { return &Window{changed: make(chan struct{})} }

// SetSize sets how many slots there are. Slots in use stay in use; a smaller window is reached as they come back.
func (w *Window) SetSize(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size = max(0, n)
	w.wake()
}

// Size is how many slots there are.
func (w *Window) Size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Used is how many slots are in use.
func (w *Window) Used() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.used
}

// Take takes n slots when there is room for the lane. A message larger than the whole window fits when nothing else is
// in flight.
func (w *Window) Take(lane delivery.Lane, n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.room(lane)
	if n > room && (w.used > 0 || room == 0) {
		return false
	}
	w.used += n
	return true
}

// Release gives n slots back.
func (w *Window) Release(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used -= n
	w.wake()
}

// Wait waits until the lane has room for want slots (at most half the window), or until patience is over, and returns
// the room there is then. It returns early when ctx ends. Small chunks are dear, so that it pays to wait a little.
func (w *Window) Wait(ctx context.Context, lane delivery.Lane, want int, patience time.Duration) int {
	var timeout <-chan time.Time
	for {
		w.mu.Lock()
		room, changed := w.room(lane), w.changed
		enough := max(1, min(want, w.size/2))
		w.mu.Unlock()
		if room >= enough {
			return room
		}
		if timeout == nil {
			t := time.NewTimer(patience)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			return room
		case <-ctx.Done():
			return room
		}
	}
}

// reserve is how many slots of a window of this size are kept for the transactional lane.
func reserve(size int) int {
	if size < 2 {
		return 0
	}
	return max(1, size/10)
}

func (w *Window) room(lane delivery.Lane) int {
	limit := w.size
	if lane == delivery.LaneBulk {
		limit -= reserve(w.size)
	}
	return max(0, limit-w.used)
}

func (w *Window) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}
