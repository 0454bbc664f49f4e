// Package postgres keeps API keys in the table api_key: their names, scopes and hashes, never the keys.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres"
)

// Store is the keys of a database. Its errors wrap delivery.ErrUnavailable while the database is away.
type Store struct{ db postgres.DBTX }

var _ api.KeyStore = (*Store)(nil)

// New makes a store on a pool or a transaction.
func New(db postgres.DBTX) *Store { return &Store{db: db} }

const columns = "id, name, scopes, created_at, revoked_at"

// uniqueViolation is the SQLSTATE of a second row with the same key.
const uniqueViolation = "23505"

// FindKey gives the key with this hash that is not revoked, or api.ErrNoKey.
func (s *Store) FindKey(ctx context.Context, hash api.KeyHash) (api.Key, error) {
	k, err := scan(s.db.QueryRow(ctx, "select "+columns+" from api_key where hash = $1 and revoked_at is null", hash[:]))
	if errors.Is(err, pgx.ErrNoRows) {
		return api.Key{}, api.ErrNoKey
	}
	return k, failed("find an api key", err)
}

// CreateKey stores a key, or fails with api.ErrKeyExists: names are not used again, not even after a revocation.
func (s *Store) CreateKey(
	ctx context.Context, name string, hash api.KeyHash, scopes []api.Scope, now time.Time,
) (api.Key, error) {
	// "on conflict" rather than the error: a transaction of the caller stays usable.
	k, err := scan(s.db.QueryRow(ctx, "insert into api_key (name, hash, scopes, created_at) values ($1, $2, $3, $4)"+
		" on conflict (name) do nothing returning "+columns, name, hash[:], texts(scopes), now))
	if errors.Is(err, pgx.ErrNoRows) || postgres.Code(err) == uniqueViolation {
		return api.Key{}, api.ErrKeyExists
	}
	return k, failed("create an api key", err)
}

// ListKeys lists all keys by name, the revoked ones too.
func (s *Store) ListKeys(ctx context.Context) ([]api.Key, error) {
	rows, err := s.db.Query(ctx, "select "+columns+" from api_key order by name")
	if err != nil {
		return nil, failed("list api keys", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (api.Key, error) { return scan(row) })
	return list, failed("list api keys", err)
}

// RevokeKey revokes a key for good; the first time counts. Without such a key it fails with api.ErrNoKey.
func (s *Store) RevokeKey(ctx context.Context, name string, now time.Time) error {
	tag, err := s.db.Exec(ctx, "update api_key set revoked_at = coalesce(revoked_at, $2) where name = $1", name, now)
	if err == nil && tag.RowsAffected() == 0 {
		return api.ErrNoKey
	}
	return failed("revoke an api key", err)
}

func scan(row pgx.Row) (api.Key, error) {
	var (
		k       api.Key
		scopes  []string
		revoked *time.Time
	)
	if err := row.Scan(&k.ID, &k.Name, &scopes, &k.CreatedAt, &revoked); err != nil {
		return api.Key{}, err
	}
	for _, s := range scopes {
		k.Scopes = append(k.Scopes, api.Scope(s))
	}
	k.CreatedAt = k.CreatedAt.UTC()
	if revoked != nil {
		k.RevokedAt = revoked.UTC()
	}
	return k, nil
}

func texts(scopes []api.Scope) []string {
	list := make([]string, len(scopes))
	for i, s := range scopes {
		list[i] = string(s)
	}
	return list
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
