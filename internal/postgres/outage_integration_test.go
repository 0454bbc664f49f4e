//go:build unix && integration

package postgres_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/postgres/embedded"
)

// TestOutage ends a server in each way, under a statement that runs: what it gets says so, and all goes on afterwards.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{
		"fast shutdown": syscall.SIGINT, "immediate shutdown": syscall.SIGQUIT, "kill": syscall.SIGKILL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := throwAway(t)
			db, err := postgres.Open(t.Context(), postgres.Config{URL: server.URL()})
			require.NoError(t, err)
			defer db.Close()
			require.NoError(t, db.WaitReady(t.Context()))
			lock, ok, err := postgres.TryLock(t.Context(), db.General, 1)
			require.NoError(t, err)
			require.True(t, ok)
			ran := make(chan error, 1)
			go func() {
				ran <- postgres.InTx(t.Context(), db.Hot, func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "select pg_sleep(20)")
					return err
				})
			}()
			require.Eventually(t, func() bool {
				return queryOne[bool](t, db.General, "select exists(select from pg_stat_activity where wait_event = 'PgSleep')")
			}, 5*time.Second, 10*time.Millisecond)
			require.NoError(t, syscall.Kill(server.Pid(), signal))
			err = <-ran
			require.True(t, postgres.Away(err), "%v", err)
			require.False(t, postgres.Retryable(err), "%v", err)
			<-lock.Lost()
			require.NoError(t, lock.Release(t.Context()))
			require.NoError(t, db.WaitReady(t.Context()))
			require.NoError(t, db.Ping(t.Context()))
			lock, ok, err = postgres.TryLock(t.Context(), db.General, 1)
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, lock.Release(t.Context()))
		})
	}
}

// TestOutage_SilentServer stops a server so that it neither answers nor closes connections.
func TestOutage_SilentServer(t *testing.T) {
	t.Parallel()
	server := throwAway(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.URL()})
	require.NoError(t, err)
	defer db.Close()
	var backend int
	require.NoError(t, db.Hot.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&backend))
	require.NoError(t, syscall.Kill(backend, syscall.SIGSTOP))
	require.NoError(t, syscall.Kill(server.Pid(), syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = postgres.InTx(ctx, db.Hot, func(context.Context, pgx.Tx) error { return nil })
	require.True(t, postgres.Away(err), "%v", err)
	began := time.Now()
	err = db.Ping(t.Context())
	require.True(t, postgres.Away(err), "%v", err)
	require.Less(t, time.Since(began), 5*time.Second)
	require.NoError(t, syscall.Kill(server.Pid(), syscall.SIGCONT))
	require.NoError(t, syscall.Kill(backend, syscall.SIGCONT))
	require.NoError(t, db.WaitReady(t.Context()))
}

func throwAway(t testing.TB) *embedded.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "hpg") //nolint:usetesting // the server's user could not reach it
	require.NoError(t, err)
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Settings: map[string]string{
		"fsync": "off", "shared_buffers": "16MB", "max_connections": "20",
	}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		require.NoError(t, server.Stop(ctx))
		require.NoError(t, os.RemoveAll(dir))
	})
	return server
}
