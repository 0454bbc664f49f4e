package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// pace spaces repeats: the pause doubles from first to most, with jitter, so that those who wait for the same broker do
// not come back at once.
type pace struct {
	first, most time.Duration
	n           int
}

func (p *pace) reset() { p.n = 0 }

// wait pauses, or returns ctx's error when it ends first.
func (p *pace) wait(ctx context.Context) error {
	d := p.most
	if p.n < 20 && p.first<<p.n < p.most {
		d = p.first << p.n
	}
	p.n++
	return sleep(ctx, time.Duration(float64(d)*(0.8+0.4*rand.Float64()))) //nolint:gosec // spreading needs no secrecy
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
