package dispatcher

import (
	"sync/atomic"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// Account is a provider with what paces it.
type Account struct {
	Provider providers.Provider
	Window   *providers.Window
	Limiter  *providers.Limiter
}

// account is an Account in work.
type account struct {
	providers.Provider
	window  *providers.Window
	limiter *providers.Limiter
	gate    providers.Gate
	sizer   providers.Sizer // nil: every message takes one slot
	queues  map[delivery.Lane]*queue[*task]
	// unacked counts slots whose message was submitted and whose event is not yet acknowledged. It is capped at two
	// windows: what is in flight, and as much again that was answered. So a crash leaves no more than that in doubt.
	unacked atomic.Int64
}

func newAccount(a Account) *account {
	acc := &account{
		Provider: a.Provider, window: a.Window, limiter: a.Limiter, queues: map[delivery.Lane]*queue[*task]{},
	}
	acc.sizer, _ = a.Provider.(providers.Sizer)
	for _, lane := range delivery.Lanes() {
		acc.queues[lane] = newQueue[*task]()
	}
	return acc
}

func (a *account) size(m *providers.Message) int {
	if a.sizer == nil {
		return 1
	}
	return max(1, a.sizer.Size(m))
}

// unackedMax is how many slots may be unacked.
func (a *account) unackedMax() int { return 2 * a.window.Size() }

// settled says that the task's event is acknowledged, or that nothing of it left.
func (a *account) settled(t *task) {
	if t.unacked {
		t.unacked = false
		a.unacked.Add(-int64(t.size))
	}
}
