package pgtest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/internal/postgres"
)

// timeout bounds what this package itself does, such as cloning a database on a busy machine.
const timeout = time.Minute

// Tx begins a transaction on a migrated database and rolls it back when the test ends. What other tests do is not
// visible in it.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	url := adminURL(t)
	shared.once.Do(func() { shared.clone, shared.pool, shared.err = openShared(url) })
	if shared.err != nil {
		t.Fatalf("test database: %v", shared.err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tx, err := shared.pool.Begin(ctx)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := tx.Rollback(ctx); err != nil && !tx.Conn().IsClosed() {
			t.Errorf("roll back: %v (a test that commits needs pgtest.DB)", err)
		}
	})
	return tx
}

// DB opens a database of the test's own, which holds the schema and nothing else.
func DB(t testing.TB) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(context.Background(), postgres.Config{URL: URL(t), HotConns: 6, GeneralConns: 6})
	if err != nil {
		t.Fatalf("open test database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// URL is the connection string of a database of the test's own. Connections that are open when the test ends are cut.
func URL(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := take(ctx, adminURL(t))
	if err != nil {
		t.Fatalf("test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := c.release(ctx); err != nil {
			t.Errorf("release test database: %v", err)
		}
	})
	return c.url
}

// shared is the database of all transactions of this process. It is made when the first test asks for it and is free
// for others when the process ends: the one state that outlives a test.
var shared struct {
	once  sync.Once
	clone *clone // its connection holds the lock: it must stay reachable
	pool  *pgxpool.Pool
	err   error
}

func openShared(url string) (*clone, *pgxpool.Pool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := take(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := pgxpool.ParseConfig(c.url)
	if err != nil {
		return nil, nil, err
	}
	cfg.MaxConns = 16
	// As the hot pool: a statement is tested with the plan that it will have.
	cfg.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	cfg.ConnConfig.RuntimeParams["TimeZone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "30s"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	return c, pool, err
}

func adminURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv(DatabaseVariable)
	if url == "" {
		t.Fatalf("%s is not set: run these tests with `make test/integration`, which starts a server for them, "+
			"or name a PostgreSQL server in it", DatabaseVariable)
	}
	return url
}
