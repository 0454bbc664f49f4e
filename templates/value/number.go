package value

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
)

// Errors of computing. They never carry values, which may be personal.
var (
	ErrOverflow = errors.New("the number becomes too large")
	ErrDivision = errors.New("division by zero")
	ErrKind     = errors.New("is not a number")
	ErrCurrency = errors.New("amounts in different currencies")
)

const (
	// maxScale is how many fraction digits a decimal keeps.
	maxScale = 9
	// minorDigits is how many digits the minor unit takes in every currency that Herald knows.
	minorDigits = 2
)

// pow10 holds the powers that a coefficient is shifted by.
var pow10 = [19]uint64{ //nolint:gochecknoglobals // a table that never changes
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// OfDecimal returns coefficient / 10^scale. The scale is at most nine.
func OfDecimal(coefficient int64, scale int) Value {
	for scale > 0 && coefficient%10 == 0 {
		coefficient /= 10
		scale--
	}
	return Value{kind: Decimal, scale: uint8(scale), num: coefficient} //nolint:gosec // 0…9
}

// ParseNumber reads a text that is wholly a number: an optional minus, digits, optionally a dot and digits. Digits after
// the ninth of the fraction are rounded. It is false for anything else and for what does not fit.
func ParseNumber(s string) (Value, bool) {
	digits, negative := s, false
	if len(s) > 0 && s[0] == '-' {
		digits, negative = s[1:], true
	}
	var n uint64
	scale, point, count, roundUp := 0, false, 0, false
	for i := range len(digits) {
		c := digits[i]
		switch {
		case c == '.' && !point && count > 0 && i < len(digits)-1:
			point = true
			continue
		case c < '0' || c > '9':
			return Value{}, false
		case point && scale == maxScale:
			if count >= 0 {
				roundUp, count = c >= '5', -1
			}
			continue
		}
		hi, lo := bits.Mul64(n, 10)
		if n = lo + uint64(c-'0'); hi != 0 || n < lo || n > 1<<63 {
			return Value{}, false
		}
		count++
		if point {
			scale++
		}
	}
	if count == 0 {
		return Value{}, false
	}
	if roundUp {
		n++
	}
	return signed(n, negative, scale, point)
}

func signed(n uint64, negative bool, scale int, decimal bool) (Value, bool) {
	i, ok := sign(n, negative)
	if !ok {
		return Value{}, false
	}
	if decimal {
		return OfDecimal(i, scale), true
	}
	return OfInt(i), true
}

// sign joins a magnitude with its sign, when they fit.
func sign(n uint64, negative bool) (int64, bool) {
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true //nolint:gosec // also right for the least number
	case !negative && n <= math.MaxInt64:
		return int64(n), true
	}
	return 0, false
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n) //nolint:gosec // two's complement: right for the least number too
	}
	return uint64(n)
}

// Number returns the value as a number: numbers as they are, and texts that are wholly one.
func (v Value) Number() (Value, error) {
	switch v.kind {
	case Int, Decimal, Money:
		return v, nil
	case String, HTML:
		if n, ok := ParseNumber(v.str); ok {
			return n, nil
		}
	default:
	}
	return Value{}, ErrKind
}

// AppendNumber prints a number with a dot and without trailing zeros.
func (v Value) AppendNumber(dst []byte) []byte {
	if v.scale == 0 {
		return strconv.AppendInt(dst, v.num, 10)
	}
	n := magnitude(v.num)
	if v.num < 0 {
		dst = append(dst, '-')
	}
	whole, rest := n/pow10[v.scale], n%pow10[v.scale]
	dst = strconv.AppendUint(dst, whole, 10)
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for digits := int(v.scale) - 1; rest > 0; digits-- {
		dst = append(dst, '0'+byte(rest/pow10[digits])) //nolint:gosec // one digit
		rest %= pow10[digits]
	}
	return dst
}

// result gives a coefficient the kind that an operation on a and b makes: money beats decimal beats int.
func result(n int64, scale int, a, b Value) (Value, error) {
	currency := ""
	switch {
	case a.kind == Money && b.kind == Money && a.str != b.str:
		return Value{}, ErrCurrency
	case a.kind == Money:
		currency = a.str
	case b.kind == Money:
		currency = b.str
	case a.kind == Int && b.kind == Int && scale == 0:
		return OfInt(n), nil
	}
	if currency == "" {
		return OfDecimal(n, scale), nil
	}
	n, err := rescale(n, scale, minorDigits)
	return OfMoney(n, currency), err
}

// rescale shifts a coefficient to another number of fraction digits, rounding half away from zero.
func rescale(n int64, from, to int) (int64, error) {
	if from <= to {
		hi, lo := bits.Mul64(magnitude(n), pow10[to-from])
		out, ok := sign(lo, n < 0)
		if hi != 0 || !ok {
			return 0, ErrOverflow
		}
		return out, nil
	}
	p := pow10[from-to]
	q, rest := magnitude(n)/p, magnitude(n)%p
	if rest >= p-rest {
		q++
	}
	out, _ := sign(q, n < 0)
	return out, nil
}

// align brings two coefficients to the greater scale of the two.
func align(a, b Value) (x, y int64, scale int, err error) {
	scale = int(max(a.scale, b.scale))
	if x, err = rescale(a.num, int(a.scale), scale); err != nil {
		return 0, 0, 0, err
	}
	y, err = rescale(b.num, int(b.scale), scale)
	return x, y, scale, err
}

