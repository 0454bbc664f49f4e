package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// maxNames bounds the cache of Names. Labels come from producers, so that their number is not ours to choose.
const maxNames = 10_000

// NamesSQL are the statements of a table that gives a small number to each name.
type NamesSQL struct {
	// Insert adds the name, $1, with what else a row needs, unless it is there ("on conflict do nothing").
	Insert string
	// ByName selects the number of the name, $1.
	ByName string
	// ByID selects the name of the number, $1.
	ByID string
}

// Names maps names to the numbers by which rows refer to them, and back. Numbers never change, so they are kept in
// memory. The empty name is 0 in every table. Names is safe for concurrent use.
//
// Give its methods a pool, not a transaction that may be rolled back: the number of a name that was new in it would
// stay in memory.
type Names struct {
	sql NamesSQL

	mu     sync.RWMutex
	byName map[string]int64
	byID   map[int64]string
}

// NewNames makes the map of a table.
func NewNames(sql NamesSQL) *Names {
	return &Names{sql: sql, byName: map[string]int64{}, byID: map[int64]string{}}
}

// NewProviderNames maps the names of providers. ID takes the provider's type and the channel's number besides.
func NewProviderNames() *Names {
	return NewNames(NamesSQL{
		Insert: "insert into provider (name, type, channel) values ($1, $2, $3) on conflict do nothing",
		ByName: "select id from provider where name = $1",
		ByID:   "select name from provider where id = $1",
	})
}

// NewClusterNames maps the ids that Kafka clusters give themselves.
func NewClusterNames() *Names {
	return NewNames(NamesSQL{
		Insert: "insert into cluster (name) values ($1) on conflict do nothing",
		ByName: "select id from cluster where name = $1",
		ByID:   "select name from cluster where id = $1",
	})
}

// NewLaunchNames maps the labels of launches. ID takes the time at which a launch that is new was created besides.
func NewLaunchNames() *Names {
	return NewNames(NamesSQL{
		Insert: "insert into launch (label, created_at) values ($1, $2) on conflict do nothing",
		ByName: "select id from launch where label = $1",
		ByID:   "select label from launch where id = $1",
	})
}

// ID is the number of the name; a name that is new gets one. more are the further arguments of the insert.
func (n *Names) ID(ctx context.Context, db DBTX, name string, more ...any) (int64, error) {
	id, found, err := n.Find(ctx, db, name)
	if err != nil || found {
		return id, err
	}
	if _, err := db.Exec(ctx, n.sql.Insert, append([]any{name}, more...)...); err != nil {
		return 0, fmt.Errorf("add name %q: %w", name, err)
	}
	id, found, err = n.Find(ctx, db, name)
	if err == nil && !found {
		err = fmt.Errorf("add name %q: it is not there after the insert", name)
	}
	return id, err
}

// Cached is the number of the name if it is in memory. It allocates nothing, and stands before ID where every message
// passes.
func (n *Names) Cached(name string) (id int64, found bool) {
	if name == "" {
		return 0, true
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, found = n.byName[name]
	return id, found
}

// Find is the number of the name, and false when it has none. It selects before anything is inserted, because an insert
// that meets a conflict uses up a number of the sequence.
func (n *Names) Find(ctx context.Context, db DBTX, name string) (id int64, found bool, err error) {
	if id, found := n.Cached(name); found {
		return id, true, nil
	}
	err = db.QueryRow(ctx, n.sql.ByName, name).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("find name %q: %w", name, err)
	}
	n.keep(id, name)
	return id, true, nil
}

// Name is the name of the number. A number that nobody has gives an error that wraps pgx.ErrNoRows.
func (n *Names) Name(ctx context.Context, db DBTX, id int64) (string, error) {
	if id == 0 {
		return "", nil
	}
	n.mu.RLock()
	name, ok := n.byID[id]
	n.mu.RUnlock()
	if ok {
		return name, nil
	}
	if err := db.QueryRow(ctx, n.sql.ByID, id).Scan(&name); err != nil {
		return "", fmt.Errorf("name of %d: %w", id, err)
	}
	n.keep(id, name)
	return name, nil
}

func (n *Names) keep(id int64, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.byName) >= maxNames {
		clear(n.byName)
		clear(n.byID)
	}
	n.byName[name], n.byID[id] = id, name
}
