package smstext

import "strings"

// Forced is a character that the GSM alphabet lacks.
type Forced struct {
	// Rune is the character; U+FFFD also stands for a byte that is not UTF-8.
	Rune rune
	// Index is its position in characters from 0, Offset its position in bytes.
	Index, Offset int
}

// Forcing returns every character of the text that forces UCS-2, in order, repeated ones as well. It is nil if the text
// goes as GSM 7-bit.
func Forcing(text string) []Forced {
	var all []Forced
	index := 0
	for offset, r := range text {
		if septet(r) == absent {
			all = append(all, Forced{Rune: r, Index: index, Offset: offset})
		}
		index++
	}
	return all
}

// Normalise replaces what word processors and number formatting put into a text by its ASCII form: typographic quotes,
// dashes, the ellipsis, the no-break and other wide or thin spaces, the tab; and removes the soft hyphen, the
// zero-width space and the byte order mark. It changes nothing else, but that a byte which is not UTF-8 becomes
// U+FFFD. It pays for a text that is GSM 7-bit afterwards; the ellipsis of a text that stays UCS-2 grows from one unit
// to three.
func Normalise(text string) string {
	if _, enc, _ := Count(text); enc == GSM7 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		if plain, ok := ascii(r); ok {
			b.WriteString(plain)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// ascii returns the ASCII form of a typographic character.
func ascii(r rune) (string, bool) {
	switch r {
	case '‘', '’', '‚', '‛', '′', '‹', '›', '\u02bc':
		return "'", true
	case '“', '”', '„', '‟', '″', '«', '»':
		return `"`, true
	case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2015', '\u2212':
		return "-", true
	case '…':
		return "...", true
	case '\t', '\u00a0', '\u202f', '\u205f', '\u3000', '\u2000', '\u2001', '\u2002', '\u2003', '\u2004', '\u2005',
		'\u2006', '\u2007', '\u2008', '\u2009', '\u200a':
		return " ", true
	case '\u00ad', '\u200b', '\u2060', '\ufeff':
		return "", true
	default:
		return "", false
	}
}
