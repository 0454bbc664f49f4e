//go:build integration

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

func queryOne[T any](t testing.TB, db postgres.DBTX, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, db.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

func TestOpen_Settings(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	require.NoError(t, db.WaitReady(t.Context()))
	require.NoError(t, db.Ping(t.Context()))
	for _, c := range []struct {
		name string
		db   postgres.DBTX
		want []string
	}{
		{"hot", db.Hot, []string{"force_generic_plan", "UTC", "30s", "3s"}},
		{"general", db.General, []string{"auto", "UTC", "1min", "1min"}},
	} {
		got := queryOne[[]string](t, c.db, "select array[current_setting('plan_cache_mode'),"+
			" current_setting('TimeZone'), current_setting('statement_timeout'),"+
			" current_setting('idle_in_transaction_session_timeout')]")
		require.Equal(t, c.want, got, c.name)
	}
}

func TestWaitReady_LoginThatIsRefusedIsFinal(t *testing.T) {
	t.Parallel()
	url := strings.Replace(pgtest.URL(t), "herald_test", "herald_missing", 1)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	defer db.Close()
	require.Equal(t, "3D000", postgres.Code(db.WaitReady(t.Context())))
}

func TestWaitReady_SaysThatItWaits(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	db, err := postgres.Open(t.Context(), postgres.Config{
		URL: "postgres://x:hunter2@127.0.0.1:1/x?sslmode=disable", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, db.WaitReady(ctx), context.DeadlineExceeded)
	require.Contains(t, log.String(), "postgres is away")
	require.NotContains(t, log.String(), "hunter2")
}

func TestInTx(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	add := func(ctx context.Context, tx pgx.Tx, name string) error {
		_, err := tx.Exec(ctx, "insert into cluster (name) values ($1)", name)
		return err
	}
	boom := errors.New("boom")
	require.ErrorIs(t, postgres.InTx(t.Context(), db.Hot, func(ctx context.Context, tx pgx.Tx) error {
		_, bounded := ctx.Deadline()
		return errors.Join(boom, add(ctx, tx, "rolled back"), map[bool]error{false: errors.New("no deadline")}[bounded])
	}), boom)
	require.Panics(t, func() {
		_ = postgres.InTx(t.Context(), db.Hot, func(ctx context.Context, tx pgx.Tx) error {
			_ = add(ctx, tx, "panicked")
			panic("boom")
		})
	})
	cancelled, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, postgres.InTx(cancelled, db.Hot, func(ctx context.Context, tx pgx.Tx) error {
		defer cancel()
		return add(ctx, tx, "cancelled")
	}), context.Canceled)
	require.NoError(t, postgres.InTx(t.Context(), db.Hot, func(ctx context.Context, tx pgx.Tx) error {
		return postgres.InTx(ctx, tx, func(ctx context.Context, tx pgx.Tx) error { return add(ctx, tx, "committed") })
	}))
	got := queryOne[[]string](t, db.General, "select array_agg(name) from cluster")
	require.Equal(t, []string{"committed"}, got)
}

func TestInTx_ServerCutsConnection(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	err := postgres.InTx(t.Context(), db.Hot, func(ctx context.Context, tx pgx.Tx) error {
		pid := queryOne[int](t, tx, "select pg_backend_pid()")
		require.True(t, queryOne[bool](t, db.General, "select pg_terminate_backend($1, 5000)", pid))
		_, err := tx.Exec(ctx, "select 1")
		return err
	})
	require.True(t, postgres.Away(err), "%v", err)
	require.NoError(t, db.Ping(t.Context()), "the pool makes a new connection")
	require.NoError(t, postgres.InTx(t.Context(), db.Hot, func(context.Context, pgx.Tx) error { return nil }))
}

// A process that stalls in a transaction does not stop the others: its locks go, and its transaction fails as one that
// may be repeated.
func TestInTx_StalledLosesItsLocks(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	const touch = "insert into cluster (name) values ('one') on conflict (name) do update set name = excluded.name"
	err := postgres.InTx(t.Context(), db.Hot, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, touch)
		require.NoError(t, err)
		other, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err = db.General.Exec(other, touch)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, touch)
		return err
	})
	require.True(t, postgres.Away(err), "%v", err)
}

func TestMigrate_ManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	db := emptyDatabase(t)
	before, err := postgres.MigrationStatus(t.Context(), db)
	require.NoError(t, err)
	require.NotEmpty(t, before)
	require.False(t, before[0].Applied())
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return postgres.Migrate(t.Context(), db) })
	}
	require.NoError(t, group.Wait())
	after, err := postgres.MigrationStatus(t.Context(), db)
	require.NoError(t, err)
	for _, m := range after {
		require.True(t, m.Applied(), m.Name)
	}
	require.Equal(t, len(after)+1, queryOne[int](t, db.General, "select count(*)::int from goose_db_version"))
}

