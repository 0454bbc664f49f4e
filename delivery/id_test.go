package delivery_test

import (
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/delivery"
)

func TestID_Parts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 1, 500_999_999, time.UTC)
	base := delivery.IDAt(at)
	require.Equal(t, at.Truncate(time.Millisecond), base.Time())
	require.Equal(t, base, base.Job())
	for n := range delivery.MessagesPerJob {
		m := (base + 8).Message(n)
		require.Equal(t, n, m.Number())
		require.Equal(t, base+8, m.Job())
		require.Equal(t, base+8, m.Message(3).Job())
		require.Equal(t, base.Time(), m.Time())
	}
	require.Zero(t, delivery.IDAt(delivery.Epoch()))
	require.Equal(t, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), delivery.Epoch())
	require.Less(t, delivery.IDAt(at), delivery.IDAt(at.Add(time.Millisecond)))
}

// The SQL function id_at says: floor((extract(epoch from t) - 1704067200) * 1000)::bigint << 20.
func TestIDAt_EqualsSQL(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(1e15, 4e15).Draw(t, "microseconds since 1970")
		x := new(big.Rat).SetFrac64(micros, 1e6)
		x.Sub(x, new(big.Rat).SetInt64(1704067200)).Mul(x, new(big.Rat).SetInt64(1000))
		floor := new(big.Int).Div(x.Num(), x.Denom()) // Euclidean: with a positive denominator it is the floor
		require.Equal(t, floor.Int64()<<20, int64(delivery.IDAt(time.UnixMicro(micros))))
	})
}

func TestID_Text(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]delivery.ID{
		"0": 0, "95428462116864001": 95428462116864001, "-1": -1,
		"9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63,
	} {
		got, err := delivery.ParseID(s)
		require.NoError(t, err)
		require.Equal(t, want, got)
		b, err := json.Marshal(got)
		require.NoError(t, err)
		require.Equal(t, `"`+s+`"`, string(b))
		require.NoError(t, json.Unmarshal(b, &got))
		require.Equal(t, want, got)
	}
	for _, s := range []string{"", "+1", "1e3", "0x1f", "1_000", " 1", "9223372036854775808", "00000000000000000001", "-", "٣"} {
		_, err := delivery.ParseID(s)
		require.Error(t, err, s)
	}
	id := delivery.ID(5)
	require.NoError(t, id.UnmarshalText(nil))
	require.Zero(t, id)
}

// The ids of recipients without profile are kept for ever: these were computed apart.
func TestAnonymousProfile(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"+79161234567":      "-5158083086724234917",
		"olga@shop.example": "-7072205776794150018",
		"":                  "-7183457195969485845",
	} {
		require.Equal(t, want, delivery.AnonymousProfile(address).String(), address)
	}
	rapid.Check(t, func(t *rapid.T) {
		require.Negative(t, int64(delivery.AnonymousProfile(rapid.String().Draw(t, "address"))))
	})
}

func TestEventIDs(t *testing.T) {
	t.Parallel()
	const m = delivery.ID(95428462116864001)
	require.Equal(t, "95428462116864001-accepted-2-1", delivery.DispatchEventID(m, delivery.KindAccepted, 2, 1))
	require.Equal(t, "95428462116864001-failed-p1f-undelivered",
		delivery.ReceiptEventID(m, delivery.KindFailed, 31, "undelivered"))
	require.Equal(t, "95428462116864001-clicked-u3-1795341601500",
		delivery.HitEventID(m, delivery.KindClicked, 3, "1795341601500"))
}
