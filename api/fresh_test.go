package api_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
)

var update = flag.Bool("update", false, "write openapi.json")

func TestOpenAPI_IsFresh(t *testing.T) {
	t.Parallel()
	got, err := api.OpenAPI()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", got, 0o600))
	}
	want, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./api -update")
}
