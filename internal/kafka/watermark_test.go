package kafka_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/internal/kafka"
)

// model is a watermark as one would write it without a thought for its cost.
type model struct {
	start   int64
	tracked []int64
	done    map[int64]bool
}

func (m *model) next() int64 {
	for _, o := range m.tracked {
		if !m.done[o] {
			return o
		}
	}
	if n := len(m.tracked); n > 0 {
		return m.tracked[n-1] + 1
	}
	return m.start
}

func (m *model) pending() int {
	n := 0
	for _, o := range m.tracked {
		if o >= m.next() {
			n++
		}
	}
	return n
}

type pair struct {
	m    *model
	w    *kafka.Watermark
	last int64
}

func newPair(start int64, room int) *pair {
	return &pair{m: &model{start: start, done: map[int64]bool{}}, w: kafka.NewWatermark(start, room), last: start - 1}
}

func (p *pair) track(t require.TestingT, gap int64) {
	p.last += 1 + gap
	require.True(t, p.w.Track(p.last, time.Unix(p.last, 0)))
	require.False(t, p.w.Track(p.last, time.Unix(0, 0)), "a second time")
	p.m.tracked = append(p.m.tracked, p.last)
}

func (p *pair) finish(t require.TestingT, offset int64) {
	known := false
	for _, o := range p.m.tracked {
		known = known || o == offset
	}
	before := p.m.pending()
	news := known && !p.m.done[offset]
	if known {
		p.m.done[offset] = true
	}
	got, passed := p.w.Done(offset)
	require.Equal(t, news, got)
	require.Equal(t, before-p.m.pending(), passed)
}

func (p *pair) check(t require.TestingT) {
	open := 0
	for _, o := range p.m.tracked {
		if !p.m.done[o] {
			open++
		}
	}
	require.Equal(t, p.m.next(), p.w.Next())
	require.Equal(t, p.m.pending(), p.w.Pending())
	require.Equal(t, open, p.w.Open())
	require.Equal(t, p.w.Pending() == 0, p.w.Oldest().IsZero())
	if open > 0 {
		require.True(t, p.w.Oldest().Equal(time.Unix(p.m.next(), 0)))
	}
}

func TestWatermark_Model(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(rapid.Int64Range(0, 1000).Draw(t, "start"), rapid.IntRange(0, 40).Draw(t, "room"))
		t.Repeat(map[string]func(*rapid.T){
			"track": func(t *rapid.T) {
				for range rapid.IntRange(1, 10).Draw(t, "n") {
					p.track(t, rapid.SampledFrom([]int64{0, 0, 0, 1, 7}).Draw(t, "gap"))
				}
			},
			"done": func(t *rapid.T) { p.finish(t, rapid.Int64Range(p.m.start-2, p.last+2).Draw(t, "offset")) },
			"":     func(t *rapid.T) { p.check(t) },
		})
	})
}

func FuzzWatermark(f *testing.F) {
	f.Add(int64(0), []byte{0, 0, 0, 0x82, 0x81, 0x80})
	f.Add(int64(100), []byte{3, 0, 9, 0x80, 0x80, 5, 0xff})
	f.Fuzz(func(t *testing.T, start int64, ops []byte) {
		if start < 0 || start > 1<<40 || len(ops) > 300 {
			t.Skip()
		}
		p := newPair(start, 4)
		for _, op := range ops { // the high bit finishes an offset counted back from the last, else the next one is tracked
			if op&0x80 != 0 {
				p.finish(t, p.last-int64(op&0x7f))
			} else {
				p.track(t, int64(op%8))
			}
			p.check(t)
		}
	})
}

func TestWatermark_Edges(t *testing.T) {
	t.Parallel()
	w := kafka.NewWatermark(-1, 0)
	require.EqualValues(t, -1, w.Next(), "nothing was read: nothing to commit")
	w.Skip(5)
	require.EqualValues(t, 5, w.Next(), "offsets without records are passed")
	require.True(t, w.Track(7, time.Unix(1, 0)))
	w.Skip(20)
	require.EqualValues(t, 7, w.Next(), "never above an unfinished one")
	require.False(t, w.Track(6, time.Unix(1, 0)))
	w.Done(7)
	require.EqualValues(t, 8, w.Next())
	require.False(t, w.Track(7, time.Unix(1, 0)), "not below what was passed")
}

func BenchmarkWatermark(b *testing.B) {
	const window = 512
	w, now := kafka.NewWatermark(0, 1000), time.Unix(1, 0)
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		w.Track(n, now)
		if n >= window {
			w.Done(n - window ^ 3) // a little out of order
		}
		n++
	}
}
