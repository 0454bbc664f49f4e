// Package backoff paces repeats: the pause doubles from a first to a longest one, with jitter, so that many who wait for
// the same thing do not come back at once.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pace of one series of repeats. The zero value begins at 100 ms and ends at 5 s. It is not safe for
// concurrent use.
type Backoff struct {
	First time.Duration // the first pause, 100 ms when 0
	Most  time.Duration // the longest pause, 5 s when 0
	n     int
}

// Next is the pause before the next try: within 20 % of First doubled for each call so far, at most Most.
func (b *Backoff) Next() time.Duration {
	first, most := b.First, b.Most
	if first <= 0 {
		first = 100 * time.Millisecond
	}
	if most <= 0 {
		most = 5 * time.Second
	}
	d := most
	if b.n < 30 && first<<b.n < most {
		d = first << b.n
	}
	b.n++
	return Jitter(d)
}

// Reset begins the series anew, after a success.
func (b *Backoff) Reset() { b.n = 0 }

// Wait pauses for Next, or until ctx ends, and then returns ctx's error.
func (b *Backoff) Wait(ctx context.Context) error {
	t := time.NewTimer(b.Next())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Jitter spreads d by 20 % to either side.
func Jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreading needs no secrecy
}
