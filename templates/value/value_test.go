package value_test

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/value"
)

// rat returns a number as an exact fraction.
func rat(v value.Value) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.Scale())), nil)
	return new(big.Rat).SetFrac(big.NewInt(v.Int()), scale)
}

func number(t *rapid.T, label string) value.Value {
	n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-100, 100), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0})).Draw(t, label)
	if rapid.Bool().Draw(t, label+" is whole") {
		return value.OfInt(n)
	}
	return value.OfDecimal(n, rapid.IntRange(0, 9).Draw(t, label+" scale"))
}

// Sums, differences, products, rests and orders are exact or an error; products may round at the ninth digit.
func TestArithmetic_IsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := number(t, "a"), number(t, "b")
		if sum, err := value.Add(a, b); err == nil {
			require.Zero(t, rat(sum).Cmp(new(big.Rat).Add(rat(a), rat(b))))
		}
		if diff, err := value.Sub(a, b); err == nil {
			require.Zero(t, rat(diff).Cmp(new(big.Rat).Sub(rat(a), rat(b))))
		}
		if product, err := value.Mul(a, b); err == nil {
			requireNear(t, new(big.Rat).Mul(rat(a), rat(b)), rat(product), 9)
		}
		order, ok := value.Compare(a, b)
		require.True(t, ok)
		require.Equal(t, rat(a).Cmp(rat(b)), order)
		checkDivision(t, a, b)
	})
}

func checkDivision(t *rapid.T, a, b value.Value) {
	t.Helper()
	quotient, err := value.Div(a, b)
	if b.Int() == 0 {
		require.ErrorIs(t, err, value.ErrDivision)
		return
	}
	if err == nil && a.Kind() == value.Int && b.Kind() == value.Int {
		floor := new(big.Int).Div(new(big.Int).Mul(big.NewInt(a.Int()), sign(b.Int())), new(big.Int).Abs(big.NewInt(b.Int())))
		require.Equal(t, floor.Int64(), quotient.Int())
	} else if err == nil {
		require.Equal(t, value.Decimal, quotient.Kind())
	}
	if rest, err := value.Mod(a, b); err == nil && rest.Int() != 0 {
		require.Equal(t, b.Int() < 0, rest.Int() < 0, "the rest has the sign of the divisor")
		require.Negative(t, new(big.Rat).Abs(rat(rest)).Cmp(new(big.Rat).Abs(rat(b))))
	}
}

func sign(n int64) *big.Int { return big.NewInt(int64(big.NewInt(n).Sign())) }

// requireNear: at most half a unit of the last of so many digits apart.
func requireNear(t *rapid.T, want, got *big.Rat, digits int64) {
	t.Helper()
	unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil))
	apart := new(big.Rat).Sub(want, got)
	require.LessOrEqual(t, apart.Abs(apart).Cmp(unit.Mul(unit, big.NewRat(1, 2))), 0)
}

func TestRound_HalfAwayFromZero(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v, digits := number(t, "v"), rapid.IntRange(0, 9).Draw(t, "digits")
		got, err := value.Round(v, digits)
		require.NoError(t, err)
		requireNear(t, rat(v), rat(got), int64(digits))
	})
	for in, want := range map[string]string{"2.5": "3", "-2.5": "-3", "0.5": "1", "-0.4": "0", "1.49": "1"} {
		v, ok := value.ParseNumber(in)
		require.True(t, ok)
		got, err := value.Round(v, 0)
		require.NoError(t, err)
		require.Equal(t, want, string(got.AppendNumber(nil)))
	}
}

func TestParseNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "007": "7", "12.50": "12.5", "-3.000000001": "-3.000000001", "1.0000000005": "1.000000001",
		"9223372036854775807": "9223372036854775807", "-9223372036854775808": "-9223372036854775808", "0.1": "0.1",
		"123456789.1234567894": "123456789.123456789",
	} {
		v, ok := value.ParseNumber(in)
		require.True(t, ok, in)
		require.Equal(t, want, string(v.AppendNumber(nil)))
	}
	for _, in := range []string{"", "-", ".", "1.", ".5", "1e5", "+1", " 1", "1,5", "0x1", "9223372036854775808", "-9223372036854775809", "1.2.3", "9223372036854775807.5"} {
		_, ok := value.ParseNumber(in)
		require.False(t, ok, in)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := number(t, "v")
		again, ok := value.ParseNumber(string(v.AppendNumber(nil)))
		require.True(t, ok)
		require.True(t, value.Equal(v, again))
	})
}

