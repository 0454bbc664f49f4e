package kafka

import (
	"context"
	"sync"
)

// slots is a semaphore that gives as many as it has, so that whole slices can be handed over.
type slots struct {
	mu   sync.Mutex
	free int
	size int
	wake chan struct{} // holds one token while something may be free
}

func newSlots(n int) *slots {
	return &slots{free: n, size: n, wake: make(chan struct{}, 1)}
}

// take waits until at least one is free and takes at most n. It reports false when ctx ended first.
func (s *slots) take(ctx context.Context, n int) (int, bool) {
	for ctx.Err() == nil {
		if got := s.tryTake(n); got > 0 {
			return got, true
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	signal(s.wake) // the token may have been meant for this one: let another look
	return 0, false
}

func (s *slots) tryTake(n int) int {
	s.mu.Lock()
	got := min(n, s.free)
	s.free -= got
	left := s.free
	s.mu.Unlock()
	if left > 0 {
		signal(s.wake)
	}
	return got
}

func (s *slots) give(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	s.free += n
	s.mu.Unlock()
	signal(s.wake)
}

func (s *slots) used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free
}
