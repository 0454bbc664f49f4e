package delivery_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/delivery"
)

func TestNormalPhone(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"+79161234567":          "+79161234567",
		"+7 (916) 123-45-67":    "+79161234567",
		" +7\u00a0916.123.4567": "+79161234567",
		"89161234567":           "+79161234567",
		"8 916 123 45 67":       "+79161234567",
		"79161234567":           "+79161234567",
		"0079161234567":         "+79161234567",
		"+4930901820":           "+4930901820",
		"4930901820":            "+4930901820",
		"+81312345678":          "+81312345678",
		"+123456789012345":      "+123456789012345",
		"1234567":               "+1234567",
	} {
		got, err := delivery.NormalPhone(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{
		"", "+", "phone", "+7916123456x", "+0123456789", "0123456789", "123456", "+1234567890123456", "++79161234567",
		"7+9161234567", "٧٩١٦١٢٣٤٥٦٧", "+7916\n1234567", "8916123456712345",
	} {
		_, err := delivery.NormalPhone(s)
		require.Error(t, err, s)
	}
}

func TestNormalAddress(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		" Olga@Shop.Example ": "olga@shop.example", "8 (916) 123-45-67": "+79161234567", "fcm-Token:X_1 ": "fcm-Token:X_1",
		" \t ": "",
	} {
		require.Equal(t, want, delivery.NormalAddress(s))
	}
}

func TestDuration_Text(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]struct {
		d    time.Duration
		text string
	}{
		"90s": {90 * time.Second, "1m30s"}, "1h": {time.Hour, "1h"}, "60m": {time.Hour, "1h"}, "7d": {168 * time.Hour, "168h"},
		"1h30m": {90 * time.Minute, "1h30m"}, "10m": {10 * time.Minute, "10m"}, "1h0m5s": {3605 * time.Second, "1h0m5s"},
		"250ms": {250 * time.Millisecond, "250ms"}, "0s": {0, "0s"}, "-20m": {-20 * time.Minute, "-20m"},
	} {
		d, err := delivery.ParseDuration(s)
		require.NoError(t, err)
		require.Equal(t, want.d, time.Duration(d))
		require.Equal(t, want.text, d.String())
	}
	for _, s := range []string{"", "1", "d", "-1d", "1.5d", "4000d", "1w", "1h ", "99999999h"} {
		_, err := delivery.ParseDuration(s)
		require.Error(t, err, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := delivery.Duration(rapid.Int64().Draw(t, "nanoseconds"))
		var got delivery.Duration
		b, err := d.MarshalText()
		require.NoError(t, err)
		require.NoError(t, got.UnmarshalText(b))
		require.Equal(t, d, got)
	})
}

func TestWhen(t *testing.T) {
	t.Parallel()
	moscow := time.FixedZone("MSK", 3*60*60)
	for s, want := range map[string]struct {
		local bool
		at    time.Time // for a recipient in Moscow
	}{
		"2026-11-22T10:00:00+03:00": {false, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)},
		"2026-11-22T10:00:00Z":      {false, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)},
		"2026-11-22T10:00:00":       {true, time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)},
		"2026-11-22T10:00:00.25":    {true, time.Date(2026, 11, 22, 7, 0, 0, 250e6, time.UTC)},
	} {
		w, err := delivery.ParseWhen(s)
		require.NoError(t, err)
		require.Equal(t, want.local, w.Local)
		require.False(t, w.IsZero())
		require.Equal(t, want.at, w.In(moscow).UTC())
		b, err := w.MarshalText()
		require.NoError(t, err)
		require.Equal(t, s, string(b))
	}
	for _, s := range []string{
		"", "tomorrow", "2026-11-22", "2026-11-22T10:00", "2026-11-22 10:00:00", "2026-11-22T1:00:00Z", "2026-11-22T10:00:00,5Z",
		"2026-02-30T10:00:00", "2026-11-22T24:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "2026-11-22T10:00:00+24:00",
	} {
		_, err := delivery.ParseWhen(s)
		require.Error(t, err, s)
	}
	b, err := delivery.When{}.MarshalText()
	require.NoError(t, err)
	require.Empty(t, b)
}
