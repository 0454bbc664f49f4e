// Package names decides when two spellings of a field are one field, and what its one canonical spelling is.
//
// Marketers paste macros from letters, spreadsheets and other systems: with spaces around dots, no-break spaces, soft
// hyphens, decomposed letters, in Russian or in English. Fold makes one key of all of these. A Table turns the folded path
// of an alias (Адресат.Имя) into the canonical path (contact.name).
package names

import (
	"unicode/utf8"

	"github.com/herald-gateway/herald/internal/fold"
)

// Fold returns the key under which a name is compared, that of fold.Name.
func Fold(name string) string {
	if folded(name) {
		return name
	}
	return fold.Name(name)
}

// folded reports whether a name is its own key, which the names in templates of programmers mostly are.
func folded(name string) bool {
	gap := true
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_':
			if gap {
				return false
			}
			gap = true
			continue
		case c >= utf8.RuneSelf, c <= ' ', 'A' <= c && c <= 'Z':
			return false
		}
		gap = false
	}
	return !gap
}

const (
	// most edits make another name; names that are longer than longest are no typing errors.
	most, longest = 4, 64
)

// line is a row of the table of distances.
type line [longest + most]int

// Nearest returns the candidate that a typing error turns into name, or "" when none is near: at most one edit for every
// three letters. Of equally near ones the first wins.
func Nearest(name string, candidates []string) string {
	letters := []rune(name)
	if len(letters) > longest {
		return ""
	}
	best, found := min(len(letters)/3+1, most), ""
	var rows [3]line
	for _, c := range candidates {
		if n := utf8.RuneCountInString(c); n-len(letters) >= best || len(letters)-n >= best {
			continue
		}
		if d := distance(letters, []rune(c), &rows[0], &rows[1], &rows[2]); d < best {
			best, found = d, c
		}
	}
	return found
}

// distance counts the letters to insert, drop, change or swap with their neighbour.
func distance(a, b []rune, before, row, next *line) int {
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
