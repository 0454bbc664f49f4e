package providers_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

const (
	bulk          = delivery.LaneBulk
	transactional = delivery.LaneTransactional
)

func TestWindow_KeepsATenthForTransactional(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, bulk int }{{0, 0}, {1, 1}, {2, 1}, {10, 9}, {100, 90}} {
		w := providers.NewWindow()
		w.SetSize(c.size)
		n := 0
		for w.Take(bulk, 1) {
			n++
		}
		require.Equal(t, c.bulk, n, "of %d", c.size)
		for w.Take(transactional, 1) {
			n++
		}
		require.Equal(t, c.size, n)
		w.Release(n)
		require.Zero(t, w.Used())
	}
}

func TestWindow_LargeMessagesFitWhenNothingElseIsInFlight(t *testing.T) {
	t.Parallel()
	w := providers.NewWindow()
	require.False(t, w.Take(bulk, 9), "nothing is connected")
	w.SetSize(4)
	require.True(t, w.Take(bulk, 9))
	require.Equal(t, 9, w.Used())
	require.False(t, w.Take(transactional, 1))
	w.Release(9)
	require.True(t, w.Take(bulk, 1))
	require.False(t, w.Take(bulk, 9))
	w.SetSize(0)
	require.Equal(t, 1, w.Used(), "slots in use stay in use")
	require.False(t, w.Take(transactional, 1))
	w.SetSize(-1)
	require.Zero(t, w.Size())
}

func TestWindow_Wait(t *testing.T) {
	t.Parallel()
	const patience = 5 * time.Millisecond
	for _, c := range []struct {
		name       string
		used, want int
		after      time.Duration // when 40 slots come back
		room       int
		waited     time.Duration
	}{
		{name: "room for what is wanted", used: 60, want: 10, room: 30},
		{name: "half a window is enough", used: 30, want: 1000, room: 60},
		{name: "room in time", used: 80, want: 50, after: 2 * time.Millisecond, room: 50, waited: 2 * time.Millisecond},
		{name: "room too late", used: 80, want: 50, after: time.Second, room: 10, waited: patience},
		{name: "no room at all", used: 90, want: 1, after: time.Second, room: 0, waited: patience},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := providers.NewWindow()
				w.SetSize(100)
				require.True(t, w.Take(bulk, c.used))
				time.AfterFunc(c.after, func() {
					if c.after > 0 {
						w.Release(40)
					}
				})
				began := time.Now()
				require.Equal(t, c.room, w.Wait(t.Context(), bulk, c.want, patience))
				require.Equal(t, c.waited, time.Since(began))
				time.Sleep(c.after)
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Zero(t, providers.NewWindow().Wait(ctx, bulk, 1, time.Hour))
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.5, 1, 50, 250, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			l := providers.NewLimiter(rate)
			require.InDelta(t, rate, l.Rate(), 0)
			const span = 10 * time.Second
			ctx, cancel := context.WithTimeout(t.Context(), span)
			defer cancel()
			got := 0
			for {
				n, err := l.Take(ctx, 7)
				if err != nil {
					break
				}
				require.GreaterOrEqual(t, n, 1)
				require.LessOrEqual(t, n, 7)
				got += n
			}
			allowed := rate*span.Seconds() + max(1, rate/100)
			require.InDelta(t, allowed, got, max(1, 0.01*allowed))
		})
	}
	free := providers.NewLimiter(0)
	n, err := free.Take(t.Context(), 1000)
	require.NoError(t, err)
	require.Equal(t, 1000, n)
	require.Zero(t, free.Rate())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = providers.NewLimiter(1).Take(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestGate(t *testing.T) {
	t.Parallel()
	var g providers.Gate
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	closed := func(want time.Duration, cause string) {
		t.Helper()
		d, why := g.Closed(now)
		require.Equal(t, want, d)
		require.Equal(t, cause, why)
	}
	closed(0, "")
	g.Throttled(now, 0)
	closed(time.Second, "throttled")
	g.Throttled(now, 3*time.Second)
	g.Throttled(now, time.Second)
	closed(3*time.Second, "throttled") // a shorter pause does not open it
	now = now.Add(3 * time.Second)
	closed(0, "")

	// The breaker doubles while faults follow each other; a burst of answers counts once.
	for _, seconds := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
		want := time.Duration(seconds) * time.Second
		g.Throttled(now, time.Second)
		for range 3 {
			g.Fatal(now, "bad password")
		}
		closed(want, "bad password")
		now = now.Add(want)
	}
	g.Works()
	g.Fatal(now, "bad password")
	closed(5*time.Second, "bad password")
}
