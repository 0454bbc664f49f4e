package kafka

import (
	"sort"
	"sync"
	"time"
)

// Watermark knows which offsets of one partition are finished, in whatever order they finish. It belongs to one
// generation of a group. It is safe for concurrent use.
type Watermark struct {
	mu    sync.Mutex
	ring  []mark // a power of two; grows when more is tracked than it holds
	head  int    // index of the lowest offset that is not passed
	count int    // offsets from head on
	open  int    // unfinished ones among them
	next  int64
	total int64 // offsets passed so far
}

type mark struct {
	offset int64
	at     int64 // Unix nanoseconds
	done   bool
}

// NewWatermark begins at the offset that will be read first. A negative one means that it is not known yet.
func NewWatermark(from int64, room int) *Watermark {
	size := 16
	for size < room {
		size <<= 1
	}
	return &Watermark{ring: make([]mark, size), next: from}
}

func (w *Watermark) at(i int) *mark { return &w.ring[(w.head+i)&(len(w.ring)-1)] }

// Track says that the record at an offset was read at a time. Offsets come in ascending order; gaps are allowed. It
// reports false, and does nothing, for an offset that is not above all that came before.
func (w *Watermark) Track(offset int64, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if offset < w.next && w.count == 0 || w.count > 0 && offset <= w.at(w.count-1).offset {
		return false
	}
	if w.count == len(w.ring) {
		w.grow()
	}
	if w.count == 0 {
		w.next = offset
	}
	w.count++
	w.open++
	*w.at(w.count - 1) = mark{offset: offset, at: now.UnixNano()}
	return true
}

func (w *Watermark) grow() {
	ring := make([]mark, 2*len(w.ring))
	for i := range w.count {
		ring[i] = *w.at(i)
	}
	w.ring, w.head = ring, 0
}

// Done says that the record at an offset is finished. It reports whether that was news, and how many offsets Next
// passed because of it. Offsets that were never tracked, or are finished already, are no news.
func (w *Watermark) Done(offset int64) (news bool, passed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := sort.Search(w.count, func(i int) bool { return w.at(i).offset >= offset })
	if i == w.count || w.at(i).offset != offset || w.at(i).done {
		return false, 0
	}
	w.at(i).done = true
	w.open--
	for w.count > 0 && w.ring[w.head].done {
		w.next = w.ring[w.head].offset + 1
		w.head = (w.head + 1) & (len(w.ring) - 1)
		w.count--
		passed++
	}
	w.total += int64(passed)
	if w.count > 0 {
		w.next = w.ring[w.head].offset
	}
	return true, passed
}

// Skip says that nothing is to be read below an offset: what lies between the last tracked one and it is no record. It
// has an effect only while nothing is pending.
func (w *Watermark) Skip(to int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 && to > w.next {
		w.next = to
	}
}

// Next is the offset to commit: the lowest unfinished one, or the one after the last tracked, or where it began.
func (w *Watermark) Next() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// Passed is Next together with how many tracked offsets it has passed so far.
func (w *Watermark) Passed() (next, total int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next, w.total
}

// Pending is how many offsets were tracked and are not yet passed by Next.
func (w *Watermark) Pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// Open is how many tracked offsets are unfinished.
func (w *Watermark) Open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// Oldest is when the lowest unfinished offset was read; zero when there is none.
func (w *Watermark) Oldest() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return time.Time{}
	}
	return time.Unix(0, w.ring[w.head].at)
}
