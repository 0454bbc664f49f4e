// Package urls prepares the targets of hyperlinks in messages: what analytics is told is added, and what people type into a
// url (spaces, Cyrillic paths and hosts) becomes what every browser and mail program understands. A target is never taken
// apart and put together again: what was not touched stays as it was, byte by byte, because shops sign their urls and
// depend on the order of parameters.
package urls

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// MaxBytes is the longest target that is taken.
const MaxBytes = 8 << 10

// Errors about targets.
var (
	ErrTooLong = fmt.Errorf("url is longer than %d bytes", MaxBytes)
	ErrHost    = errors.New("url has no valid host")
)

// UTM are the five parameters by which analytics knows where a visitor came from. An empty one is not added.
type UTM struct{ Source, Medium, Campaign, Term, Content string }

// Prepare returns the target of a click: escaped where it has to be, and with the parameters that it does not have yet. It
// gives a target that it has prepared back as it is. Other schemes than http and https stay as they are.
func Prepare(target string, utm UTM) (string, error) {
	target = strings.TrimSpace(target)
	if len(target) > MaxBytes {
		return "", ErrTooLong
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return target, nil
	}
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	authority, err := host(authority)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(len(target) + 128)
	b.WriteString(scheme + "://" + authority)
	escape(&b, path)
	if query = utm.add(escaped(query)); hasQuery || query != "" {
		b.WriteString("?" + query)
	}
	if hasFragment {
		b.WriteByte('#')
		escape(&b, fragment)
	}
	if b.Len() > MaxBytes {
		return "", ErrTooLong
	}
	return b.String(), nil
}

// hosts is how browsers read a host, whose labels may have underscores.
var hosts = idna.New( //nolint:gochecknoglobals // a profile
	idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(false),
)

// host brings the host of an authority into its ASCII form. User names stay out: nothing that is sent to customers needs
// them, and they make one host look like another.
func host(authority string) (string, error) {
	name, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		name, port = authority[:i], authority[i:]
	}
	if name == "" || strings.ContainsAny(authority, "@\\ ") || strings.Trim(port, ":0123456789") != "" ||
		!utf8.ValidString(name) {
		return "", fmt.Errorf("%w: %q", ErrHost, authority)
	}
	if strings.HasPrefix(name, "[") { // an IPv6 address
		return authority, nil
	}
	ascii, err := hosts.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrHost, authority)
	}
	if strings.EqualFold(ascii, name) {
		ascii = name // as it was written
	}
	return ascii + port, nil
}

// add appends the parameters that the query does not have, whatever their case there.
func (u UTM) add(query string) string {
	for _, p := range []struct{ name, value string }{
		{"utm_source", u.Source},
		{"utm_medium", u.Medium},
		{"utm_campaign", u.Campaign},
		{"utm_term", u.Term},
		{"utm_content", u.Content},
	} {
		value := strings.TrimSpace(p.value)
		if value == "" || has(query, p.name) {
			continue
		}
		if query != "" && !strings.HasSuffix(query, "&") {
			query += "&"
		}
		query += p.name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	}
	return query
}

// has says that the query has a parameter of that name.
func has(query, name string) bool {
	for part := range strings.SplitSeq(query, "&") {
		part, _, _ = strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(part); err == nil && strings.EqualFold(plain, name) {
			return true
		}
	}
	return false
}

func escaped(s string) string {
	var b strings.Builder
	escape(&b, s)
	return b.String()
}

// escape writes s with the bytes that may not stand in a url percent-encoded. What is encoded already stays, and so do
// brackets, which urls of shops have in their queries.
func escape(b *strings.Builder, s string) {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if forbidden(c) || c == '%' && (i+2 >= len(s) || !hex(s[i+1]) || !hex(s[i+2])) {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			continue
		}
		b.WriteByte(c)
	}
}

// forbidden are the bytes that RFC 3986 knows nowhere in a url. Not to be found here are the brackets.
func forbidden(c byte) bool { return c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 }

func hex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
