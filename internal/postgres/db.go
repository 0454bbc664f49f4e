package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 5 * time.Second
	pingTimeout    = 2 * time.Second
	maxWait        = 5 * time.Second
)

// Config says which database to use and how many connections it may take.
type Config struct {
	// URL is a connection string as libpq takes it, a URL or keywords and values.
	URL string
	// HotConns and GeneralConns bound the connections of the two pools; 0 means 12 and 8.
	HotConns, GeneralConns int32
	// Log is told when the server is away; nil means silence.
	Log *slog.Logger
}

// DB is a database with its two pools. Both are safe for concurrent use.
type DB struct {
	// Hot serves the batched statements of the message path: generic plans, many prepared statements. What a process that
	// stalls between the statements of a transaction holds locked, others get after 3 s; of its transactions that wait for
	// each other, one after the other.
	Hot *pgxpool.Pool
	// General serves everything else with normal planning.
	General *pgxpool.Pool

	log *slog.Logger
}

// Open makes the pools. It fails for a connection string that cannot be read, and does not wait for the server:
// connections are made when they are needed, within 5 s each.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.URL == "" {
		return nil, errors.New("postgres: no connection string")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	hot, err := newPool(ctx, cfg.URL, orDefault(cfg.HotConns, 12), map[string]string{
		"application_name": "herald-hot",
		"plan_cache_mode":  "force_generic_plan",
		// A plan that was made while the day was young and its partition empty must not walk the whole table later.
		"enable_seqscan":                      "off",
		"statement_timeout":                   "30s",
		"idle_in_transaction_session_timeout": "3s",
	})
	if err != nil {
		return nil, err
	}
	general, err := newPool(ctx, cfg.URL, orDefault(cfg.GeneralConns, 8), map[string]string{
		"application_name":                    "herald",
		"statement_timeout":                   "60s",
		"idle_in_transaction_session_timeout": "60s",
	})
	if err != nil {
		hot.Close()
		return nil, err
	}
	return &DB{Hot: hot, General: general, log: cfg.Log}, nil
}

func orDefault(n, otherwise int32) int32 {
	if n > 0 {
		return n
	}
	return otherwise
}

func newPool(ctx context.Context, url string, conns int32, settings map[string]string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	cfg.MaxConns = conns
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	cfg.PingTimeout = pingTimeout
	cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter = time.Hour, 10*time.Minute
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	// Statements that name a day's partition are prepared per day and connection.
	cfg.ConnConfig.StatementCacheCapacity = 1024
	cfg.ConnConfig.RuntimeParams["TimeZone"] = "UTC"
	maps.Copy(cfg.ConnConfig.RuntimeParams, settings)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return pool, nil
}

// PoolStats is how busy a pool is.
type PoolStats struct {
	Used, Max int32
	Waits     int64         // times that all connections were in use
	Waited    time.Duration // for a free one, in all
}

// Stats gives, by the name of the pool, a look at it.
func (db *DB) Stats() map[string]func() PoolStats {
	look := func(pool *pgxpool.Pool) func() PoolStats {
		return func() PoolStats {
			s := pool.Stat()
			return PoolStats{s.AcquiredConns(), s.MaxConns(), s.EmptyAcquireCount(), s.EmptyAcquireWaitTime()}
		}
	}
	return map[string]func() PoolStats{"hot": look(db.Hot), "general": look(db.General)}
}

// Close closes both pools. It waits until all connections that are in use have come back.
func (db *DB) Close() {
	db.Hot.Close()
	db.General.Close()
}

// Ping asks the server for an answer, within 2 s.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := db.General.Ping(ctx); err != nil {
		return fmt.Errorf("ping postgres: %w", err)
	}
	return nil
}

// WaitReady returns when the server answers. While it is away, WaitReady tries again after 0.1 to 5 s, for ever, and
// says so in the log; it gives up when ctx ends and on an error that waiting does not cure, such as a refused login. It
// is also what to call after an error that is Away, before repeating: the pools then replace the connections that they
// had, most of which are broken too.
func (db *DB) WaitReady(ctx context.Context) error {
	began := time.Now()
	for wait, try := 100*time.Millisecond, 1; ; wait, try = min(2*wait, maxWait), try+1 {
		err := db.connectOnce(ctx)
		switch {
		case err == nil:
			db.Hot.Reset()
			db.General.Reset()
			if try > 1 {
				db.log.InfoContext(ctx, "postgres is back", "waited", time.Since(began).Round(time.Millisecond))
			}
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("wait for postgres: %w", ctx.Err())
		case !Away(err):
			return fmt.Errorf("connect to postgres: %w", err)
		}
		db.log.WarnContext(ctx, "postgres is away, waiting", "err", err, "tries", try, "next", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// connectOnce makes a connection of its own, because the pool keeps quiet about why it has none to give.
func (db *DB) connectOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, db.General.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	return conn.Ping(ctx)
}

// closeConn says goodbye within 2 s, also when ctx has ended.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}