func TestMoney(t *testing.T) {
	t.Parallel()
	rub := value.OfMoney(10050, "RUB")
	third, err := value.Div(rub, value.OfInt(3))
	require.NoError(t, err)
	require.Equal(t, value.OfMoney(3350, "RUB"), third)
	_, err = value.Add(rub, value.OfMoney(1, "KZT"))
	require.ErrorIs(t, err, value.ErrCurrency)
	_, err = value.Mul(rub, rub)
	require.ErrorIs(t, err, value.ErrKind)
	ratio, err := value.Div(rub, value.OfMoney(20100, "RUB"))
	require.NoError(t, err)
	require.Equal(t, value.OfDecimal(5, 1), ratio)
	require.False(t, value.Equal(rub, value.OfMoney(10050, "KZT")))
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Анна":                   "Анна",
		"и\u0306":                "й",
		"a\tb\r\nc\x00\x1b":      "a b\nc",
		"\u202eabc\u202c\u200f":  "abc",
		"a\u200bb\ufeffc\u200dd": "abcd",
		"👨\u200d👩\u200d👧":        "👨\u200d👩\u200d👧",
		"❤\ufe0f\u200d🔥":         "❤\ufe0f\u200d🔥",
		"x\u200d👩":               "x👩",
		"\xff":                   "\uFFFD",
		"O'Neill & <b>":          "O'Neill & <b>",
	} {
		require.Equal(t, want, value.Clean(in), "%q", in)
	}
	require.Equal(t, value.Value{}, value.Text(" \n\u200b "))
	rapid.Check(t, func(t *rapid.T) {
		s := value.Clean(rapid.String().Draw(t, "s"))
		require.Equal(t, s, value.Clean(s), "cleaning twice is cleaning once")
	})
}

func TestData(t *testing.T) {
	t.Parallel()
	d := json.NewDecoder(strings.NewReader(`{"Имя": "Ольга", "First Name": " ", "n": 3, "x": 1.50, "big": 99999999999999999999, "e": 1.5e3,
		"Купон": "A1", "list": [true, null, {"Вес Нетто": 2}]}`))
	d.UseNumber()
	var m map[string]any
	require.NoError(t, d.Decode(&m))
	v, err := value.Data(m, names.New())
	require.NoError(t, err)
	require.Equal(t, "Ольга", v.Get("name").Str())
	require.Equal(t, value.Nil, v.Get("first_name").Kind())
	require.Equal(t, value.OfInt(3), v.Get("n"))
	require.Equal(t, value.OfDecimal(15, 1), v.Get("x"))
	require.Equal(t, "99999999999999999999", v.Get("big").Str())
	require.Equal(t, value.OfInt(1500), v.Get("e"))
	require.Equal(t, "A1", v.Get("coupon").Get("code").Str())
	require.Equal(t, value.OfInt(2), v.Get("list").At(2).Get("вес_нетто"))
	require.Equal(t, value.Nil, v.Get("list").At(1).Kind())

	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	for name, bad := range map[string]map[string]any{
		"two keys of one field": {"Имя": "a", "name": "b"}, "two keys inside": {"x": map[string]any{"a b": 1, "a_b": 2}},
		"nested too deep": {"x": deep}, "a type of Go": {"x": struct{}{}}, "two coupons": {"Купон": "a", "Промокод": "b"},
	} {
		_, err := value.Data(bad, names.New())
		require.ErrorIs(t, err, value.ErrData, name)
	}
}

func TestBoundary(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][]int{
		"ab": {0, 1, 2}, "и\u0306к": {0, 4, 6}, "👍🏽!": {0, 8, 9}, "🇷🇺🇰🇿": {0, 8, 16}, "1\ufe0f\u20e32": {0, 7, 8},
	} {
		var got []int
		for i := range s {
			if value.Boundary(s, i) {
				got = append(got, i)
			}
		}
		require.Equal(t, want, append(got, len(s)), s)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	moscow, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	at, ok := value.ParseTime("2026-11-24T22:00:00Z")
	require.True(t, ok)
	require.Equal(t, "2026-11-25", at.Instant(moscow).Format(time.DateOnly))
	day, ok := value.ParseTime("1960-02-29")
	require.True(t, ok)
	require.Equal(t, "1960-02-29", day.Instant(moscow).Format(time.DateOnly), "a day does not move")
	require.Equal(t, value.Nil, value.OfTime(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)).Kind())
	for _, bad := range []string{"", "24.11.2026", "2026-13-01", "2026-11-24 22:00"} {
		_, ok := value.ParseTime(bad)
		require.False(t, ok, bad)
	}
}

func TestTruth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		v                    value.Value
		truthy, blank, empty bool
	}{
		{"nil", value.Value{}, false, true, false},
		{"false", value.OfBool(false), false, true, false},
		{"zero", value.OfInt(0), true, false, false},
		{"empty text", value.OfString(""), true, true, true},
		{"spaces", value.OfString("  "), true, true, false},
		{"empty list", value.OfList(nil), true, true, true},
	} {
		require.Equal(t, []bool{c.truthy, c.blank, c.empty}, []bool{c.v.Truthy(), c.v.Blank(), c.v.Empty()}, c.name)
	}
}
