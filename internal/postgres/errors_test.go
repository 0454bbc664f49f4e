package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/postgres"
)

func TestAway(t *testing.T) {
	t.Parallel()
	code := func(c string) error { return fmt.Errorf("insert: %w", &pgconn.PgError{Code: c}) }
	for name, c := range map[string]struct {
		err             error
		away, retryable bool
	}{
		"none":                   {nil, false, false},
		"shutting down":          {code("57P01"), true, false},
		"crashed":                {code("57P02"), true, false},
		"starting":               {code("57P03"), true, false},
		"too many connections":   {code("53300"), true, false},
		"disk full":              {code("53100"), true, false},
		"connection failure":     {code("08006"), true, false},
		"idle in transaction":    {code("25P03"), true, false},
		"unique violation":       {code("23505"), false, false},
		"undefined table":        {code("42P01"), false, false},
		"wrong password":         {code("28P01"), false, false},
		"no such database":       {code("3D000"), false, false},
		"deadlock":               {code("40P01"), false, true},
		"serialisation":          {code("40001"), false, true},
		"lock not available":     {code("55P03"), false, true},
		"statement timeout":      {code("57014"), false, true},
		"no rows":                {pgx.ErrNoRows, false, false},
		"end of file":            {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true, false},
		"connection reset":       {fmt.Errorf("read: %w", syscall.ECONNRESET), true, false},
		"broken pipe":            {&net.OpError{Op: "write", Err: syscall.EPIPE}, true, false},
		"closed connection":      {fmt.Errorf("begin: %w", pgconn.ErrConnClosed), true, false},
		"no answer in time":      {fmt.Errorf("query: %w", context.DeadlineExceeded), true, false},
		"the caller gave up":     {fmt.Errorf("query: %w", context.Canceled), false, false},
		"something else":         {errors.New("nope"), false, false},
		"joined with a rollback": {errors.Join(errors.New("nope"), code("57P01")), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.away, postgres.Away(c.err))
			require.Equal(t, c.retryable, postgres.Retryable(c.err))
		})
	}
}

func TestAway_RefusedConnections(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	for name, url := range map[string]string{
		"no socket": "postgres:///x?sslmode=disable&user=x&host=" + filepath.Join(t.TempDir(), "none"),
		"no port":   fmt.Sprintf("postgres://x@127.0.0.1:%d/x?sslmode=disable", closed),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
			require.NoError(t, err, "Open does not wait for the server")
			defer db.Close()
			err = db.Ping(t.Context())
			require.Error(t, err)
			require.True(t, postgres.Away(err), "%v", err)
			err = postgres.InTx(t.Context(), db.Hot, func(context.Context, pgx.Tx) error { return nil })
			require.True(t, postgres.Away(err), "%v", err)
		})
	}
}

func TestOpen_BadConnectionString(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "postgres://user:hunter2@[::1", "port=x password=hunter2"} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
