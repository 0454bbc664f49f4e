package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// lockCheck is how often a lock that is held asks the server whether the connection still lives.
const lockCheck = 2 * time.Second

// Lock is an advisory lock of the database, held by a connection of its own: when the process or the connection ends,
// it is free. It is a way to have one worker, not a fence: between the loss and Lost, somebody else may hold it, so
// what must not happen twice needs its own check in its own transaction.
type Lock struct {
	conn *pgx.Conn
	key  int64
	lost chan struct{}
	stop context.CancelFunc
	done chan struct{}
	once sync.Once
}

// LockKey makes the key of a lock from what it is for and a name.
func LockKey(kind, name string) int64 {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // all 64 bits are the key, the sign has no meaning
}

// TryLock takes the lock named by key, if it is free, on a new connection to the pool's database that does not count
// among the pool's. false without an error means that another connection holds it.
func TryLock(ctx context.Context, pool *pgxpool.Pool, key int64) (*Lock, bool, error) {
	cfg := pool.Config().ConnConfig.Copy()
	cfg.RuntimeParams["application_name"] = "herald-lock"
	dial, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(dial, cfg)
	if err != nil {
		return nil, false, fmt.Errorf("connect for lock: %w", err)
	}
	var got bool
	if err := conn.QueryRow(dial, "select pg_try_advisory_lock($1)", key).Scan(&got); err != nil || !got {
		closeConn(ctx, conn)
		if err != nil {
			err = fmt.Errorf("take lock: %w", err)
		}
		return nil, false, err
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Lock{conn: conn, key: key, lost: make(chan struct{}), stop: stop, done: make(chan struct{})}
	go l.watch(watch)
	return l, true, nil
}

// Lost is closed when the lock is no longer held: within moments when the server closes the connection, and after about
// 7 s when it falls silent. Release closes it too.
func (l *Lock) Lost() <-chan struct{} { return l.lost }

// Held reports whether the lock is held as far as is known.
func (l *Lock) Held() bool {
	select {
	case <-l.lost:
		return false
	default:
		return true
	}
}

// Release frees the lock and closes its connection, within 2 s. It may be called more than once.
func (l *Lock) Release(ctx context.Context) error {
	var err error
	l.once.Do(func() {
		l.stop()
		<-l.done
		if l.conn.IsClosed() {
			return
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		if _, e := l.conn.Exec(end, "select pg_advisory_unlock($1)", l.key); e != nil && !Away(e) {
			err = fmt.Errorf("release lock: %w", e)
		}
		_ = l.conn.Close(end)
	})
	return err
}

// watch listens on the connection, so that its end is seen at once, and asks for an answer now and then.
func (l *Lock) watch(ctx context.Context) {
	defer close(l.done)
	defer close(l.lost)
	for {
		wait, cancel := context.WithTimeout(ctx, lockCheck)
		_, err := l.conn.WaitForNotification(wait)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil && !pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded) || l.conn.IsClosed() {
			l.abandon(ctx)
			return
		}
		ping, cancel := context.WithTimeout(ctx, connectTimeout)
		err = l.conn.Ping(ping)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.abandon(ctx)
			return
		}
	}
}

// abandon closes the connection, so that the server frees the lock if it still holds it for us.
func (l *Lock) abandon(ctx context.Context) {
	closeConn(ctx, l.conn)
}
