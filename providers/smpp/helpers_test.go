package smpp_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// closeNow closes an account within 5 seconds.
func closeNow(tb testing.TB, a *account) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 5*time.Second)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		require.ErrorIs(tb, err, context.DeadlineExceeded)
	}
}
