package smpp

import (
	"sync"
	"time"
)

const (
	healthSeconds = 10
	healthAtLeast = 20 // answers, before a share means anything
)

// health watches how many of the last ten seconds' answers were system errors.
type health struct {
	mu      sync.Mutex
	buckets [healthSeconds]struct {
		second   int64
		all, bad int
	}
}

// count counts an answer and says whether more than half of the recent ones were system errors.
func (h *health) count(bad bool) bool {
	second := time.Now().Unix()
	h.mu.Lock()
	defer h.mu.Unlock()
	b := &h.buckets[second%healthSeconds]
	if b.second != second {
		b.second, b.all, b.bad = second, 0, 0
	}
	b.all++
	if !bad {
		return false // only a system error asks for the share
	}
	b.bad++
	all, errs := 0, 0
	for i := range h.buckets {
		if b := &h.buckets[i]; second-b.second < healthSeconds {
			all += b.all
			errs += b.bad
		}
	}
	return all >= healthAtLeast && errs*2 > all
}