// compareNumbers compares a/10^m with b/10^n by a·10^n with b·10^m in 128 bits, so it is always exact.
func compareNumbers(a, b Value) int {
	if (a.num < 0) != (b.num < 0) {
		return compareInts(a.num, b.num)
	}
	ah, al := bits.Mul64(magnitude(a.num), pow10[b.scale])
	bh, bl := bits.Mul64(magnitude(b.num), pow10[a.scale])
	order := 0
	switch {
	case ah < bh || ah == bh && al < bl:
		order = -1
	case ah > bh || ah == bh && al > bl:
		order = 1
	}
	if a.num < 0 {
		return -order
	}
	return order
}

// Add returns a + b.
func Add(a, b Value) (Value, error) {
	x, y, scale, err := align(a, b)
	if err != nil {
		return Value{}, err
	}
	sum := x + y
	if (sum > x) != (y > 0) {
		return Value{}, ErrOverflow
	}
	return result(sum, scale, a, b)
}

// Sub returns a - b.
func Sub(a, b Value) (Value, error) {
	x, y, scale, err := align(a, b)
	if err != nil {
		return Value{}, err
	}
	diff := x - y
	if (diff < x) != (y > 0) {
		return Value{}, ErrOverflow
	}
	return result(diff, scale, a, b)
}

// Mul returns a · b. Money times money is an error.
func Mul(a, b Value) (Value, error) {
	if a.kind == Money && b.kind == Money {
		return Value{}, ErrKind
	}
	hi, lo := bits.Mul64(magnitude(a.num), magnitude(b.num))
	scale := int(a.scale) + int(b.scale)
	if scale > maxScale {
		p := pow10[scale-maxScale]
		if hi >= p {
			return Value{}, ErrOverflow
		}
		var rest uint64
		lo, rest = bits.Div64(hi, lo, p)
		if rest >= p-rest {
			lo++
		}
		hi, scale = 0, maxScale
	}
	n, ok := sign(lo, (a.num < 0) != (b.num < 0))
	if hi != 0 || !ok {
		return Value{}, ErrOverflow
	}
	return result(n, scale, a, b)
}

// Div returns a / b: of two whole numbers the floor, else a number with up to nine fraction digits.
func Div(a, b Value) (Value, error) {
	if b.num == 0 {
		return Value{}, ErrDivision
	}
	if a.kind == Int && b.kind == Int {
		if a.num == math.MinInt64 && b.num == -1 {
			return Value{}, ErrOverflow
		}
		q := a.num / b.num
		if a.num%b.num != 0 && (a.num < 0) != (b.num < 0) {
			q--
		}
		return OfInt(q), nil
	}
	for scale := maxScale; scale >= 0; scale-- {
		shift := scale + int(b.scale) - int(a.scale)
		if shift < 0 {
			break
		}
		n, ok := quotient(a.num, b.num, pow10[shift])
		if !ok {
			continue
		}
		if a.kind == Money && b.kind == Money { // a ratio
			return OfDecimal(n, scale), nil
		}
		return result(n, scale, a, b)
	}
	return Value{}, ErrOverflow
}

// quotient returns a·p / b rounded half away from zero, if it fits.
func quotient(a, b int64, p uint64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), p)
	d := magnitude(b)
	if hi >= d {
		return 0, false
	}
	q, rest := bits.Div64(hi, lo, d)
	if rest >= d-rest {
		q++
	}
	return sign(q, (a < 0) != (b < 0))
}

// Mod returns the rest of the floored division, which has the sign of b.
func Mod(a, b Value) (Value, error) {
	if b.num == 0 {
		return Value{}, ErrDivision
	}
	x, y, scale, err := align(a, b)
	if err != nil {
		return Value{}, err
	}
	if y == -1 {
		return result(0, scale, a, b)
	}
	rest := x % y
	if rest != 0 && (rest < 0) != (y < 0) {
		rest += y
	}
	return result(rest, scale, a, b)
}

// Round rounds half away from zero to a number of fraction digits; to none it gives a whole number.
func Round(v Value, digits int) (Value, error) {
	if digits < 0 || digits >= int(v.scale) {
		return v, nil
	}
	n, err := rescale(v.num, int(v.scale), digits)
	if err != nil {
		return Value{}, err
	}
	return whole(n, digits, v)
}

// Floor returns the greatest whole number that is not above v.
func Floor(v Value) (Value, error) {
	p := int64(pow10[v.scale]) //nolint:gosec // at most 10^9
	n := v.num / p
	if v.num < 0 && v.num%p != 0 {
		n--
	}
	return whole(n, 0, v)
}

// Ceil returns the least whole number that is not below v.
func Ceil(v Value) (Value, error) {
	p := int64(pow10[v.scale]) //nolint:gosec // at most 10^9
	n := v.num / p
	if v.num > 0 && v.num%p != 0 {
		n++
	}
	return whole(n, 0, v)
}

// whole gives a rounded number its kind.
func whole(n int64, scale int, like Value) (Value, error) {
	switch {
	case like.kind == Money:
		return result(n, scale, like, like)
	case scale == 0:
		return OfInt(n), nil
	}
	return OfDecimal(n, scale), nil
}

// Abs returns v without its sign.
func Abs(v Value) (Value, error) {
	if v.num == math.MinInt64 {
		return Value{}, ErrOverflow
	}
	if v.num < 0 {
		v.num = -v.num
	}
	return v, nil
}
