//go:build integration

package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/api/postgres"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	s, ctx := postgres.New(pgtest.Tx(t)), t.Context()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	text := api.NewKey()
	hash := api.HashKey(text)

	_, err := s.FindKey(ctx, hash)
	require.ErrorIs(t, err, api.ErrNoKey)
	k, err := s.CreateKey(ctx, "shop", hash, []api.Scope{api.ScopeMessagesWrite, api.ScopeReportsRead}, now)
	require.NoError(t, err)
	require.Positive(t, k.ID)
	got, err := s.FindKey(ctx, hash)
	require.NoError(t, err)
	require.Equal(t, k, got)
	require.Equal(t, api.Key{
		ID: k.ID, Name: "shop", Scopes: []api.Scope{api.ScopeMessagesWrite, api.ScopeReportsRead}, CreatedAt: now,
	}, got)

	_, err = s.CreateKey(ctx, "shop", api.HashKey("other"), []api.Scope{api.ScopeAdmin}, now)
	require.ErrorIs(t, err, api.ErrKeyExists)
	_, err = s.CreateKey(ctx, "admin", api.HashKey("admin"), []api.Scope{api.ScopeAdmin}, now)
	require.NoError(t, err)

	require.ErrorIs(t, s.RevokeKey(ctx, "nobody", now), api.ErrNoKey)
	require.NoError(t, s.RevokeKey(ctx, "shop", now.Add(time.Hour)))
	require.NoError(t, s.RevokeKey(ctx, "shop", now.Add(2*time.Hour)))
	_, err = s.FindKey(ctx, hash)
	require.ErrorIs(t, err, api.ErrNoKey)
	list, err := s.ListKeys(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "admin", list[0].Name)
	require.Equal(t, now.Add(time.Hour), list[1].RevokedAt, "the first revocation counts")
}

func TestStore_DatabaseAway(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://u@127.0.0.1:1/x?connect_timeout=1")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = postgres.New(pool).FindKey(t.Context(), api.HashKey("x"))
	require.ErrorIs(t, err, delivery.ErrUnavailable)
}
