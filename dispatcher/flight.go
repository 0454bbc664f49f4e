package dispatcher

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/herald-gateway/herald/delivery"
)

// flight is the table of jobs that are in work in this process.
type flight struct {
	mu    sync.Mutex
	jobs  map[delivery.ID]*task
	calls map[chan struct{}]bool // that make claims ours and have not entered their tasks yet
}

func newFlight() *flight {
	return &flight{jobs: map[delivery.ID]*task{}, calls: map[chan struct{}]bool{}}
}

// begin notes a call that may make claims ours. The function that it returns is called when their tasks are entered.
func (f *flight) begin() (end func()) {
	call := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call] = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.calls, call)
		close(call)
	}
}

// entered returns when the tasks of all calls that run now are entered. A claim that was seen to be ours, and that is
// then not in the table, is in nobody's hands.
func (f *flight) entered(ctx context.Context) error {
	f.mu.Lock()
	calls := slices.Collect(maps.Keys(f.calls))
	f.mu.Unlock()
	for _, call := range calls {
		select {
		case <-call:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// start enters a task.
func (f *flight) start(t *task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs[t.id] = t
}

// join makes the task's records share the fate of the copy that is in work; false when there is none of that turn or a
// later one.
func (f *flight) join(t *task) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	other, ok := f.jobs[t.id]
	if !ok || other == t || other.turn < t.turn {
		return false
	}
	other.recs = append(other.recs, t.recs...)
	return true
}

// leave takes a task out and returns the records that hang on its fate. A copy of a later turn stays.
func (f *flight) leave(t *task) []*delivery.Received {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.jobs[t.id] == t {
		delete(f.jobs, t.id)
	}
	return t.recs
}

func (f *flight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.jobs)
}
