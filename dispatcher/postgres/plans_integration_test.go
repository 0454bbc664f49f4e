//go:build integration

package postgres_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	"github.com/herald-gateway/herald/dispatcher/postgres"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

// Every statement that the dispatcher and the intake run reads what it was asked for, by an index of one day's
// partition, however full the tables are and whatever the planner knows of them.
func TestStore_Plans(t *testing.T) {
	t.Parallel()
	const n = 300 // jobs in a batch
	f := setup(t) // registers an owner, which is not watched: it happens once in the life of a process
	db, statements := pgtest.Watch(t, f.db)
	ctx, now := t.Context(), time.Now()
	first, second := f.owner, f.register("b")
	store, err := postgres.NewStore(ctx, db.Hot, "cluster", duestore.New(db.Hot))
	require.NoError(t, err)
	owners := postgres.NewOwners(db.General)
	_, err = owners.Beat(ctx, first)
	require.NoError(t, err)
	_, err = owners.Reap(ctx, time.Minute)
	require.NoError(t, err)

	asks := make([]dispatcher.Ask, 0, 2*n)
	for i := range n {
		asks = append(asks, byKey(strconv.Itoa(i)), at(0, 3_000_000+int64(i)))
		asks[2*i].Body = []byte("body")
	}
	claimed, err := store.Claim(ctx, first, asks, now)
	require.NoError(t, err)
	ids := make([]delivery.ID, len(claimed))
	claims := make([]dispatcher.Claim, len(claimed))
	again := make([]dispatcher.Ask, len(claimed))
	holds := make([]dispatcher.Hold, len(claimed))
	for i, c := range claimed {
		require.True(t, c.Ours)
		ids[i], claims[i] = c.ID, dispatcher.Claim{ID: c.ID, Owner: first}
		again[i] = dispatcher.Ask{ID: c.ID, Turn: 1, Launch: "autumn"}
		holds[i] = dispatcher.Hold{Job: c.ID, Due: delivery.Due{At: now, Message: c.ID, Turn: 1}, Body: []byte("body")}
	}
	marked, err := store.Mark(ctx, first, ids)
	require.NoError(t, err)
	require.Len(t, marked, len(ids))
	require.NoError(t, store.Unmark(ctx, first, ids))
	seen, err := store.Look(ctx, ids)
	require.NoError(t, err)
	require.Len(t, seen, len(ids))
	held, err := store.Hold(ctx, first, holds)
	require.NoError(t, err)
	require.Len(t, held, len(ids))
	back, err := store.Claim(ctx, first, again, now)
	require.NoError(t, err)
	require.True(t, back[0].Ours)
	taken, err := store.TakeOver(ctx, second, claims)
	require.NoError(t, err)
	require.Len(t, taken, len(ids))
	require.NoError(t, store.Void(ctx, first, map[string]int{"autumn": 1}, now))

	jobs := make([]*delivery.Job, n)
	for i := range jobs {
		jobs[i] = &delivery.Job{Key: strconv.Itoa(n/2 + i), Launch: "autumn"}
	}
	_, err = store.Admit(ctx, jobs, true, now)
	require.NoError(t, err)
	require.NoError(t, owners.Retire(ctx, second))

	statements.RequirePlans(t, pgtest.Shape{Rows: 4 * n, Whole: []string{"owner_alive"}})
}
