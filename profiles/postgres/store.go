// Package postgres keeps profiles in the tables profile, contact_point and attribute.
//
// Whoever changes profiles first locks the rows that there are, in the order of their numbers, and then inserts those that
// there are not, in the order of their external ids. Whoever finds that another one has just inserted one of them lets go
// of everything and begins anew. So nobody waits in a circle, and what is read under the lock can be merged in Go.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/profiles"
)

// DB runs statements and transactions: a pool, or a transaction of a test.
type DB interface {
	postgres.DBTX
	postgres.Beginner
}

// Store is the profiles of a database, for those who change and show them. Its errors wrap delivery.ErrUnavailable while
// the database is away.
type Store struct{ db DB }

// New makes a store.
func New(db DB) *Store { return &Store{db: db} }

// Schema reads the attributes that are declared.
func (s *Store) Schema(ctx context.Context) (*profiles.Schema, error) {
	schema, err := readSchema(ctx, s.db)
	return schema, failed("read attributes", err)
}

func readSchema(ctx context.Context, db postgres.DBTX) (*profiles.Schema, error) {
	rows, err := db.Query(ctx, "select name, type, title, created_at from attribute order by name")
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a profiles.Attribute, err error) {
		err = row.Scan(&a.Name, &a.Type, &a.Title, &a.CreatedAt)
		a.CreatedAt = a.CreatedAt.UTC()
		return a, err
	})
	if err != nil {
		return nil, err
	}
	return profiles.NewSchema(list), nil
}

// CreateAttribute declares an attribute. It fails as profiles.Schema.CanAdd does; an attribute that is there just so is
// no error, and its first declaration counts.
func (s *Store) CreateAttribute(ctx context.Context, a profiles.Attribute) (profiles.Attribute, error) {
	a.CreatedAt = a.CreatedAt.UTC().Truncate(time.Microsecond) // as Postgres keeps it
	err := postgres.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error {
		// One at a time: whether names collide is decided over all of them.
		if _, err := tx.Exec(ctx, "lock table attribute in share row exclusive mode"); err != nil {
			return err
		}
		schema, err := readSchema(ctx, tx)
		if err != nil {
			return err
		}
		if there, ok := schema.Attribute(a.Name); ok && there.Type == a.Type && there.Title == a.Title {
			a = there
			return nil
		}
		if err := schema.CanAdd(a); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "insert into attribute (name, type, title, created_at) values ($1, $2, $3, $4)",
			a.Name, string(a.Type), a.Title, a.CreatedAt)
		return err
	})
	return a, failed("create an attribute", err)
}

// Find reads a whole profile, or fails with profiles.ErrNotFound.
func (s *Store) Find(ctx context.Context, external string) (*profiles.Profile, error) {
	schema, err := s.Schema(ctx)
	if err != nil {
		return nil, err
	}
	found, err := load(ctx, s.db, schema, []string{external}, profiles.AllFields(schema))
	if err != nil {
		return nil, failed("find a profile", err)
	}
	if p := found[external]; p != nil {
		return p, nil
	}
	return nil, profiles.ErrNotFound
}

// maxTries bounds how often a transaction that lost a race begins anew. Each time another one has won.
const maxTries = 20

// errRaced means that somebody else has just inserted a profile that was not there.
var errRaced = errors.New("another transaction has inserted the same profile")

// Upsert applies updates in their order, all of them or none.
func (s *Store) Upsert(ctx context.Context, updates []*profiles.Update, now time.Time) (profiles.Counts, error) {
	for try := 1; ; try++ {
		var b *batch
		err := postgres.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error {
			b = newBatch(updates, now)
			return b.settle(ctx, tx)
		})
		if err == nil {
			return b.counts, nil
		}
		if again := errors.Is(err, errRaced) || postgres.Retryable(err); !again || try == maxTries {
			return profiles.Counts{}, failed("upsert profiles", err)
		}
	}
}

// failed says what was attempted, and whether it is worth to come again.
func failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case postgres.Away(err):
		return fmt.Errorf("%s: %w: %w", what, delivery.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
