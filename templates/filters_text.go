package templates

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/value"
)

func runes(s string) int { return utf8.RuneCountInString(s) }

// textFilters are the filters over texts.
func textFilters() map[string]func(*env, value.Value, []value.Value) (value.Value, error) {
	simple := func(f func(string) string) func(*env, value.Value, []value.Value) (value.Value, error) {
		return func(e *env, v value.Value, _ []value.Value) (value.Value, error) {
			s, ok := e.text(v)
			if !ok {
				return value.Value{}, errText
			}
			if !e.spend(len(s)) {
				return value.Value{}, errSteps
			}
			return e.checked(f(s))
		}
	}
	return map[string]func(*env, value.Value, []value.Value) (value.Value, error){
		"upcase": mapped(upper), "downcase": mapped(unicode.ToLower), "capitalize": simple(capitalize),
		"titlecase": simple(titlecase), "strip": simple(strings.TrimSpace),
		"lstrip":     simple(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }),
		"rstrip":     simple(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }),
		"strip_html": simple(escape.StripTags), "url_encode": simple(url.QueryEscape), "translit": simple(locale.Translit),
		"append": appendText, "prepend": prependText, "remove": remove, "replace": replace, "replace_first": replaceFirst,
		"truncate": truncate, "truncatewords": truncateWords, "split": split,
		"escape": escapeText, "escape_once": escapeOnce, "newline_to_br": newlineToBr,
	}
}

// mapped is a filter that changes letter by letter, in the memory of the rendering.
func mapped(letter func(rune) rune) func(*env, value.Value, []value.Value) (value.Value, error) {
	return func(e *env, v value.Value, _ []value.Value) (value.Value, error) {
		s, ok := e.text(v)
		if !ok {
			return value.Value{}, errText
		}
		if err := e.fits(len(s)); err != nil {
			return value.Value{}, err
		}
		out := e.scratch[:0]
		for _, r := range s {
			out = utf8.AppendRune(out, letter(r))
		}
		e.scratch = out
		if len(out) > e.p.limits.value {
			return value.Value{}, errValue
		}
		return value.OfString(e.keep(out)), nil
	}
}

// upper is unicode.ToUpper, quicker for the letters of Russian.
func upper(r rune) rune {
	if 'а' <= r && r <= 'я' {
		return r - ('а' - 'А')
	}
	return unicode.ToUpper(r)
}

// checked makes a value of a text that is not too long.
func (e *env) checked(s string) (value.Value, error) {
	if len(s) > e.p.limits.value {
		return value.Value{}, errValue
	}
	return value.OfString(s), nil
}

// fits reports whether a text of n bytes may be built, before it is.
func (e *env) fits(n int) error {
	if n > e.p.limits.value {
		return errValue
	}
	if !e.spend(n) {
		return errSteps
	}
	return nil
}

// texts returns the texts of a value and its arguments; a missing argument is "".
func (e *env) textsOf(v value.Value, args ...value.Value) ([3]string, error) {
	var out [3]string
	for i, x := range append([]value.Value{v}, args...) {
		s, ok := e.text(x)
		if !ok && x.Kind() != value.Nil {
			return out, errText
		}
		out[i] = s
	}
	return out, nil
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + strings.ToLower(s[n:])
}

// titlecase begins every word with a capital, also after a hyphen, and lowers the rest: Анна-Мария.
func titlecase(s string) string {
	begin := true
	return strings.Map(func(r rune) rune {
		if begin {
			r = unicode.ToUpper(r)
		} else {
			r = unicode.ToLower(r)
		}
		begin = unicode.IsSpace(r) || r == '-' || r == '‑'
		return r
	}, s)
}

func appendText(e *env, v value.Value, args []value.Value) (value.Value, error) {
	return e.concat(v, args[0], false)
}

func prependText(e *env, v value.Value, args []value.Value) (value.Value, error) {
	return e.concat(v, args[0], true)
}

// concat joins two texts in the memory of the rendering.
func (e *env) concat(v, more value.Value, before bool) (value.Value, error) {
	s, ok := e.text(v)
	t, okMore := e.text(more)
	if !ok || !okMore && more.Kind() != value.Nil {
		return value.Value{}, errText
	}
	if err := e.fits(len(s) + len(t)); err != nil {
		return value.Value{}, err
	}
	if before {
		s, t = t, s
	}
	e.scratch = append(append(e.scratch[:0], s...), t...)
	return value.OfString(e.keep(e.scratch)), nil
}

