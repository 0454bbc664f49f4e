//go:build integration

package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/cascade/scheduler"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

// What is due is taken by the index on the time, and its flags and bodies by an index of one day's partition, however
// full the tables are and whatever the planner knows of them.
func TestStore_Plans(t *testing.T) {
	t.Parallel()
	const n = 200
	db, statements := pgtest.Watch(t, pgtest.DB(t))
	s := duestore.New(db.Hot)
	insert(t, db, s, n, func(i int, d *delivery.Due) {
		if i%2 == 0 {
			d.Kind, d.Skip, d.SkipFlags, d.Message = delivery.DueLink, d.Message, 256, d.Message.Message(1)
		}
	})
	taken, err := s.Take(t.Context(), time.Now(), n, func(context.Context, []scheduler.Item) error { return nil })
	require.NoError(t, err)
	require.Equal(t, n, taken)
	insert(t, db, s, n) // for the plans to find
	statements.RequirePlans(t, pgtest.Shape{Rows: 4 * n})
}
