package profiles

import (
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind says what a Value holds.
type Kind uint8

// The kinds of values.
const (
	KindNil Kind = iota
	KindBool
	KindInt
	KindDecimal
	KindString
	KindTime
	KindDate
	KindMoney
)

// Value is one thing that is known of a client. The zero Value is nil: nothing is known. Equal values are equal by ==.
type Value struct {
	kind  Kind
	scale uint8  // of a decimal: digits after the point
	num   int64  // the number, the coefficient, minor units, microseconds or days since 1970
	text  string // the text, the currency
}

const (
	maxScale    = 9 // digits after the point
	secondsADay = 24 * 60 * 60
)

// BoolValue is true or false.
func BoolValue(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// IntValue is a whole number.
func IntValue(n int64) Value { return Value{kind: KindInt, num: n} }

// DecimalValue is coefficient / 10^scale; scale is at most 9. Zeros at the end go, so that a whole number is an int.
func DecimalValue(coefficient int64, scale int) Value {
	for scale > 0 && coefficient%10 == 0 {
		coefficient /= 10
		scale--
	}
	if scale <= 0 {
		return IntValue(coefficient)
	}
	return Value{kind: KindDecimal, num: coefficient, scale: uint8(min(scale, maxScale))}
}

// StringValue is a text; an empty or blank one is nil.
func StringValue(s string) Value {
	if strings.TrimSpace(s) == "" {
		return Value{}
	}
	return Value{kind: KindString, text: s}
}

// TimeValue is a moment, to the microsecond.
func TimeValue(t time.Time) Value { return Value{kind: KindTime, num: t.UnixMicro()} }

// DateValue is a day without a zone.
func DateValue(year int, month time.Month, day int) Value {
	return Value{kind: KindDate, num: time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsADay}
}

// MoneyValue is an amount in minor units of a currency (ISO 4217).
func MoneyValue(minor int64, currency string) Value {
	return Value{kind: KindMoney, num: minor, text: currency}
}

// Kind says what the value holds; each of the methods below is for its kinds and gives zero for others.
func (v Value) Kind() Kind { return v.kind }

// IsNil says that nothing is known.
func (v Value) IsNil() bool { return v.kind == KindNil }

// Bool is what KindBool holds.
func (v Value) Bool() bool { return v.kind == KindBool && v.num != 0 }

// Int is what KindInt holds.
func (v Value) Int() int64 { return v.number(KindInt) }

// Decimal is what KindDecimal and KindInt hold: coefficient / 10^scale.
func (v Value) Decimal() (coefficient int64, scale int) {
	if v.kind == KindInt || v.kind == KindDecimal {
		return v.num, int(v.scale)
	}
	return 0, 0
}

// Text is what KindString holds.
func (v Value) Text() string {
	if v.kind != KindString {
		return ""
	}
	return v.text
}

// Time is what KindTime and KindDate hold, in UTC; of a day it is the midnight with which it begins.
func (v Value) Time() time.Time {
	switch v.kind {
	case KindTime:
		return time.UnixMicro(v.num).UTC()
	case KindDate:
		return time.Unix(v.num*secondsADay, 0).UTC()
	default:
		return time.Time{}
	}
}

// Money is what KindMoney holds.
func (v Value) Money() (minor int64, currency string) {
	if v.kind != KindMoney {
		return 0, ""
	}
	return v.num, v.text
}

func (v Value) number(k Kind) int64 {
	if v.kind != k {
		return 0
	}
	return v.num
}

// String is the value as a cell of CSV holds it: 350, 12.5, true, 1990-02-28, 2026-11-24T12:00:00Z, 1250.00 RUB.
func (v Value) String() string {
	switch v.kind {
	case KindBool:
		return strconv.FormatBool(v.num != 0)
	case KindInt, KindDecimal:
		return decimal(v.num, int(v.scale))
	case KindString:
		return v.text
	case KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case KindDate:
		return v.Time().Format(time.DateOnly)
	case KindMoney:
		return decimal(v.num, digitsOf(v.text)) + " " + v.text
	default:
		return ""
	}
}

// LogValue keeps what is known of a client out of logs.
func (Value) LogValue() slog.Value { return slog.StringValue("<value>") }

// MarshalJSON writes the JSON form that rows have.
func (v Value) MarshalJSON() ([]byte, error) { return v.appendJSON(nil), nil }

func (v Value) appendJSON(b []byte) []byte {
	switch v.kind {
	case KindNil:
		return append(b, "null"...)
	case KindString, KindTime, KindDate:
		return appendText(b, v.String())
	case KindMoney:
		b = append(b, `{"amount":`...)
		b = append(b, decimal(v.num, digitsOf(v.text))...)
		b = append(b, `,"currency":`...)
		return append(appendText(b, v.text), '}')
	default:
		return append(b, v.String()...)
	}
}

// appendText writes a JSON string.
func appendText(b []byte, s string) []byte {
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' || c == '\ufffd' }) {
		quoted, err := json.Marshal(s)
		if err == nil { // it cannot fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// decimal writes coefficient / 10^scale with all its digits.
func decimal(coefficient int64, scale int) string {
	s := strconv.FormatInt(coefficient, 10)
	if scale == 0 {
		return s
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if missing := scale + 1 - len(s); missing > 0 {
		s = strings.Repeat("0", missing) + s
	}
	return sign + s[:len(s)-scale] + "." + s[len(s)-scale:]
}

// parseDecimal reads digits with an optional sign and point. It fails when there are more than 9 digits after the point
// or more in all than 64 bits hold.
func parseDecimal(s string) (coefficient int64, scale int, ok bool) {
	digits, fraction, pointed := strings.Cut(s, ".")
	if pointed {
		if fraction == "" {
			return 0, 0, false
		}
		fraction = strings.TrimRight(fraction, "0")
	}
	if len(fraction) > maxScale || strings.TrimLeft(digits, "-") == "" || strings.ContainsAny(s, "+_ ") {
		return 0, 0, false
	}
	coefficient, err := strconv.ParseInt(digits+fraction, 10, 64)
	return coefficient, len(fraction), err == nil
}

// parseMoney reads an amount of a currency; ok is false for an amount with more digits than the currency has.
func parseMoney(amount, currency string) (v Value, ok bool) {
	coefficient, scale, ok := parseDecimal(amount)
	digits := digitsOf(currency)
	if !ok || !isCurrency(currency) || scale > digits {
		return Value{}, false
	}
	for ; scale < digits; scale++ {
		if coefficient > math.MaxInt64/10 || coefficient < math.MinInt64/10 {
			return Value{}, false
		}
		coefficient *= 10
	}
	return MoneyValue(coefficient, currency), true
}

func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// digitsOf is how many digits after the point the currency has (ISO 4217).
func digitsOf(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// parseDate reads a day as 1990-02-28 or 28.02.1990.
func parseDate(s string) (Value, bool) {
	layout := time.DateOnly
	if strings.Contains(s, ".") {
		layout = "02.01.2006"
	}
	t, err := time.Parse(layout, s)
	if err != nil || len(s) != len(layout) || t.Year() < 1 {
		return Value{}, false
	}
	return DateValue(t.Date()), true
}

// parseMoment reads RFC 3339.
func parseMoment(s string) (Value, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return Value{}, false
	}
	return TimeValue(t), true
}
