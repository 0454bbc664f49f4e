package pgtest //nolint:testpackage // the function is not for users

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for conn, want := range map[string]string{
		"postgres:///herald?host=%2Frun&user=h":    "postgres:///x_1?host=%2Frun&user=h",
		"postgresql://u:p@db:5432?sslmode=disable": "postgresql://u:p@db:5432/x_1?sslmode=disable",
		"host=/run user=h dbname=herald":           "host=/run user=h dbname=herald dbname=x_1",
	} {
		got, err := withDatabase(conn, "x_1")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
