package signedref_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/signedref"
)

func keys(tb testing.TB, current byte, ids ...byte) *signedref.Keys {
	tb.Helper()
	secrets := map[byte][]byte{}
	for _, id := range ids {
		secrets[id] = bytes.Repeat([]byte{'k', id}, 16)
	}
	k, err := signedref.NewKeys(current, secrets)
	require.NoError(tb, err)
	return k
}

func TestKeys_RoundTrip(t *testing.T) {
	t.Parallel()
	k := keys(t, 1, 1)
	for _, kind := range []signedref.Kind{signedref.Click, signedref.Open, signedref.Unsubscribe} {
		for _, id := range []int64{0, 1, -1, 8 * 12345678901, math.MaxInt64, math.MinInt64} {
			for _, n := range []uint16{0, 1, 1023, math.MaxUint16} {
				ref := string(k.Append([]byte("/c/"), kind, id, n))
				require.Len(t, ref, 3+signedref.TextLen)
				gotID, gotN, err := k.Parse(kind, ref[3:])
				require.NoError(t, err)
				require.Equal(t, id, gotID)
				require.Equal(t, n, gotN)
			}
			token := string(k.AppendMail(nil, id))
			require.Len(t, token, signedref.MailLen)
			got, err := k.ParseMail(strings.ToUpper(token))
			require.NoError(t, err)
			require.Equal(t, id, got)
		}
	}
}

// The form is a contract: messages that were sent years ago carry it.
func TestKeys_FormIsFixed(t *testing.T) {
	t.Parallel()
	k := keys(t, 7, 7)
	require.Equal(t, "AQcAAAAAB1vNFQAD", string(k.Append(nil, signedref.Click, 123456789, 3))[:16])
	require.Equal(t, string(k.Append(nil, signedref.Click, 123456789, 3)), string(keys(t, 7, 7, 8).Append(nil, signedref.Click, 123456789, 3)))
}

func TestKeys_AnyChangeIsNoticed(t *testing.T) {
	t.Parallel()
	k := keys(t, 1, 1, 2)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n"
	ref := k.Append(nil, signedref.Click, 8*4711, 5)
	token := k.AppendMail(nil, 8*4711)
	for i := range ref {
		for _, c := range []byte(alphabet) {
			altered := bytes.Clone(ref)
			altered[i] = c
			if bytes.Equal(altered, ref) {
				continue
			}
			_, _, err := k.Parse(signedref.Click, string(altered))
			require.ErrorIs(t, err, signedref.ErrInvalid, "%s", altered)
		}
	}
	for i := range token {
		for _, c := range []byte(alphabet) {
			altered := bytes.Clone(token)
			altered[i] = c
			if strings.EqualFold(string(altered), string(token)) {
				continue
			}
			_, err := k.ParseMail(string(altered))
			require.ErrorIs(t, err, signedref.ErrInvalid, "%s", altered)
		}
	}
	for _, wrong := range []string{"", "x", string(ref) + "A", string(ref[:29]), string(token), strings.Repeat("A", 30)} {
		_, _, err := k.Parse(signedref.Click, wrong)
		require.ErrorIs(t, err, signedref.ErrInvalid)
	}
	for _, kind := range []signedref.Kind{signedref.Open, signedref.Unsubscribe} {
		_, _, err := k.Parse(kind, string(ref))
		require.ErrorIs(t, err, signedref.ErrInvalid, "a ref of another kind")
	}
}

func TestKeys_Rotation(t *testing.T) {
	t.Parallel()
	old, both, after := keys(t, 1, 1), keys(t, 2, 1, 2), keys(t, 2, 2)
	ref, token := string(old.Append(nil, signedref.Open, 8, 0)), string(old.AppendMail(nil, 8))
	_, _, err := both.Parse(signedref.Open, ref)
	require.NoError(t, err)
	_, err = both.ParseMail(token)
	require.NoError(t, err)
	_, _, err = after.Parse(signedref.Open, ref)
	require.ErrorIs(t, err, signedref.ErrInvalid)
	_, err = after.ParseMail(token)
	require.ErrorIs(t, err, signedref.ErrInvalid)
	_, err = signedref.NewKeys(3, map[byte][]byte{1: bytes.Repeat([]byte{1}, 32)})
	require.ErrorContains(t, err, "key 3")
	_, err = signedref.NewKeys(1, map[byte][]byte{1: []byte("short")})
	require.ErrorContains(t, err, "5 bytes")
}

// Nothing is allocated but what pools forget under the race detector, a part of what a new HMAC takes.
func TestKeys_AllocateLittle(t *testing.T) { //nolint:paralleltest // counts what the whole process allocates
	k := keys(t, 1, 1)
	dst := make([]byte, 0, 64)
	require.Less(t, testing.AllocsPerRun(1000, func() { k.Append(dst, signedref.Click, 8, 1) }), 4.0)
	require.Less(t, testing.AllocsPerRun(1000, func() { k.AppendMail(dst, 8) }), 4.0)
}

func FuzzParse(f *testing.F) {
	k := keys(f, 1, 1)
	f.Add(string(k.Append(nil, signedref.Click, 8, 1)))
	f.Add(string(k.AppendMail(nil, 8)))
	f.Fuzz(func(t *testing.T, s string) {
		if id, n, err := k.Parse(signedref.Click, s); err == nil && string(k.Append(nil, signedref.Click, id, n)) != s {
			t.Fatalf("%q is not what is written for %d/%d", s, id, n)
		}
		if id, err := k.ParseMail(s); err == nil && string(k.AppendMail(nil, id)) != strings.ToLower(s) {
			t.Fatalf("%q is not what is written for %d", s, id)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	k, dst := keys(b, 1, 1), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = k.Append(dst[:0], signedref.Click, 8, 1)
	}
}
