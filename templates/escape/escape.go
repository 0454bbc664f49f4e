// Package escape knows the places of a message where a value may stand, and how it must be written there so that it can
// never become markup, a header, another part of a url, or script.
//
// Which place a macro has is decided once, when a template is compiled: a Scanner reads the literals of the HTML and tells
// the place between them. Writing a value then is a loop over its bytes.
package escape

import (
	"html"
	"strings"
	"unicode/utf8"
)

// Place is where a value is written.
type Place uint8

// The places.
const (
	// Plain is text: SMS, push, Viber, the text part of a mail.
	Plain Place = iota
	// Header is a line of a mail's head.
	Header
	// HTMLText is text between tags, or a quoted attribute.
	HTMLText
	HTMLAttr
	// URLWhole is the beginning of a url: the value brings the scheme.
	URLWhole
	// URLPath, URLQuery and URLFragment are places further on in a url.
	URLPath
	URLQuery
	URLFragment
	// Style is a value in CSS.
	Style
	// Forbidden is where no value can be made safe.
	Forbidden
)

// AppendHTML writes text into HTML.
func AppendHTML(dst []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		var entity string
		switch s[i] {
		case '&':
			entity = "&amp;"
		case '<':
			entity = "&lt;"
		case '>':
			entity = "&gt;"
		case '"':
			entity = "&#34;"
		case '\'':
			entity = "&#39;"
		default:
			continue
		}
		dst = append(append(dst, s[from:i]...), entity...)
		from = i + 1
	}
	return append(dst, s[from:]...)
}

// AppendHeader writes text into a header: line ends become spaces.
func AppendHeader(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// CutHeader shortens a header line to the 998 bytes that RFC 5322 allows, before a character.
func CutHeader(line []byte) []byte {
	const longest = 998
	if len(line) <= longest {
		return line
	}
	n := longest
	for n > 0 && !utf8.RuneStart(line[n]) {
		n--
	}
	return line[:n]
}

// DroppedURL stands where a url was not allowed.
const DroppedURL = "#"

// AppendURL writes text into a url; attr says that the url stands in an attribute of HTML. At the beginning of a url the
// scheme must be http, https, mailto, tel, sms or one of schemes; otherwise DroppedURL is written, and it is false.
func AppendURL(dst []byte, s string, place Place, attr bool, schemes []string) ([]byte, bool) {
	if place == URLWhole && !allowed(s, schemes) {
		return append(dst, DroppedURL...), false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case !keeps(place, c):
			const hex = "0123456789ABCDEF"
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		case attr && c == '&':
			dst = append(dst, "&amp;"...)
		case attr && c == '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst, true
}

// allowed reports whether a url begins with a scheme that may be followed.
func allowed(s string, schemes []string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	for _, known := range [...]string{"https", "http", "mailto", "tel", "sms"} {
		if strings.EqualFold(scheme, known) {
			return true
		}
	}
	for _, known := range schemes {
		if strings.EqualFold(scheme, known) {
			return true
		}
	}
	return false
}

// keeps reports whether a byte stands for itself in the place.
func keeps(place Place, c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case strings.IndexByte("-._~", c) >= 0:
		return true
	case place == URLQuery:
		return false
	case place == URLPath:
		return strings.IndexByte("$&+:=@", c) >= 0
	case place == URLFragment:
		return strings.IndexByte("$&+:=@/?!()*;,", c) >= 0
	}
	return strings.IndexByte(":/?#[]@!$&'()*+,;=%", c) >= 0
}

// AppendStyle writes a value into CSS if it is a number with an optional unit, a colour or a plain word.
func AppendStyle(dst []byte, s string) ([]byte, bool) {
	if s == "" {
		return dst, true
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		switch {
		case letter, digit, c == '-', c == '.' && i > 0, c == '#' && i == 0, c == '%' && i == len(s)-1:
		default:
			return dst, false
		}
	}
	return append(dst, s...), true
}

// Text returns what a reader sees of an HTML fragment: without tags and comments, with entities decoded.
func Text(fragment string) string {
	if !strings.ContainsAny(fragment, "<&") {
		return fragment
	}
	return html.UnescapeString(StripTags(fragment))
}

// StripTags removes tags and comments, and the content of script and style.
func StripTags(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, "<")
		b.WriteString(text)
		if !found {
			return b.String()
		}
		end := ">"
		switch lower := strings.ToLower(rest[:min(len(rest), len("script"))]); {
		case strings.HasPrefix(lower, "!--"):
			end = "-->"
		case lower == "script":
			end = "</script>"
		case strings.HasPrefix(lower, "style"):
			end = "</style>"
		}
		i := indexFold(rest, end)
		if i < 0 {
			return b.String()
		}
		s = rest[i+len(end):]
	}
}

// indexFold finds an ASCII needle in lower case.
func indexFold(s, needle string) int {
	if needle == ">" || needle == "-->" {
		return strings.Index(s, needle)
	}
	for i := 0; i+len(needle) <= len(s); i++ {
		if s[i] == '<' && strings.EqualFold(s[i:i+len(needle)], needle) {
			return i
		}
	}
	return -1
}

// AppendHTMLOnce writes text into HTML, leaving the entities that it already has.
func AppendHTMLOnce(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			return AppendHTML(dst, s)
		}
		dst = AppendHTML(dst, s[:i])
		n := entityLength(s[i:])
		if n == 0 {
			dst = append(dst, "&amp;"...)
			n = 1
		} else {
			dst = append(dst, s[i:i+n]...)
		}
		s = s[i+n:]
	}
}

// entityLength returns the length of the entity at the beginning of s, 0 if there is none.
func entityLength(s string) int {
	const longest = 10
	for i := 1; i < min(len(s), longest); i++ {
		c := s[i]
		switch {
		case c == ';' && i > 1:
			return i + 1
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '#' && i == 1:
		default:
			return 0
		}
	}
	return 0
}