func replace(e *env, v value.Value, args []value.Value) (value.Value, error) {
	return e.replace(v, args[0], args[1], -1)
}

func replaceFirst(e *env, v value.Value, args []value.Value) (value.Value, error) {
	return e.replace(v, args[0], args[1], 1)
}

func remove(e *env, v value.Value, args []value.Value) (value.Value, error) {
	return e.replace(v, args[0], value.Value{}, -1)
}

func (e *env) replace(v, from, to value.Value, limit int) (value.Value, error) {
	t, err := e.textsOf(v, from, to)
	if err != nil {
		return value.Value{}, err
	}
	if !e.spend(len(t[0])) {
		return value.Value{}, errSteps
	}
	count := strings.Count(t[0], t[1])
	if limit >= 0 {
		count = min(count, limit)
	}
	if count == 0 {
		return value.OfString(t[0]), nil
	}
	if err := e.fits(len(t[0]) + count*(len(t[2])-len(t[1]))); err != nil {
		return value.Value{}, err
	}
	return value.OfString(strings.Replace(t[0], t[1], t[2], limit)), nil
}

// truncate shortens a text to so many characters, the ellipsis counted, and never inside of a letter or an emoji.
func truncate(e *env, v value.Value, args []value.Value) (value.Value, error) {
	limit, ellipsis, err := e.truncation(args, 50)
	if err != nil {
		return value.Value{}, err
	}
	s, ok := e.text(v)
	if !ok {
		return value.Value{}, errText
	}
	if !e.spend(len(s)) {
		return value.Value{}, errSteps
	}
	if runes(s) <= limit {
		return value.OfString(s), nil
	}
	cut := offsetOf(s, max(limit-runes(ellipsis), 0))
	for !value.Boundary(s, cut) {
		_, n := utf8.DecodeLastRuneInString(s[:cut])
		cut -= n
	}
	if err := e.fits(cut + len(ellipsis)); err != nil {
		return value.Value{}, err
	}
	return value.OfString(s[:cut] + ellipsis), nil
}

// truncation reads the arguments of truncate and truncatewords.
func (e *env) truncation(args []value.Value, otherwise int) (limit int, ellipsis string, err error) {
	limit, ellipsis = otherwise, "..."
	if len(args) > 0 {
		n, err := args[0].Number()
		if err != nil || n.Kind() != value.Int || n.Int() < 0 {
			return 0, "", errArgument
		}
		limit = int(min(n.Int(), 1<<30))
	}
	if len(args) > 1 {
		s, ok := e.text(args[1])
		if !ok && args[1].Kind() != value.Nil {
			return 0, "", errArgument
		}
		ellipsis = s
	}
	return limit, ellipsis, nil
}

// offsetOf returns where character n begins.
func offsetOf(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func truncateWords(e *env, v value.Value, args []value.Value) (value.Value, error) {
	limit, ellipsis, err := e.truncation(args, 15)
	if err != nil {
		return value.Value{}, err
	}
	s, ok := e.text(v)
	if !ok {
		return value.Value{}, errText
	}
	if !e.spend(len(s)) {
		return value.Value{}, errSteps
	}
	words := strings.Fields(s)
	limit = max(limit, 1)
	if len(words) <= limit {
		return value.OfString(s), nil
	}
	if err := e.fits(len(s) + len(ellipsis)); err != nil {
		return value.Value{}, err
	}
	return value.OfString(strings.Join(words[:limit], " ") + ellipsis), nil
}

// slice takes a part of a text or list; negative positions count from the end.
func slice(e *env, v value.Value, args []value.Value) (value.Value, error) {
	count := int64(1)
	if args[0].Kind() != value.Int || len(args) > 1 && args[1].Kind() != value.Int {
		return value.Value{}, errArgument
	}
	if len(args) > 1 {
		count = args[1].Int()
	}
	if v.Kind() == value.List {
		from, to := sliceBounds(int64(v.Len()), args[0].Int(), count)
		return value.OfList(v.Items()[from:to]), nil
	}
	s, ok := e.text(v)
	if !ok {
		return value.Value{}, errText
	}
	if !e.spend(len(s)) {
		return value.Value{}, errSteps
	}
	from, to := sliceBounds(int64(runes(s)), args[0].Int(), count)
	a, b := offsetOf(s, int(from)), offsetOf(s, int(to))
	for !value.Boundary(s, a) {
		_, n := utf8.DecodeRuneInString(s[a:])
		a += n
	}
	for b > a && !value.Boundary(s, b) {
		_, n := utf8.DecodeLastRuneInString(s[:b])
		b -= n
	}
	return value.OfString(s[a:max(a, b)]), nil
}

func sliceBounds(length, from, count int64) (start, end int64) {
	if from < 0 {
		from = max(from+length, 0)
	}
	if from > length {
		return 0, 0
	}
	count = max(min(count, length-from), 0)
	return from, from + count
}

// split cuts a text into a list; a single space as separator stands for any white space. Empty items at the end are left
// out.
func split(e *env, v value.Value, args []value.Value) (value.Value, error) {
	t, err := e.textsOf(v, args[0])
	if err != nil {
		return value.Value{}, err
	}
	if err := e.fits(len(t[0])); err != nil {
		return value.Value{}, err
	}
	count := strings.Count(t[0], t[1]) + 1
	if t[1] == "" {
		count = runes(t[0])
	}
	if t[1] != " " && count > maxItems {
		return value.Value{}, errItems
	}
	var words []string
	if t[1] == " " {
		words = strings.Fields(t[0])
	} else if t[0] != "" {
		words = strings.Split(t[0], t[1])
	}
	if len(words) > maxItems {
		return value.Value{}, errItems
	}
	for len(words) > 0 && words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}
	items := make([]value.Value, len(words))
	for i, w := range words {
		items[i] = value.OfString(w)
	}
	e.steps -= len(items)
	return value.OfList(items), nil
}

