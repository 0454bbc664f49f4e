//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/cascade/scheduler"
	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

// insert writes n rows, of jobs made today, that are due now and one second apart before.
func insert(t *testing.T, db *pg.DB, s *duestore.Store, n int, change ...func(i int, d *delivery.Due)) delivery.ID {
	t.Helper()
	first := delivery.IDAt(time.Now().Add(-time.Minute)).Job()
	rows := make([]delivery.Due, n)
	for i := range rows {
		rows[i] = delivery.Due{
			At: time.Now().Add(-time.Duration(i) * time.Second), Kind: delivery.DueAgain, Message: first + delivery.ID(8*i),
			ProfileID: -4, Turn: 1, Attempt: 2, Priority: 50, Lane: delivery.LaneBulk,
		}
		for _, f := range change {
			f(i, &rows[i])
		}
	}
	require.NoError(t, pgx.BeginFunc(t.Context(), db.Hot, func(tx pgx.Tx) error { return s.InsertDue(t.Context(), tx, rows) }))
	return first
}

func TestStore_TakesWhatIsDue(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	s := duestore.New(db.Hot)
	old := delivery.IDAt(time.Now().AddDate(0, 0, -100)).Job()
	first := insert(t, db, s, 5, func(i int, d *delivery.Due) {
		switch i {
		case 1:
			d.Priority = 90
		case 2:
			d.At = time.Now().Add(time.Hour)
		case 3:
			d.Kind, d.Skip, d.SkipFlags, d.Message = delivery.DueLink, d.Message, 256, d.Message.Message(1)
		case 4:
			d.Message, d.Skip, d.SkipFlags = old, old, 1
		}
	})
	_, err := db.General.Exec(t.Context(), `insert into job_body select $1::bigint, 'kept'::bytea`, first)
	require.NoError(t, err)
	_, err = db.General.Exec(t.Context(), `insert into message (id, profile_id, launch_id, variant, channel, status, flags, status_at)
		values ($1, 0, 0, 0, 0, 80, 272, now())`, first+24)
	require.NoError(t, err)

	var got []scheduler.Item
	broken := errors.New("no broker")
	_, err = s.Take(t.Context(), time.Now(), 100, func(context.Context, []scheduler.Item) error { return broken })
	require.ErrorIs(t, err, broken, "nothing is lost when it cannot be written")
	n, err := s.Take(t.Context(), time.Now(), 100, func(_ context.Context, items []scheduler.Item) error { got = items; return nil })
	require.NoError(t, err)
	require.Equal(t, 4, n)
	var ids []delivery.ID
	for _, it := range got {
		ids = append(ids, it.Message)
	}
	require.Equal(t, []delivery.ID{first + 8, old, first + 24 + 1, first}, ids, "by priority, then by time")
	require.Equal(t, "kept", string(got[3].Body))
	require.Equal(t, int32(272), got[2].Flags)
	require.Nil(t, got[1].Body)
	n, err = s.Take(t.Context(), time.Now(), 100, func(context.Context, []scheduler.Item) error { return nil })
	require.NoError(t, err)
	require.Zero(t, n)
	rows, lag, err := s.Waiting(t.Context(), time.Now().Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, int64(1), rows)
	require.Greater(t, lag, 59*time.Minute)
}

func TestStore_SchedulersShareTheRows(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	s := duestore.New(db.Hot)
	insert(t, db, s, 2000)
	var mu sync.Mutex
	seen := map[delivery.ID]int{}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				n, err := s.Take(t.Context(), time.Now(), 90, func(_ context.Context, items []scheduler.Item) error {
					mu.Lock()
					defer mu.Unlock()
					for _, it := range items {
						seen[it.Message]++
					}
					return nil
				})
				if err != nil || n == 0 {
					return
				}
			}
		})
	}
	workers.Wait()
	require.Len(t, seen, 2000)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

func TestStore_Plan(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	insert(t, db, duestore.New(db.Hot), 20000)
	rows, err := db.Hot.Query(t.Context(), `explain delete from due where ctid = any (array(
		select ctid from due where due_at <= now() order by due_at limit 500 for update skip locked))`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	text := strings.Join(plan, "\n")
	require.Contains(t, text, "Tid Scan")
	require.NotContains(t, text, "Seq Scan")
}
