package providers

import (
	"context"

	"golang.org/x/time/rate"
)

// Limiter paces what one account submits, in tokens: one per part. Tokens are handed out in small portions, a hundredth
// of a second's worth, so that a whole second never sees more than one percent above the rate, and a one-time code waits
// behind one portion of bulk at most.
type Limiter struct {
	limit *rate.Limiter // nil: no limit
	burst int
}

// NewLimiter makes a limiter of perSecond tokens a second; 0 means no limit.
func NewLimiter(perSecond float64) *Limiter {
	if perSecond <= 0 {
		return &Limiter{}
	}
	burst := max(1, int(perSecond/100))
	return &Limiter{limit: rate.NewLimiter(rate.Limit(perSecond), burst), burst: burst}
}

// Take waits for tokens and returns how many were granted: at least one, at most want and at most a portion. It fails
// only when ctx ends.
func (l *Limiter) Take(ctx context.Context, want int) (int, error) {
	if l.limit == nil {
		return want, nil
	}
	n := max(1, min(want, l.burst, int(l.limit.Tokens())))
	return n, l.limit.WaitN(ctx, n)
}

// Rate is the limit in tokens a second, 0 when there is none.
func (l *Limiter) Rate() float64 {
	if l.limit == nil {
		return 0
	}
	return float64(l.limit.Limit())
}
