//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/tracking"
)

// References are kept by the day and searched by the hour of their acceptance.
func TestReceiptStore_ResolveByHour(t *testing.T) {
	t.Parallel()
	b := setup(t)
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	job := first()
	record := func(n delivery.ID, at time.Time, ref string) {
		e := accepted(job+8*n, "autumn", ref)
		e.At = at
		b.record(t, 0, e)
	}
	record(0, midnight.Add(-30*time.Minute), "reused")
	record(1, midnight.Add(10*time.Minute), "reused")
	record(2, midnight.Add(20*time.Minute), "once")
	key := func(ref string) tracking.Key { return tracking.Key{Provider: "mts", Ref: ref} }
	keys := []tracking.Key{key("reused"), key("once"), key("never"), key(""), {Provider: "stranger", Ref: "once"}}
	for name, c := range map[string]struct {
		since, till time.Duration // from midnight
		want        map[tracking.Key]delivery.ID
	}{
		"both days":       {-time.Hour, time.Hour, map[tracking.Key]delivery.ID{key("reused"): job + 8, key("once"): job + 16}},
		"yesterday":       {-time.Hour, -time.Minute, map[tracking.Key]delivery.ID{key("reused"): job}},
		"other hours":     {time.Hour, 5 * time.Hour, map[tracking.Key]delivery.ID{}},
		"days not kept":   {-400 * 24 * time.Hour, -398 * 24 * time.Hour, map[tracking.Key]delivery.ID{}},
		"from days ahead": {24 * time.Hour, 28 * 24 * time.Hour, map[tracking.Key]delivery.ID{}},
	} {
		found, err := b.store.Resolve(t.Context(), keys, midnight.Add(c.since), midnight.Add(c.till))
		require.NoError(t, err, name)
		got := map[tracking.Key]delivery.ID{}
		for k, target := range found {
			require.Equal(t, [2]int{1, 1}, [2]int{target.Part, target.Parts})
			got[k] = target.Message
		}
		require.Equal(t, c.want, got, name)
	}
}

// A sweep goes through all pages, past those that nobody knows, and takes out what it finds under either form of the id.
func TestReceiptStore_SweepPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := first()
	now := time.Now()
	var parked []delivery.Receipt
	for n := range 7 {
		parked = append(parked, delivery.Receipt{
			Provider: "mts", Ref: fmt.Sprint("r", n), AltRef: fmt.Sprint("alt", n), State: delivery.ReceiptDelivered, At: now,
		})
	}
	require.NoError(t, b.store.Park(t.Context(), parked, nil, now))
	b.record(t, 0, accepted(job, "autumn", "r1"), accepted(job+8, "autumn", "alt4"), accepted(job+16, "autumn", "r6"))
	q := tracking.SweepQuery{
		ParkedSince: now.Add(-time.Minute), ParkedBefore: now.Add(time.Minute), Depth: time.Hour, Skew: time.Minute, Limit: 2,
	}
	got := map[string]delivery.ID{}
	sweep := func(q tracking.SweepQuery) {
		require.NoError(t, b.store.Sweep(t.Context(), q, func(_ context.Context, list []tracking.Found) error {
			for _, f := range list {
				got[f.Ref] = f.Target.Message
			}
			return nil
		}))
	}
	older := q
	older.ParkedBefore = now.Add(-time.Second)
	sweep(older)
	require.Empty(t, got, "none is that old")
	require.ErrorIs(t, b.store.Sweep(t.Context(), q, func(context.Context, []tracking.Found) error {
		return context.DeadlineExceeded
	}), context.DeadlineExceeded)
	require.Equal(t, 7, b.count(t, "receipt_parked"), "what was found is not taken out before its events are written")
	sweep(q)
	require.Equal(t, map[string]delivery.ID{"r1": job, "r4": job + 8, "r6": job + 16}, got)
	require.Equal(t, 4, b.count(t, "receipt_parked"))
}
