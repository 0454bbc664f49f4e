//go:build unix

package embedded_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/postgres/embedded"
)

func TestPick(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wanted    int
		installed []int
		want      int
		err       string
	}{
		"newest":                   {0, []int{15, 18, 17}, 18, ""},
		"the one of the data":      {15, []int{15, 18, 17}, 15, ""},
		"nothing":                  {0, nil, 0, "apt-get install postgresql"},
		"nothing for the data":     {17, nil, 0, "the data directory is of PostgreSQL 17"},
		"too old":                  {0, []int{13, 14}, 0, "only PostgreSQL 14, 13 is installed"},
		"another than of the data": {17, []int{15, 18}, 0, "only version 18, 15 is installed: install version 17"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := embedded.Pick(c.wanted, c.installed...)
			require.Equal(t, c.want, got)
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.err)
		})
	}
}

func TestParseMajor(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1":                          18,
		"postgres (PostgreSQL) 19devel":                          19,
		"mysqld Ver 8":                                           0,
	} {
		got, err := embedded.ParseMajor(out)
		require.Equal(t, want, got, out)
		require.Equal(t, want == 0, err != nil, out)
	}
}

func TestStart_ProgramsThatAreNotThere(t *testing.T) {
	t.Parallel()
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: reachable(t), BinDir: "/nowhere"})
	require.ErrorContains(t, err, "PostgreSQL programs in /nowhere")
	_, err = embedded.Start(t.Context(), embedded.Config{})
	require.ErrorContains(t, err, "no directory")
}
