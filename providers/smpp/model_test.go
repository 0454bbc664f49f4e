package smpp_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/smpp"
)

// model plays an SMSC at random and remembers what it did to whom.
type model struct {
	*world
	rng  *rand.Rand
	peer *peer

	mu       sync.Mutex
	open     []frame // read and not answered
	read     map[string]int
	accepted map[string]int
	messages map[string]*providers.Message // by their text
	number   int
}

// TestModel walks at random through submits, answers, silence and cuts, and checks the session's promises at each step.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(c *smpp.Config) { c.Window, c.RespTimeout = 6, 5*time.Second }, func(w *world) {
				w.Listen(w.sink)
				m := &model{
					world: w, rng: rand.New(rand.NewPCG(seed, 7)), read: map[string]int{}, accepted: map[string]int{},
					messages: map[string]*providers.Message{},
				}
				for range 300 {
					m.step()
					m.check()
				}
				m.end()
			})
		})
	}
}

func (m *model) step() {
	if m.peer == nil {
		m.connect()
		return
	}
	switch n := m.rng.IntN(100); {
	case n < 45:
		m.send()
	case n < 80:
		m.answer()
	case n < 90:
		m.pass(time.Duration(m.rng.IntN(3000)) * time.Millisecond)
	case n < 93:
		m.pass(6 * time.Second) // silence
	case n < 95:
		m.peer.send(deliver, 0, 1+m.rng.Uint32N(1000), string(deliverBody(4, 0, "id:1 stat:DELIVRD")))
	case n < 97:
		m.peer.send(submit|resp, 0, 1+m.rng.Uint32N(1000)+1<<20, "foreign\x00")
	default:
		_ = m.peer.Close()
	}
	synctest.Wait()
}

// connect takes the next connection and reads from it what comes, until it ends.
func (m *model) connect() {
	p := m.bound()
	m.peer = p
	go func() {
		for {
			f, ok := p.tryRecv()
			if !ok {
				break
			}
			m.mu.Lock()
			switch f.command {
			case submit:
				m.open = append(m.open, f)
				m.read[key(f)]++
			case enquire:
				go p.send(enquire|resp, 0, f.sequence, "")
			}
			m.mu.Unlock()
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.open, m.peer = nil, nil
	}()
}

// key is the number of the message that stands at the start of each part's text.
func key(f frame) string {
	s := f.short()
	if s[0] == 5 {
		s = s[6:]
	}
	k, _, _ := strings.Cut(s, " ")
	return k
}

// send submits a message of one part, or of two.
func (m *model) send() {
	m.number++
	k := strconv.Itoa(m.number)
	body := k + " short"
	if m.rng.IntN(4) == 0 {
		body = fmt.Sprintf("%-153s%s rest", k, k) // both parts begin with the number
	}
	msg := text("1", body)
	ctx, cancel := context.WithTimeout(m.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Submit(ctx, msg, m.done); err == nil {
		m.messages[k] = msg
	}
}

// answer answers one of the open PDUs, in any order, in any way, also when it is late.
func (m *model) answer() {
	m.mu.Lock()
	if len(m.open) == 0 || m.peer == nil {
		m.mu.Unlock()
		return
	}
	i := m.rng.IntN(len(m.open))
	f, p := m.open[i], m.peer
	m.open = append(m.open[:i], m.open[i+1:]...)
	status := []uint32{0, 0, 0, 0, 0x58, 0x0b, 0x64, 0x14}[m.rng.IntN(8)]
	if status == 0 {
		m.accepted[key(f)]++
	}
	m.mu.Unlock()
	if status == 0 {
		p.accept(f, key(f))
		return
	}
	p.send(submit|resp, status, f.sequence, "")
}

// check looks at the promises that hold at every moment.
func (m *model) check() {
	m.Helper()
	synctest.Wait()
	flying, zombies, held := smpp.RingState(m.Provider)
	require.LessOrEqual(m.T, flying, 6)
	require.Equal(m.T, flying+zombies, held, "each slot of the ring is counted")
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, msg := range m.messages {
		r, ok := m.results[msg.ID]
		if !ok {
			continue
		}
		parts := m.Provider.(providers.Sizer).Size(msg)
		switch {
		case r.Outcome == delivery.OutcomeAccepted:
			require.Equal(m.T, parts, r.Parts)
			require.Equal(m.T, parts, m.accepted[k], "each part was accepted once")
		case r.NotAttempt && r.Detail == "not sent" && parts == 1:
			require.Zero(m.T, m.read[k], "the peer never saw it")
		case r.Outcome != delivery.OutcomeUnknown:
			require.Equal(m.T, r.Parts, m.accepted[k], "what is billed was accepted: %+v", r)
		}
	}
}

// end closes the account: everything that was taken is done.
func (m *model) end() {
	ctx, cancel := context.WithTimeout(m.Context(), time.Second)
	defer cancel()
	_ = m.Close(ctx)
	m.check()
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	require.Len(m.T, m.results, len(m.messages))
	receipts, _ := m.sink.Got()
	for _, r := range receipts {
		if r.State == delivery.ReceiptAccepted {
			require.Equal(m.T, delivery.OutcomeUnknown, m.results[r.Message].Outcome, "only what was in doubt is told late")
		}
	}
}
