// Package fold decides which names people take for the same. A macro, the heading of a column and the title of an
// attribute are compared by it.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// softHyphen is invisible, and comes with text that was copied from a page.
const softHyphen = "\u00ad"

// Name brings a name to the form by which names are compared: NFC, lower case, ё as е, words parted by one underscore
// however many spaces and underscores part them, no soft hyphens. Names that people read as the same have the same form:
// that of " Дата  Рождения" is дата_рождения.
func Name(s string) string {
	var b strings.Builder
	parted := false
	for _, c := range norm.NFC.String(strings.ReplaceAll(s, softHyphen, "")) {
		if c == '_' || unicode.IsSpace(c) {
			parted = b.Len() > 0
			continue
		}
		if parted {
			b.WriteByte('_')
			parted = false
		}
		if c = unicode.ToLower(c); c == 'ё' {
			c = 'е'
		}
		b.WriteRune(c)
	}
	return norm.NFC.String(b.String()) // a small letter may be composed with a mark where the capital is not
}
