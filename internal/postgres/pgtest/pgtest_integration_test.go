//go:build integration

package pgtest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

const (
	countClaims = "select count(*)::int from claim"
	addClaim    = "insert into claim (id, owner) values (id_at(clock_timestamp()), 1)"
)

func count(t testing.TB, db postgres.DBTX, sql string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

func TestTx_IsAlone(t *testing.T) {
	t.Parallel()
	for range 2 {
		t.Run("each", func(t *testing.T) {
			t.Parallel()
			tx := pgtest.Tx(t)
			require.Zero(t, count(t, tx, countClaims))
			_, err := tx.Exec(t.Context(), addClaim)
			require.NoError(t, err)
			require.Equal(t, 1, count(t, tx, countClaims))
		})
	}
}

func TestDB_HasPartitionsAround(t *testing.T) {
	t.Parallel()
	db := pgtest.DB(t)
	for _, table := range postgres.DailyTables() {
		for days := -1; days <= 2; days++ {
			require.Equal(t, 1, count(t, db.General, "select (to_regclass('"+
				postgres.PartitionName(table, time.Now().AddDate(0, 0, days))+"') is not null)::int"))
		}
	}
}

// TestDB_IsClean uses one database again and again, whatever was done to it.
func TestDB_IsClean(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]string{
		"rows": addClaim + "; insert into launch (label, created_at) values ('x', now());" +
			" delete from launch where id = 0",
		"nothing":         "select 1",
		"a table is gone": "drop table rollup",
		"a table more":    "create table more (n int)",
		"a partition less": "do $$ begin execute 'drop table ' ||" +
			" (select inhrelid::regclass from pg_inherits limit 1); end $$",
		"no schema":       "drop schema public cascade; create schema public",
		"a column more":   "alter table due add more int",
		"open connection": "begin; " + addClaim,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("spoil", func(t *testing.T) {
				conn, err := pgx.Connect(t.Context(), pgtest.URL(t))
				require.NoError(t, err) // left open: it is cut
				_, err = conn.Exec(t.Context(), spoil, pgx.QueryExecModeSimpleProtocol)
				require.NoError(t, err)
			})
			for range 2 {
				db := pgtest.DB(t)
				require.Zero(t, count(t, db.General, countClaims))
				require.Equal(t, 1, count(t, db.General, "select count(*)::int from launch where id = 0 and label = ''"))
				require.Equal(t, 1, count(t, db.General, "select count(*)::int from launch"))
				require.Zero(t, count(t, db.General, "select count(*)::int from rollup"))
				require.Zero(t, count(t, db.General, "select count(*)::int from pg_class where relname = 'more'"))
				require.NoError(t, postgres.EnsurePartitions(t.Context(), db, time.Now(), time.Now()))
			}
		})
	}
}

func TestWithServer(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "withserver")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./withserver").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(ctx, program, "sh", "-c", "echo $"+pgtest.DatabaseVariable+"; exit 3").Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	conn, err := pgx.ParseConfig(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	require.NoDirExists(t, conn.Host, "everything is cleaned up")
	require.NotEqual(t, os.Getenv(pgtest.DatabaseVariable), strings.TrimSpace(string(out)))
	require.Error(t, exec.CommandContext(ctx, program, "/no/such/program").Run())
	require.Error(t, exec.CommandContext(ctx, program).Run())
}
