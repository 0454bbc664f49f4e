//go:build integration

package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	trackstore "github.com/herald-gateway/herald/tracking/postgres"
	"github.com/herald-gateway/herald/tracking/reports"
)

func TestReports_DeclaredSize(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	ledger := func() *reports.Ledger {
		l, err := b.read.Ledger(ctx, "autumn")
		require.NoError(t, err)
		require.Equal(t, l.Audience, l.Accepted+l.Pending, "the ledger sums up")
		return l
	}
	_, err := b.read.Ledger(ctx, "autumn")
	require.ErrorIs(t, err, reports.ErrNotFound)
	_, err = b.read.Close(ctx, "autumn")
	require.ErrorIs(t, err, reports.ErrNotFound)

	job := first()
	b.claim(t, "autumn", job)
	b.record(t, 0, accepted(job, "autumn", "r1"))
	require.False(t, ledger().Finished, "more jobs may follow")
	_, err = b.read.Declare(ctx, "autumn", 2)
	require.NoError(t, err)
	l := ledger()
	require.Equal(t, []int64{2, 1, 1}, []int64{l.Audience, l.Unread, l.Pending})
	require.False(t, l.Finished, "a job that is not read yet is pending")
	_, err = b.read.Declare(ctx, "autumn", 3)
	require.ErrorIs(t, err, reports.ErrClosed)
	_, err = b.read.Declare(ctx, "autumn", 2)
	require.NoError(t, err, "the same size again")

	b.claim(t, "autumn", job+8)
	require.False(t, ledger().Finished)
	b.record(t, 0, accepted(job+8, "autumn", "r2"))
	require.True(t, ledger().Finished)

	_, err = b.read.Declare(ctx, "", 1)
	require.Error(t, err, "jobs without a launch have no size")
}

// A reader needs one connection, however many names it looks up: readers that wait for each other's would all stop.
func TestReports_OneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := first()
	b.claim(t, "autumn", job)
	held := accepted(job, "autumn")
	held.Kind, held.Reason, held.Provider = delivery.KindHeld, delivery.ReasonRetry, "relay"
	held.ID = delivery.DispatchEventID(job, delivery.KindHeld, 0, 1)
	b.record(t, 0, held)
	b.record(t, 0, accepted(job, "autumn", "r1"))

	cfg := b.db.General.Config()
	cfg.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer pool.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	read := trackstore.NewReports(pool, time.Now)
	page, err := read.Messages(ctx, "autumn", reports.MessageQuery{Kind: "accepted", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, "mts", page.Items[0].Provider)
	got, err := trackstore.NewReports(pool, time.Now).Job(ctx, job)
	require.NoError(t, err)
	require.Len(t, got.Messages, 1)
	var names []string
	for _, e := range got.Messages[0].Timeline {
		names = append(names, e.Kind+" "+e.Provider)
	}
	require.ElementsMatch(t, []string{"held relay", "accepted mts"}, names)
}
