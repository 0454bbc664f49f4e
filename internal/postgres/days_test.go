package postgres_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/internal/postgres"
)

func day(t testing.TB, s string) time.Time {
	t.Helper()
	out, err := time.Parse(time.DateOnly, s)
	require.NoError(t, err)
	return out
}

func TestTableFor(t *testing.T) {
	t.Parallel()
	noon := postgres.FirstID(day(t, "2026-11-21"))
	for name, c := range map[string]struct {
		id   int64
		want string
	}{
		"first id of a day":     {noon, "claim_20261121"},
		"last id of the day":    {noon - 1, "claim_20261120"},
		"leap day":              {postgres.FirstID(day(t, "2028-02-29")), "claim_20280229"},
		"end of the year":       {postgres.FirstID(day(t, "2027-01-01")) - 1, "claim_20261231"},
		"epoch of the ids":      {0, "claim_20240101"},
		"before the epoch":      {-1, "claim_20231231"},
		"the largest id":        {math.MaxInt64, "claim_23020927"},
		"another time the same": {noon + 1<<40, "claim_20261121"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, postgres.TableFor("claim", c.id))
			require.Equal(t, c.want, postgres.PartitionName("claim", postgres.DayOf(c.id)))
		})
	}
}

func TestPartitionName_IsOfTheDayInUTC(t *testing.T) {
	t.Parallel()
	moscow := time.FixedZone("MSK", 3*3600)
	require.Equal(t, "message_20261120", postgres.PartitionName("message", time.Date(2026, 11, 21, 2, 59, 0, 0, moscow)))
	require.Equal(t, "message_20261121", postgres.PartitionName("message", time.Date(2026, 11, 21, 3, 0, 0, 0, moscow)))
}

func TestDayOf_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(1704067200000, 4102444800000).Draw(t, "ms")).UTC()
		id := (at.UnixMilli()-1704067200000)<<20 + rapid.Int64Range(0, 1<<20-1).Draw(t, "n")
		require.Equal(t, at.Truncate(24*time.Hour), postgres.DayOf(id))
		require.LessOrEqual(t, postgres.FirstID(at), id)
		require.Greater(t, postgres.FirstID(at.AddDate(0, 0, 1)), id)
	})
}

type id int64

func TestByDay(t *testing.T) {
	t.Parallel()
	a := id(postgres.FirstID(day(t, "2026-11-20")))
	b := id(postgres.FirstID(day(t, "2026-11-21")))
	for name, c := range map[string]struct {
		ids  []id
		want []postgres.Day
	}{
		"empty":   {nil, nil},
		"one day": {[]id{a + 5, a, a + 8}, []postgres.Day{{Suffix: "20261120", At: []int{0, 1, 2}, All: true}}},
		"two days": {[]id{b, a, b + 1}, []postgres.Day{
			{Suffix: "20261120", At: []int{1}}, {Suffix: "20261121", At: []int{0, 2}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(c.want, postgres.ByDay(c.ids)))
		})
	}
	days := postgres.ByDay([]id{b, a, b + 1})
	require.Equal(t, []string{"y"}, postgres.Pick(days[0], []string{"x", "y", "z"}))
	require.Equal(t, []string{"x", "z"}, postgres.Pick(days[1], []string{"x", "y", "z"}))
	require.Equal(t, "claim_20261121", days[1].Table("claim"))
}

func BenchmarkByDay(b *testing.B) {
	ids := make([]int64, 500)
	for i := range ids {
		ids[i] = int64(1)<<56 + int64(i)*8
	}
	b.ReportAllocs()
	for b.Loop() {
		postgres.ByDay(ids)
	}
}