// mostEscaped is how much longer escaping makes a text at most.
const mostEscaped = 5

func escapeText(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	return e.toHTML(v, escape.AppendHTML)
}

func escapeOnce(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	return e.toHTML(v, escape.AppendHTMLOnce)
}

// toHTML makes a fragment of a text. Printed in HTML it is not escaped again; printed elsewhere it is its text.
func (e *env) toHTML(v value.Value, write func(dst []byte, s string) []byte) (value.Value, error) {
	s, ok := e.text(v)
	if !ok {
		return value.Value{}, errText
	}
	if err := e.fits(len(s)); err != nil {
		return value.Value{}, err
	}
	e.scratch = write(e.scratch[:0], s)
	if err := e.fits(len(e.scratch)); err != nil {
		return value.Value{}, err
	}
	return value.OfHTML(e.keep(e.scratch)), nil
}

func newlineToBr(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	if v.Kind() == value.String && !e.p.html() {
		return v, nil
	}
	return e.toHTML(v, func(dst []byte, s string) []byte {
		for {
			line, rest, more := strings.Cut(s, "\n")
			dst = escape.AppendHTML(dst, line)
			if !more {
				return dst
			}
			dst = append(dst, "<br />\n"...)
			s = rest
		}
	})
}

// toJSON prints a scalar or a list of scalars as JSON.
func toJSON(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	e.scratch = e.scratch[:0]
	if v.Kind() != value.List {
		return e.scalarJSON(v)
	}
	e.steps -= v.Len()
	out := []byte{'['}
	for i, item := range v.Items() {
		if i > 0 {
			out = append(out, ',')
		}
		s, err := e.scalarJSON(item)
		if err != nil {
			return value.Value{}, err
		}
		if out = append(out, s.Str()...); len(out) > e.p.limits.value {
			return value.Value{}, errValue
		}
	}
	return value.OfString(string(append(out, ']'))), nil
}

func (e *env) scalarJSON(v value.Value) (value.Value, error) {
	switch v.Kind() {
	case value.Nil:
		return value.OfString("null"), nil
	case value.Bool, value.Int, value.Decimal:
		s, _ := e.text(v)
		return value.OfString(s), nil
	case value.Money:
		return value.OfString(string(v.AppendNumber(nil))), nil
	case value.Date:
		return value.OfString(v.Instant(nil).Format(`"2006-01-02"`)), nil
	case value.Time:
		return value.OfString(v.Instant(e.in.Zone).Format(`"2006-01-02T15:04:05Z07:00"`)), nil
	case value.List, value.Object:
		return value.Value{}, errArgument
	default:
	}
	s, _ := e.text(v)
	if err := e.fits(mostEscaped * len(s)); err != nil {
		return value.Value{}, err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return value.Value{}, err
	}
	return value.OfString(string(b)), nil
}