// emptyDatabase is a database without schema.
func emptyDatabase(t *testing.T) *postgres.DB {
	t.Helper()
	db := pgtest.DB(t)
	_, err := db.General.Exec(t.Context(), "drop schema public cascade; create schema public",
		pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	return db
}

func TestIDs_AgreeWithSchema(t *testing.T) {
	t.Parallel()
	tx := pgtest.Tx(t)
	for _, at := range []string{"2024-01-01", "2026-11-21", "2028-02-29", "2099-12-31"} {
		require.Equal(t, queryOne[int64](t, tx, "select id_at(($1 || 'T00:00:00Z')::timestamptz)", at),
			postgres.FirstID(day(t, at)))
	}
	id := queryOne[int64](t, tx, "select allocate_ids(10)")
	require.WithinDuration(t, time.Now(), postgres.DayOf(id), 25*time.Hour)
}

func partitions(t testing.TB, db *postgres.DB, table string) []string {
	t.Helper()
	return queryOne[[]string](t, db.General, `select coalesce(array_agg(inhrelid::regclass::text order by 1), '{}')
 from pg_inherits where inhparent = $1::text::regclass and not inhdetachpending`, table)
}

func TestEnsurePartitions(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	from := day(t, "2031-12-30").Add(13 * time.Hour)
	var group errgroup.Group
	for range 4 { // at once, and so also again
		group.Go(func() error { return postgres.EnsurePartitions(t.Context(), db, from, from.AddDate(0, 0, 3)) })
	}
	require.NoError(t, group.Wait())
	want := []string{"20311230", "20311231", "20320101", "20320102"}
	for _, table := range postgres.DailyTables() {
		var got []string
		for _, p := range partitions(t, db, table) {
			if s := strings.TrimPrefix(p, table+"_"); s >= want[0] {
				got = append(got, s)
			}
		}
		require.Equal(t, want, got, table)
	}
	const updated = "fillfactor=50,autovacuum_vacuum_scale_factor=0.05,autovacuum_analyze_scale_factor=0.02"
	const appended = "autovacuum_vacuum_insert_threshold=-1"
	for table, options := range map[string]string{
		"claim": updated, "message": updated, "message_event": appended, "job_body": appended, "provider_ref": appended,
	} {
		require.Equal(t, options, queryOne[string](t, db.General, "select array_to_string(reloptions, ',') from pg_class where relname = $1",
			table+"_20311231"))
	}
	id := postgres.FirstID(day(t, "2032-01-01"))
	for _, at := range []int64{id - 1, id} {
		_, err := db.General.Exec(t.Context(), "insert into claim (id, owner) values ($1, 1)", at)
		require.NoError(t, err)
		require.Equal(t, 1, queryOne[int](t, db.General, "select count(*)::int from "+postgres.TableFor("claim", at)+
			" where id = $1", at))
	}
	_, err := db.General.Exec(t.Context(), "insert into claim_20320101 (id, owner) values ($1, 1)", id)
	require.Equal(t, "23505", postgres.Code(err), "the partition has the primary key")
	_, err = db.General.Exec(t.Context(),
		"insert into provider_ref (provider, ref, message_id, at) values (1, 'a', 1, $1)",
		time.Date(2031, 12, 31, 23, 59, 59, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, 1, queryOne[int](t, db.General, "select count(*)::int from provider_ref_20311231"))
}

func TestEnsurePartitions_AttachesTableThatIsThere(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	_, err := db.General.Exec(t.Context(), "create table claim_20320505 (like claim)")
	require.NoError(t, err)
	require.NoError(t, postgres.EnsurePartitions(t.Context(), db, day(t, "2032-05-05"), day(t, "2032-05-05")))
	require.Contains(t, partitions(t, db, "claim"), "claim_20320505")
}

func TestEnsurePartitions_DoesNotWaitForAReader(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	require.NoError(t, postgres.InTx(t.Context(), db.General, func(ctx context.Context, tx pgx.Tx) error {
		_ = queryOne[int](t, tx, "select count(*)::int from claim") // holds a lock on the parent and every day
		return postgres.EnsurePartitions(ctx, db, day(t, "2033-05-05"), day(t, "2033-05-05"))
	}))
}

func TestDropPartitions(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	require.NoError(t, postgres.EnsurePartitions(t.Context(), db, day(t, "2025-03-01"), day(t, "2025-03-05")))
	now := day(t, "2025-03-05").Add(time.Hour)
	var days postgres.Days
	first := postgres.FirstID(day(t, "2025-03-01"))
	has := func(table string, id int64) bool {
		t.Helper()
		ok, err := days.Has(t.Context(), db.General, table, id)
		require.NoError(t, err)
		return ok
	}
	require.True(t, has("claim", first))
	dropped, err := postgres.DropPartitions(t.Context(), db, postgres.Keep{"claim": 2, "provider_ref": 3}, now)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]string{"claim_20250301", "provider_ref_20250301", "claim_20250302"}, dropped))
	days.Forget()
	require.False(t, has("claim", first))
	require.True(t, has("message", first))
	require.True(t, has("claim", postgres.FirstID(now)))
	require.False(t, has("claim", postgres.FirstID(day(t, "2099-01-01"))))
	_, err = db.General.Exec(t.Context(), "select from "+postgres.TableFor("claim", first))
	require.True(t, postgres.UndefinedTable(err))
	again, err := postgres.DropPartitions(t.Context(), db, postgres.Keep{"claim": 2, "provider_ref": 3}, now)
	require.NoError(t, err)
	require.Empty(t, again)
	require.NoError(t, postgres.EnsurePartitions(t.Context(), db, day(t, "2025-03-06"), day(t, "2025-03-06")))
	require.True(t, has("claim", postgres.FirstID(day(t, "2025-03-06"))), "a new day is seen without Forget")
}

