package profiles_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/examples"
	"github.com/herald-gateway/herald/profiles"
)

// The example files are good, and their clients cannot be anybody.
func TestExamples(t *testing.T) {
	t.Parallel()
	var declared []profiles.Attribute
	for _, a := range examples.Attributes() {
		attribute := profiles.Attribute{Name: a.Name, Type: profiles.Type(a.Type), Title: a.Title}
		require.Empty(t, attribute.Faults())
		require.NoError(t, profiles.NewSchema(declared).CanAdd(attribute))
		declared = append(declared, attribute)
	}
	m := &memory{all: map[string]*profiles.Profile{}}
	csv, err := os.ReadFile("../examples/profiles.csv")
	require.NoError(t, err)
	for format, text := range map[profiles.Format][]byte{profiles.FormatNDJSON: examples.Profiles(), profiles.FormatCSV: csv} {
		r, err := profiles.Import(t.Context(), bytes.NewReader(text), format, profiles.NewSchema(declared), m.upsert)
		require.NoError(t, err)
		require.Empty(t, r.Faults)
	}
	require.Len(t, m.all, 10)
	for _, p := range m.all {
		require.Regexp(t, `^(\+7900000\d{4}|\+447700900\d{3})$`, p.Value("phone").Text())
		require.Regexp(t, `^(|.*@shop\.example)$`, p.Value("email").Text())
	}
}
