package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/backoff"
)

func TestBackoff_DoublesUpToMost(t *testing.T) {
	t.Parallel()
	b := backoff.Backoff{First: time.Second, Most: 10 * time.Second}
	for _, want := range []float64{1, 2, 4, 8, 10, 10} {
		require.InDelta(t, want, b.Next().Seconds(), 0.21*want)
	}
	b.Reset()
	require.Less(t, b.Next(), 1300*time.Millisecond)
}

func TestBackoff_NeverOverflows(t *testing.T) {
	t.Parallel()
	var b backoff.Backoff
	for range 100 {
		d := b.Next()
		require.Positive(t, d)
		require.LessOrEqual(t, d, 6*time.Second)
	}
}

func TestBackoff_WaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b := backoff.Backoff{First: time.Hour, Most: time.Hour}
		require.ErrorIs(t, b.Wait(ctx), context.DeadlineExceeded)
		b = backoff.Backoff{First: time.Millisecond}
		require.NoError(t, b.Wait(t.Context()))
	})
}
