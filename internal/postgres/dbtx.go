package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DBTX runs statements: a pool, one of its connections, or a transaction.
type DBTX interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error)
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

var (
	_ DBTX = pgx.Tx(nil)
	_ DBTX = (*pgx.Conn)(nil)
	_ DBTX = (*pgxpool.Pool)(nil)
	_ DBTX = (*pgxpool.Conn)(nil)
)

// Beginner starts transactions: a pool, a connection, or a transaction, which then makes a savepoint.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

const (
	// txTimeout bounds a transaction whose caller set no deadline.
	txTimeout = time.Minute
	// endTimeout bounds a commit or rollback, which go on when the caller's context has ended.
	endTimeout = 10 * time.Second
)

// Send runs the statements of a batch in one round trip and, when db is no transaction, in a transaction of its own. The
// functions that were queued with them see the results. It has a minute when ctx has no deadline. What fails with an
// error that is Away may have been done nevertheless.
func Send(ctx context.Context, db DBTX, b *pgx.Batch) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, txTimeout)
		defer cancel()
	}
	return db.SendBatch(ctx, b).Close()
}

// PatientSQL lets a transaction on the hot pool wait longer than others for what is not the database, such as Kafka's
// acknowledgement. It is for transactions whose locks nobody waits for.
const PatientSQL = `set local idle_in_transaction_session_timeout = '30s'`

// InTx runs fn in a transaction of db and commits it when fn returns nil; otherwise, also when fn panics, it rolls back
// and returns fn's error. fn's context ends with ctx, and after a minute when ctx has no deadline. A commit is not
// interrupted when ctx ends, but has 10 s. When it fails with an error that is Away, the transaction may have been
// committed nevertheless: what repeats it must be able to run twice.
func InTx(ctx context.Context, db Beginner, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, txTimeout)
		defer cancel()
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	done := false
	defer func() {
		if !done {
			rollback(ctx, tx)
		}
	}()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before commit: %w", err)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := tx.Commit(end); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	done = true
	return nil
}

// rollback ends tx. Its error tells nothing new: whatever broke the connection has already been returned, and the pool
// throws away a connection that is still in a transaction.
func rollback(ctx context.Context, tx pgx.Tx) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := tx.Rollback(end); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return
	}
}
