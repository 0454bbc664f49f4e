package tracking

import (
	"hash/maphash"
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
	maxEntries = 1 << 20
	// generation is how long an entry is kept at least; it is forgotten at the latest after twice that, or earlier when
	// there are too many.
	generation = 2 * time.Minute
)

// memory keeps recent acceptances. Each shard has a young and an old map; when the young one is full or old enough it
// takes the old one's place, so that nothing is ever searched for what to forget.
type memory struct {
	seed  maphash.Seed
	shard [shards]shard
}

type shard struct {
	mu    sync.Mutex
	young map[Key]Target
	old   map[Key]Target
	since time.Time
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

func (m *memory) of(k Key) *shard { return &m.shard[maphash.Comparable(m.seed, k)%shards] }

func (m *memory) put(k Key, t Target, now time.Time) {
	s := m.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxEntries/shards/2 || now.Sub(s.since) >= generation {
		s.old, s.young, s.since = s.young, map[Key]Target{}, now
	}
	s.young[k] = t
}

// len is how many acceptances are known.
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
	s := m.of(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.young[k]; ok {
		return t, true
	}
	t, ok := s.old[k]
	return t, ok
}