func TestDropPartitions_ReaderHoldsIt(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	require.NoError(t, postgres.EnsurePartitions(t.Context(), db, day(t, "2025-03-01"), day(t, "2025-03-03")))
	keep, now := postgres.Keep{"claim": 1}, day(t, "2025-03-03")
	reader, err := db.Hot.Begin(t.Context())
	require.NoError(t, err)
	_ = queryOne[int](t, reader, "select count(*)::int from claim")

	began := time.Now()
	blocked := make(chan error, 1)
	go func() {
		dropped, err := postgres.DropPartitions(context.WithoutCancel(t.Context()), db, keep, now)
		if len(dropped) > 0 {
			err = fmt.Errorf("dropped %v", dropped)
		}
		blocked <- err
	}()
	id := postgres.FirstID(day(t, "2025-03-03"))
	for waiting := true; waiting; id += 8 { // claims go on, through the parent
		_, err := db.Hot.Exec(t.Context(), "insert into claim (id, owner) values ($1, 1)", id)
		require.NoError(t, err)
		select {
		case err := <-blocked:
			require.True(t, postgres.Retryable(err), "%v", err)
			waiting = false
		default:
		}
	}
	require.Less(t, time.Since(began), 20*time.Second)
	require.NoError(t, reader.Rollback(t.Context()))
	require.Equal(t, "0", queryOne[string](t, db.General, "show lock_timeout"))

	// The server may free the lock of the first call a moment after its connection is closed; until then the next does
	// nothing.
	var dropped []string
	require.Eventually(t, func() bool {
		var err error
		dropped, err = postgres.DropPartitions(t.Context(), db, keep, now)
		return err != nil || len(dropped) > 0
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, []string{"claim_20250301"}, dropped, "the interrupted one is finished")
}

func TestNames(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	now := time.Now()
	var wg sync.WaitGroup
	got := make([]int64, 8)
	for i := range got {
		wg.Go(func() {
			names := postgres.NewLaunchNames()
			id, err := names.ID(t.Context(), db.General, "autumn", now)
			if err == nil {
				got[i] = id
			}
		})
	}
	wg.Wait()
	require.Positive(t, got[0])
	require.Len(t, slices.Compact(got), 1, "everybody gets the same number")

	launches := postgres.NewLaunchNames()
	id, err := launches.ID(t.Context(), db.General, "", now)
	require.NoError(t, err)
	require.Zero(t, id)
	name, err := launches.Name(t.Context(), db.General, got[0])
	require.NoError(t, err)
	require.Equal(t, "autumn", name)
	_, found, err := launches.Find(t.Context(), db.General, "spring")
	require.NoError(t, err)
	require.False(t, found)
	_, err = launches.Name(t.Context(), db.General, 4711)
	require.ErrorIs(t, err, pgx.ErrNoRows)

	providers := postgres.NewProviderNames()
	a, err := providers.ID(t.Context(), db.General, "mts", "smpp", 0)
	require.NoError(t, err)
	b, err := providers.ID(t.Context(), db.General, "relay", "smtp", 2)
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	_, err = db.General.Exec(t.Context(), "delete from provider")
	require.NoError(t, err)
	again, err := providers.ID(t.Context(), db.General, "mts", "smpp", 0)
	require.NoError(t, err)
	require.Equal(t, a, again, "from memory")
	_, err = postgres.NewClusterNames().ID(t.Context(), db.General, "abc")
	require.NoError(t, err)
}

func TestLock(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	key := postgres.LockKey("owner", "herald")
	require.NotEqual(t, key, postgres.LockKey("owner", "herald#2"))
	lock, ok, err := postgres.TryLock(t.Context(), db.General, key)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, lock.Held())
	_, ok, err = postgres.TryLock(t.Context(), db.General, key)
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, lock.Release(t.Context()))
	require.NoError(t, lock.Release(t.Context()))
	require.False(t, lock.Held())

	lock, ok, err = postgres.TryLock(t.Context(), db.General, key)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, queryOne[bool](t, db.General, `select bool_or(pg_terminate_backend(pid, 5000)) from pg_stat_activity
 where datname = current_database() and application_name = 'herald-lock'`))
	select {
	case <-lock.Lost():
	case <-time.After(5 * time.Second):
		t.Fatal("the loss is not noticed")
	}
	require.NoError(t, lock.Release(t.Context()))
	lock, ok, err = postgres.TryLock(t.Context(), db.General, key)
	require.NoError(t, err)
	require.True(t, ok)
	select { // it outlives a check
	case <-lock.Lost():
		t.Fatal("lost without cause")
	case <-time.After(2500 * time.Millisecond):
	}
	require.NoError(t, lock.Release(t.Context()))
}
