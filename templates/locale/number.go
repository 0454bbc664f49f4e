package locale

import (
	"strconv"

	"github.com/herald-gateway/herald/templates/value"
)

// Style is how a place writes numbers.
type Style struct {
	Locale Locale
	// SMS uses plain spaces, and names of currencies that a GSM handset can show, because one ₽ or no-break space makes
	// an SMS in Latin letters more than twice as expensive.
	SMS bool
}

const (
	noBreakSpace = "\u00a0"
	groupSize    = 3
)

// space stands between groups of digits and before the sign of a currency.
func (s Style) space() string {
	if s.SMS {
		return " "
	}
	return noBreakSpace
}

// AppendNumber writes a number with groups of three digits and the decimal sign of the locale. With digits at or above
// zero it rounds to exactly so many fraction digits, else it writes those that there are. The error is that of rounding.
func (s Style) AppendNumber(dst []byte, v value.Value, digits int) ([]byte, error) {
	if digits >= 0 {
		rounded, err := value.Round(v, digits)
		if err != nil {
			return dst, err
		}
		v = rounded
	}
	var buf [32]byte
	plain := v.AppendNumber(buf[:0])
	if plain[0] == '-' {
		dst = append(dst, '-')
		plain = plain[1:]
	}
	whole, fraction := plain, []byte(nil)
	for i, c := range plain {
		if c == '.' {
			whole, fraction = plain[:i], plain[i+1:]
		}
	}
	dst = s.appendGroups(dst, whole)
	if digits > 0 || len(fraction) > 0 {
		dst = append(dst, s.decimalSign())
		dst = append(dst, fraction...)
		for range digits - len(fraction) {
			dst = append(dst, '0')
		}
	}
	return dst, nil
}

func (s Style) appendGroups(dst, digits []byte) []byte {
	sign := s.space()
	if s.Locale == EN {
		sign = ","
	}
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%groupSize == 0 {
			dst = append(dst, sign...)
		}
		dst = append(dst, c)
	}
	return dst
}

func (s Style) decimalSign() byte {
	if s.Locale == EN {
		return '.'
	}
	return ','
}

// Known reports whether a currency is one that AppendMoney can name.
func Known(currency string) bool {
	_, ok := currencies[currency]
	return ok
}

// Currencies lists the known codes, sorted.
func Currencies() []string {
	return []string{"BYN", "EUR", "GBP", "KGS", "KZT", "RUB", "UAH", "USD", "UZS"}
}

// currency is how one is written: its sign, and its names in an SMS by locale; an empty name is the code.
type currency struct {
	sign       string
	ru, uk, kk string
	// gsm: the sign is in the alphabet of SMS, so it serves there too.
	gsm bool
	// first: English puts it before the number.
	first bool
}

var currencies = map[string]currency{ //nolint:gochecknoglobals // a table that never changes
	"RUB": {sign: "₽", ru: "руб.", uk: "руб.", kk: "руб."},
	"KZT": {sign: "₸", ru: "тг", uk: "тг", kk: "тг"},
	"UAH": {sign: "₴", ru: "грн", uk: "грн", kk: "грн"},
	"BYN": {sign: "Br", gsm: true},
	"UZS": {sign: "сум", ru: "сум", uk: "сум", kk: "сум"},
	"KGS": {sign: "сом", ru: "сом", uk: "сом", kk: "сом"},
	"USD": {sign: "$", gsm: true, first: true},
	"EUR": {sign: "€", gsm: true, first: true},
	"GBP": {sign: "£", gsm: true, first: true},
}

// AppendMoney writes an amount with the sign of its currency: 12 990,50 ₽. Minor units are left out when there are none.
// English puts $, € and £ first: $12,990.50. The error is that of rounding to minor units.
func (s Style) AppendMoney(dst []byte, v value.Value, code string) ([]byte, error) {
	amount, err := value.Round(v, 2)
	if err != nil {
		return dst, err
	}
	digits := 2
	if floor, err := value.Floor(amount); err == nil && value.Equal(floor, amount) {
		digits = 0
	}
	sign, first := s.sign(code)
	if first && amount.Int() < 0 {
		dst = append(dst, '-')
		if amount, err = value.Abs(amount); err != nil {
			return dst, err
		}
	}
	if first {
		return s.AppendNumber(append(dst, sign...), amount, digits)
	}
	if dst, err = s.AppendNumber(dst, amount, digits); err != nil {
		return dst, err
	}
	return append(append(dst, s.space()...), sign...), nil
}

// sign returns how the currency is written here, and whether that goes before the number.
func (s Style) sign(code string) (sign string, first bool) {
	c, ok := currencies[code]
	if !ok {
		return code, false
	}
	english := s.Locale == EN
	if !s.SMS || c.gsm {
		if english && (code == "UZS" || code == "KGS") {
			return code, false
		}
		return c.sign, english && c.first
	}
	name := map[Locale]string{RU: c.ru, UK: c.uk, KK: c.kk}[s.Locale]
	if name == "" {
		return code, false
	}
	return name, false
}

// AppendPhone writes a number of Russia, Kazakhstan, Ukraine or Belarus in groups (+7 916 123-45-67), others as they are.
func AppendPhone(dst []byte, phone string) []byte {
	digits := make([]byte, 0, 16)
	for i := range len(phone) {
		if c := phone[i]; c >= '0' && c <= '9' {
			digits = append(digits, c)
		}
	}
	const russian, threeDigitCode = 11, 12
	switch {
	case len(digits) == russian && (digits[0] == '7' || digits[0] == '8' && phone[0] == '8'):
		return appendGrouped(append(dst, "+7 "...), digits[1:], 3)
	case len(digits) == threeDigitCode && (string(digits[:3]) == "380" || string(digits[:3]) == "375"):
		dst = append(append(append(dst, '+'), digits[:3]...), ' ')
		return appendGrouped(dst, digits[3:], 2)
	}
	return append(dst, phone...)
}

// appendGrouped writes a code of so many digits, then 123-45-67.
func appendGrouped(dst, digits []byte, code int) []byte {
	rest := digits[code:]
	dst = append(append(dst, digits[:code]...), ' ')
	dst = append(append(dst, rest[:3]...), '-')
	dst = append(append(dst, rest[3:5]...), '-')
	return append(dst, rest[5:]...)
}

func appendPadded(dst []byte, n, width int, pad byte) []byte {
	for limit := 10; width > 1; width, limit = width-1, limit*10 {
		if n < limit {
			for range width - 1 {
				dst = append(dst, pad)
			}
			break
		}
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
