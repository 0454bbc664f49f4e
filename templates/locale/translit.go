package locale

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Translit writes Cyrillic letters of Russian, Ukrainian and Kazakh in Latin ones, by the table of international passports
// (ICAO Doc 9303). Other characters stay.
func Translit(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	runes := []rune(s)
	for i, r := range runes {
		latin, ok := latinOf(unicode.ToLower(r))
		switch {
		case !ok:
			b.WriteRune(r)
		case !unicode.IsUpper(r) || latin == "":
			b.WriteString(latin)
		case shouted(runes, i):
			b.WriteString(strings.ToUpper(latin))
		default: // Щука is Shchuka
			b.WriteString(strings.ToUpper(latin[:1]) + latin[1:])
		}
	}
	return b.String()
}

// shouted reports whether the capital at i stands beside another one, so that all of its letters are capitals.
func shouted(runes []rune, i int) bool {
	return i+1 < len(runes) && unicode.IsUpper(runes[i+1]) ||
		i > 0 && unicode.IsUpper(runes[i-1]) && (i+1 == len(runes) || !unicode.IsLower(runes[i+1]))
}

// passport lists letters and what they become, in pairs.
const passport = "а a б b в v г g д d е e ё e ж zh з z и i й i к k л l м m н n о o п p р r с s т t у u ф f х kh ц ts ч ch " +
	"ш sh щ shch ы y э e ю iu я ia ґ g є ie і i ї i ў u ә a ғ g қ q ң n ө o ұ u ү u һ h"

var latin = newLatin() //nolint:gochecknoglobals // a table that never changes

func newLatin() map[rune]string {
	m := map[rune]string{'ъ': "ie", 'ь': ""}
	fields := strings.Fields(passport)
	for i := 0; i+1 < len(fields); i += 2 {
		r, _ := utf8.DecodeRuneInString(fields[i])
		m[r] = fields[i+1]
	}
	return m
}

func latinOf(r rune) (string, bool) {
	if r < utf8.RuneSelf {
		return "", false
	}
	s, ok := latin[r]
	return s, ok
}
