package dispatcher

import (
	"context"
	"sync"
)

// queue is a list with a signal. It is bounded by the number of records that consumers let into the process.
type queue[T any] struct {
	mu     sync.Mutex
	list   []T
	signal chan struct{} // capacity 1
}

func newQueue[T any]() *queue[T] { return &queue[T]{signal: make(chan struct{}, 1)} }

// push adds items at the end.
func (q *queue[T]) push(items ...T) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	q.list = append(q.list, items...)
	q.mu.Unlock()
	q.wake()
}

// pushFront gives back items that were taken, so that they come first again.
func (q *queue[T]) pushFront(items ...T) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	q.list = append(append(make([]T, 0, len(items)+len(q.list)), items...), q.list...)
	q.mu.Unlock()
	q.wake()
}

// take removes items from the front as long as accept says yes.
func (q *queue[T]) take(accept func(T) bool) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.list) && accept(q.list[n]) {
		n++
	}
	taken := q.list[:n:n]
	q.list = q.list[n:]
	if len(q.list) > 0 {
		q.wake()
	}
	return taken
}

// takeAll empties the queue.
func (q *queue[T]) takeAll() []T { return q.take(func(T) bool { return true }) }

func (q *queue[T]) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.list)
}

// wait returns when there is something to take; false when ctx ends.
func (q *queue[T]) wait(ctx context.Context) bool {
	for ctx.Err() == nil {
		if q.len() > 0 {
			return true
		}
		select {
		case <-q.signal:
		case <-ctx.Done():
		}
	}
	return false
}

func (q *queue[T]) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}
