// Package locale writes numbers, money, dates and counted nouns the way readers of Russian, Ukrainian, Kazakh and English
// expect, by tables of its own: the printers of golang.org/x/text cost ten times as much, know no dates, and put the sign
// of the rouble first. Everything appends to a buffer and depends on nothing but its arguments.
package locale

import (
	"strings"

	"github.com/herald-gateway/herald/templates/value"
)

// Locale is a language that Herald writes.
type Locale uint8

// The locales. The zero value is not given, for which Or finds another.
const (
	Unset Locale = iota
	RU
	UK
	KK
	EN
)

// Parse reads a language tag such as ru, ru-RU or en_GB. It is false for other languages.
func Parse(tag string) (Locale, bool) {
	language, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	switch strings.ToLower(language) {
	case "ru":
		return RU, true
	case "uk":
		return UK, true
	case "kk":
		return KK, true
	case "en":
		return EN, true
	}
	return Unset, false
}

// String returns the language tag, "" for none.
func (l Locale) String() string {
	return [...]string{"", "ru", "uk", "kk", "en"}[l]
}

// Or returns the first of the locales that is given, else Russian.
func (l Locale) Or(others ...Locale) Locale {
	for _, o := range others {
		if l != Unset {
			break
		}
		l = o
	}
	if l == Unset {
		return RU
	}
	return l
}

// Forms returns how many forms a counted noun has: 1 бонус, 2 бонуса, 5 бонусов; 1 point, 2 points.
func (l Locale) Forms() int {
	if l == RU || l == UK {
		return 3
	}
	return 2
}

// Plural returns which form of a noun goes with the number, from 0. The rules are those of CLDR for these languages;
// fractions take the second form in Russian and Ukrainian (1,5 бонуса).
func (l Locale) Plural(n value.Value) int {
	if n.Scale() > 0 {
		whole, err := value.Floor(n)
		if n.Kind() != value.Money || err != nil || !value.Equal(whole, n) {
			return 1
		}
		n = value.OfInt(whole.Int() / 100)
	}
	count := n.Int()
	if l == KK || l == EN {
		if count == 1 || count == -1 {
			return 0
		}
		return 1
	}
	tens, ones := count%100, count%10
	if count < 0 {
		tens, ones = -tens, -ones
	}
	switch {
	case ones == 1 && tens != 11:
		return 0
	case ones >= 2 && ones <= 4 && (tens < 12 || tens > 14):
		return 1
	}
	return 2
}
