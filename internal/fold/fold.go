// Package fold decides which names people take for the same. A macro, the heading of a column and the title of an
// attribute are compared by it.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// softHyphen is invisible, and comes with text that was copied from a page.
const softHyphen = '\u00ad'

// Name brings a name to the form by which names are compared: NFC, lower case, ё as е, words parted by one space, where
// an underscore is a space too, no soft hyphens. Names that people read as the same have the same form: "Дата_рождения"
// and " дата  РОЖДЕНИЯ" do.
func Name(s string) string {
	var b strings.Builder
	space := false
	for _, c := range norm.NFC.String(s) {
		switch {
		case c == softHyphen:
			continue
		case c == '_' || unicode.IsSpace(c):
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		switch c = unicode.ToLower(unicode.ToUpper(c)); c { // by way of the capital: some letters have two small forms
		case 'ё':
			c = 'е'
		case 'ſ':
			c = 's'
		}
		b.WriteRune(c)
	}
	return b.String()
}
