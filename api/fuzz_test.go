package api_test

import (
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
)

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"", "1", "95579799552000000", "-1", "01", "+1", "9223372036854775808", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := api.ParseCursor(s)
		if ok && s != "" {
			require.Equal(t, s, strconv.FormatInt(n, 10))
			require.Positive(t, n)
		}
		if api.LabelFault(s) == "" {
			require.True(t, utf8.ValidString(s))
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(job(""))
	f.Add(`{"jobs":[` + job("") + `],"declare":true}`)
	f.Add(`{"jobs":[null,[],{}],"jobs":1}`)
	f.Fuzz(func(t *testing.T, s string) {
		n, err := api.DecodeBatch([]byte(s))
		require.Equal(t, err == nil, n > 0)
	})
}
