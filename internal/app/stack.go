package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// stack is what has been started, to be stopped in reverse order. Each step has its own time limit, so that one that
// hangs does not keep the others from stopping.
type stack struct {
	log   *slog.Logger
	steps []step
}

type step struct {
	name  string
	limit time.Duration
	stop  func(context.Context) error
}

func (s *stack) push(name string, limit time.Duration, stop func(context.Context) error) {
	s.steps = append(s.steps, step{name, limit, stop})
}

// run starts a goroutine whose end is a step: its context is cancelled and it is awaited.
func (s *stack) run(name string, limit time.Duration, run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	s.push(name, limit, func(ctx context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// unwind stops everything. A step that fails or takes too long is logged and does not keep the others from stopping.
func (s *stack) unwind(ctx context.Context) error {
	var errs []error
	for _, st := range slices.Backward(s.steps) {
		limited, cancel := context.WithTimeout(ctx, st.limit)
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- st.stop(limited) }()
		var err error
		select {
		case err = <-done:
		case <-limited.Done():
			err = limited.Err()
		}
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", st.name, err))
		}
		s.log.DebugContext(ctx, "stopped", "step", st.name, "took", time.Since(began).String())
	}
	s.steps = nil
	return errors.Join(errs...)
}
