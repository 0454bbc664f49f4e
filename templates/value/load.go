package value

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/herald-gateway/herald/templates/names"
)

// maxDepth is how deep lists and objects of a job may be nested.
const maxDepth = 32

// ErrData is wrapped by errors about job data that cannot become values: keys that mean the same field, nesting that is
// too deep, Go values of unknown type. They name the key.
var ErrData = errors.New("data cannot be used")

// Data returns the data of a job as an object: keys by their canonical names, texts cleaned.
func Data(data map[string]any, aliases *names.Table) (Value, error) {
	out := make(map[string]Value, len(data))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		v, err := Of(data[key])
		if err != nil {
			return Value{}, fmt.Errorf("data.%s: %w", key, err)
		}
		path := aliases.Key(key)
		if len(path) == 2 { // such as Промокод, which is coupon.code
			inner, known := out[path[0]]
			if known && !inner.Get(path[1]).isNil() {
				return Value{}, fmt.Errorf("data.%s: %w: another key means %s too", key, ErrData, strings.Join(path, "."))
			}
			out[path[0]] = inner.with(path[1], v)
			continue
		}
		if old, ok := out[path[0]]; ok && old.kind != Nil {
			return Value{}, fmt.Errorf("data.%s: %w: another key means %s too", key, ErrData, path[0])
		}
		out[path[0]] = v
	}
	return OfObject(out), nil
}

func (v Value) isNil() bool { return v.kind == Nil }

// with returns a copy of the object with one more field.
func (v Value) with(key string, field Value) Value {
	fields := map[string]Value{key: field}
	if v.kind == Object {
		for i, k := range v.inner.keys {
			fields[k] = v.inner.items[i]
		}
		fields[key] = field
	}
	return OfObject(fields)
}

// Of returns the value of what a JSON reader makes: strings (cleaned), numbers, booleans, slices, maps, and times.
func Of(x any) (Value, error) { return of(x, maxDepth) }

func of(x any, depth int) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Value{}, nil
	case Value:
		return x, nil
	case string:
		return Text(x), nil
	case bool:
		return OfBool(x), nil
	case int:
		return OfInt(int64(x)), nil
	case int64:
		return OfInt(x), nil
	case json.Number:
		return number(x.String()), nil
	case float64:
		return number(strconv.FormatFloat(x, 'f', -1, 64)), nil
	case time.Time:
		return OfTime(x), nil
	}
	if depth == 0 {
		return Value{}, fmt.Errorf("%w: nested too deep", ErrData)
	}
	switch x := x.(type) {
	case []any:
		return ofList(x, depth-1)
	case map[string]any:
		return ofMap(x, depth-1)
	}
	return Value{}, fmt.Errorf("%w: type %T", ErrData, x)
}

func ofList(list []any, depth int) (Value, error) {
	items := make([]Value, len(list))
	for i := range list {
		v, err := of(list[i], depth)
		if err != nil {
			return Value{}, err
		}
		items[i] = v
	}
	return OfList(items), nil
}

func ofMap(m map[string]any, depth int) (Value, error) {
	fields := make(map[string]Value, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v, err := of(m[key], depth)
		if err != nil {
			return Value{}, err
		}
		folded := names.Fold(key)
		if _, ok := fields[folded]; ok {
			return Value{}, fmt.Errorf("%w: another key means %s too", ErrData, folded)
		}
		fields[folded] = v
	}
	return OfObject(fields), nil
}

// number reads a JSON number. One that does not fit stays the text that it is: it can be printed, and computing with it is
// an error at the macro that does it.
func number(s string) Value {
	if v, ok := ParseNumber(s); ok {
		return v
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && strings.ContainsAny(s, "eE") {
		if v, ok := ParseNumber(strconv.FormatFloat(f, 'f', -1, 64)); ok {
			return v
		}
	}
	return OfString(s)
}

// ParseTime reads RFC 3339 as a time and YYYY-MM-DD as a date.
func ParseTime(s string) (Value, bool) {
	if len(s) == len(time.DateOnly) {
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return Value{}, false
		}
		return OfDate(t.Year(), t.Month(), t.Day()), true
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return Value{}, false
	}
	v := OfTime(t)
	return v, !v.isNil()
}

// Text returns a string of a profile or a job, cleaned; nil when nothing but white space is left.
func Text(s string) Value {
	s = Clean(s)
	if strings.TrimSpace(s) == "" {
		return Value{}
	}
	return OfString(s)
}

// Clean composes letters (NFC) and removes what people do not see but terminals and mail programs act on: control
// characters except line feeds (a tab becomes a space), overrides of the writing direction, and characters of no width
// except between the parts of an emoji. Bytes that are not UTF-8 become U+FFFD.
func Clean(s string) string {
	if clean(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	b.Grow(len(s))
	var before rune
	for i, r := range s {
		switch {
		case r == '\t':
			r = ' '
		case r < ' ' && r != '\n', r == 0x7f, isOverride(r):
			continue
		case r == zeroWidthJoiner:
			if next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):]); !joins(before) || !isPictograph(next) {
				continue
			}
		case isZeroWidth(r):
			continue
		}
		b.WriteRune(r)
		before = r
	}
	return norm.NFC.String(b.String()) // last, because what was removed may have kept a letter from its mark
}

// clean reports whether nothing is to be done, for the common case: printable ASCII and composed Cyrillic letters.
func clean(s string) bool {
	for _, r := range s {
		ascii := ' ' <= r && r < 0x7f || r == '\n'
		if !ascii && (r < 'А' || r > 'я') && r != 'ё' && r != 'Ё' {
			return false
		}
	}
	return true
}

const zeroWidthJoiner = '\u200d'

// isOverride: marks and overrides of the direction in which text runs.
func isOverride(r rune) bool {
	return r == 0x200e || r == 0x200f || r == 0x61c || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

func isZeroWidth(r rune) bool {
	return r == 0x200b || r == 0x200c || r == 0x2060 || r == 0xfeff || r == 0x180e
}

// joins reports whether a joiner after r may hold an emoji together.
func joins(r rune) bool {
	return isPictograph(r) || r == 0xfe0f || isSkin(r)
}

func isSkin(r rune) bool { return 0x1f3fb <= r && r <= 0x1f3ff }

func isPictograph(r rune) bool {
	return 0x1f000 <= r && r <= 0x1faff || unicode.Is(unicode.So, r) || r == 0x2640 || r == 0x2642
}

// Boundary reports whether text may be cut before byte i: not inside a letter with its marks, nor an emoji sequence.
func Boundary(s string, i int) bool {
	if i <= 0 || i >= len(s) {
		return true
	}
	next, _ := utf8.DecodeRuneInString(s[i:])
	before, size := utf8.DecodeLastRuneInString(s[:i])
	switch {
	case before == zeroWidthJoiner, next == zeroWidthJoiner, unicode.Is(unicode.M, next), isSkin(next),
		0xe0020 <= next && next <= 0xe007f:
		return false
	case isFlagLetter(before) && isFlagLetter(next):
		count := 0
		for isFlagLetter(before) {
			count++
			i -= size
			before, size = utf8.DecodeLastRuneInString(s[:i])
		}
		return count%2 == 0
	}
	return true
}

// isFlagLetter: two of these make a flag.
func isFlagLetter(r rune) bool { return 0x1f1e6 <= r && r <= 0x1f1ff }
