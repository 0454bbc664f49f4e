package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/dispatcher"
	pg "github.com/herald-gateway/herald/internal/postgres"
)

const (
	// nameWait is how long a process waits for its name while another one holds it.
	nameWait = 5 * time.Second
	nameTry  = 100 * time.Millisecond
	maxNames = 64
)

// Owners keeps the rows of dispatching processes. A process's name is held by a session's advisory lock: it is free as
// soon as the process or its connection is gone.
type Owners struct {
	pool *pgxpool.Pool

	mu   sync.Mutex
	lock *pg.Lock
}

// NewOwners makes the store of owners.
func NewOwners(pool *pgxpool.Pool) *Owners { return &Owners{pool: pool} }

var _ dispatcher.Owners = (*Owners)(nil)

// Register implements dispatcher.Owners.
func (o *Owners) Register(ctx context.Context, process, member string) (dispatcher.Owner, error) {
	o.release(ctx)
	name, lock, err := o.takeName(ctx, process)
	if err != nil {
		return dispatcher.Owner{}, err
	}
	o.mu.Lock()
	o.lock = lock
	o.mu.Unlock()
	owner := dispatcher.Owner{Process: name}
	err = pg.InTx(ctx, o.pool, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `update owner set dead_at = clock_timestamp()
			where process = $1 and dead_at is null returning members`, name)
		if err != nil {
			return err
		}
		if owner.Gone, err = collectMembers(rows); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `insert into owner (process, generation, seen_at, members)
			select $1, coalesce(max(generation), 0) + 1, clock_timestamp(), array[$2] from owner where process = $1
			returning id`, name, member).Scan(&owner.ID)
	})
	if err != nil {
		o.release(ctx)
	}
	return owner, err
}

func collectMembers(rows pgx.Rows) ([]string, error) {
	lists, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
	return slices.Concat(lists...), err
}

// takeName takes the process's name, after a while name#2 and so on.
func (o *Owners) takeName(ctx context.Context, process string) (string, *pg.Lock, error) {
	for n := 1; n <= maxNames; n++ {
		name, wait := process, nameWait
		if n > 1 {
			name, wait = fmt.Sprintf("%s#%d", process, n), 0
		}
		lock, err := o.waitName(ctx, name, wait)
		if err != nil || lock != nil {
			return name, lock, err
		}
	}
	return "", nil, fmt.Errorf("process name %q: more than %d processes hold it", process, maxNames)
}

func (o *Owners) waitName(ctx context.Context, name string, wait time.Duration) (*pg.Lock, error) {
	give := time.NewTimer(wait)
	defer give.Stop()
	try := time.NewTicker(nameTry)
	defer try.Stop()
	for {
		lock, ok, err := pg.TryLock(ctx, o.pool, pg.LockKey("owner", name))
		if err != nil || ok {
			return lock, err
		}
		select {
		case <-try.C:
		case <-give.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Beat implements dispatcher.Owners.
func (o *Owners) Beat(ctx context.Context, id int64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	tag, err := o.pool.Exec(ctx, `update owner set seen_at = clock_timestamp() where id = $1 and dead_at is null`, id)
	return tag.RowsAffected() == 1, err
}

// Reap implements dispatcher.Owners.
func (o *Owners) Reap(ctx context.Context, silence time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	rows, err := o.pool.Query(ctx, `update owner set dead_at = clock_timestamp()
		where dead_at is null and seen_at < clock_timestamp() - $1::interval returning members`, silence)
	if err != nil {
		return nil, err
	}
	return collectMembers(rows)
}

// Retire implements dispatcher.Owners.
func (o *Owners) Retire(ctx context.Context, id int64) error {
	_, err := o.pool.Exec(ctx, `update owner set dead_at = clock_timestamp() where id = $1 and dead_at is null`, id)
	o.release(ctx)
	return err
}

func (o *Owners) release(ctx context.Context) {
	o.mu.Lock()
	lock := o.lock
	o.lock = nil
	o.mu.Unlock()
	if lock != nil {
		_ = lock.Release(ctx) // the session's end frees the name in any case
	}
}
