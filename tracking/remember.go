package tracking

import (
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Key names a part of a message as its provider does.
type Key struct {
	Provider string
	Ref      string
}

// Target is the part of a message that a provider's id stands for. Parts is at least 1.
type Target struct {
	Message     delivery.ID
	Part, Parts int
}

const (
	shards     = 64
	maxEntries = 1 << 19
	// generation is how long an entry is kept at least; it is forgotten at the latest after twice that, or earlier when
	// there are too many.
	generation = 2 * time.Minute
)

// memory keeps recent acceptances. Each shard has a young and an old map; when the young one is full or old enough it
// takes the old one's place, so that nothing is ever searched for what to forget. Entries hold no pointers, so that the
// garbage collector has nothing to look at in half a million of them.
type memory struct {
	seeds [2]maphash.Seed
	shard [shards]shard
}

type shard struct {
	mu    sync.Mutex
	young map[fingerprint]entry
	old   map[fingerprint]entry
	since time.Time
}

// fingerprint stands for a key: 128 bits of two hashes with secret seeds, so that no two keys share one.
type fingerprint struct{ a, b uint64 }

// entry is a Target in 16 bytes.
type entry struct {
	message     delivery.ID
	part, parts uint8 // an SMS has at most 255
}

func newMemory() *memory {
	return &memory{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (m *memory) of(k Key) (*shard, fingerprint) {
	p := fingerprint{maphash.Comparable(m.seeds[0], k), maphash.Comparable(m.seeds[1], k)}
	return &m.shard[p.a%shards], p
}

func (m *memory) put(k Key, t Target, now time.Time) {
	if t.Parts > math.MaxUint8 {
		return // it is found in the database
	}
	s, p := m.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxEntries/shards/2 || now.Sub(s.since) >= generation {
		if s.old == nil {
			s.old = map[fingerprint]entry{}
		}
		s.old, s.young, s.since = s.young, s.old, now
		clear(s.young) // and keeps its memory: it will be as large again
	}
	s.young[p] = entry{t.Message, uint8(t.Part), uint8(t.Parts)} //nolint:gosec // at most 255
}

func (m *memory) len() (n int) {
	for i := range m.shard {
		s := &m.shard[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}

func (m *memory) get(k Key) (Target, bool) {
	s, p := m.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.young[p]
	if !ok {
		e, ok = s.old[p]
	}
	return Target{e.message, int(e.part), int(e.parts)}, ok
}
