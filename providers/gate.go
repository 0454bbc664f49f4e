package providers

import (
	"sync"
	"time"
)

// Gate closes an account for a while: briefly when the provider throttles, longer and longer when every message would
// fail. A closed gate delays messages, it never fails them.
type Gate struct {
	mu     sync.Mutex
	until  time.Time
	cause  string
	broken time.Time // until when the breaker is open
	fatals int       // in a row
}

const (
	throttlePause = time.Second
	breakerFirst  = 5 * time.Second
	breakerMost   = 5 * time.Minute
)

// Throttled closes the gate for as long as the provider asks, a second when it does not say.
func (g *Gate) Throttled(now time.Time, retryAfter time.Duration) {
	if retryAfter <= 0 {
		retryAfter = throttlePause
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.close(now.Add(retryAfter), "throttled")
}

// Fatal opens the breaker: the gate closes for 5 seconds, doubling up to 5 minutes while failures follow each other.
func (g *Gate) Fatal(now time.Time, cause string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.broken) { // answers of one burst count once
		return
	}
	g.broken = now.Add(min(breakerMost, breakerFirst<<min(g.fatals, 6)))
	g.fatals++
	g.close(g.broken, cause)
}

// Works says that the provider took a message: the next failure starts small again.
func (g *Gate) Works() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fatals = 0
}

// Closed is for how long the gate stays closed, and why; 0 means that it is open.
func (g *Gate) Closed(now time.Time) (time.Duration, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.until.Sub(now); left > 0 {
		return left, g.cause
	}
	return 0, ""
}

// close is called with the lock held.
func (g *Gate) close(until time.Time, cause string) {
	if until.After(g.until) {
		g.until, g.cause = until, cause
	}
}
