package delivery

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of what a text may hold; beyond them reading stops.
const (
	maxDepth  = 32 // objects and arrays within each other
	maxFaults = 50 // listed of one text
	maxFields = 32 // fields of one of the contract's objects
)

// reader reads one JSON text strictly in one pass and notes what is wrong with the path of the field. A wrong value is
// noted and skipped; where the text is no JSON any more, reading stops. The strings it gives share the memory of the
// text. It exists because the contract refuses what encoding/json lets pass (names in another case, duplicates, null,
// half surrogate pairs), wants every fault at once, and stands in the hot path.
type reader struct {
	src     string
	pos     int
	path    [maxDepth + 1]step
	depth   int
	faults  Faults
	stopped bool // the rest cannot be read
	badUTF8 bool // some string is no UTF-8
}

// step is one step from the whole to a field: an index, or with a negative one a name.
type step struct {
	name  string
	index int
}

const (
	named   = -1
	unnamed = -2 // the name is not read yet
)

func newReader(b []byte) reader {
	s := string(b)
	return reader{src: s, badUTF8: !utf8.ValidString(s)}
}

// end notes what follows the one value that a text is.
func (r *reader) end() {
	if !r.stopped && r.peek() != 0 {
		r.broken("more follows the end of the JSON")
	}
}

// field is the path of the value that is being read, such as cascade[0].ttl.
func (r *reader) field() string {
	var b strings.Builder
	for _, s := range r.path[:r.depth] {
		switch {
		case s.index == unnamed:
		case s.index >= 0:
			fmt.Fprintf(&b, "[%d]", s.index)
		case !plainName(s.name):
			fmt.Fprintf(&b, "[%s]", quoted(s.name))
		case b.Len() > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

func plainName(s string) bool {
	for _, c := range s {
		if c != '_' && c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// quoted shows a value within a message; long ones are cut.
func quoted(s string) string {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}

// fault notes what is wrong with the value that is being read.
func (r *reader) fault(format string, args ...any) {
	if r.stopped {
		return
	}
	if len(r.faults) == maxFaults {
		r.faults.add("", "has more faults than the %d listed", maxFaults)
		r.stop()
		return
	}
	r.faults.add(r.field(), format, args...)
}

// broken notes where the text stops to be JSON, and stops.
func (r *reader) broken(what string) {
	r.fault("is no JSON at byte %d: %s", r.pos, what)
	r.stop()
}

func (r *reader) stop() { r.stopped, r.pos = true, len(r.src) }

// peek is the next byte that is no white space, 0 at the end.
func (r *reader) peek() byte {
	for r.pos < len(r.src) {
		switch c := r.src[r.pos]; c {
		case ' ', '\n', '\t', '\r':
			r.pos++
		case 0:
			return 1 // no JSON, but no end either
		default:
			return c
		}
	}
	return 0
}

// is takes the byte c when it comes next.
func (r *reader) is(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.pos++
	return true
}

// starts says that a value of the wanted type comes next, which begins with c. Otherwise it notes the type that is
// there and skips it.
func (r *reader) starts(c byte, want string) bool {
	got := r.peek()
	if got == c {
		return true
	}
	if what := typeOf(got); what != "" {
		r.fault("must be %s, not %s", want, what)
	}
	r.any()
	return false
}

func typeOf(c byte) string {
	switch {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return ""
}

// enter goes one level down, unless that is too deep.
func (r *reader) enter() bool {
	r.pos++
	if r.depth == maxDepth {
		r.broken(fmt.Sprintf("it is nested deeper than %d levels", maxDepth))
		return false
	}
	r.depth++
	return true
}

// more says that another item follows within brackets that are closed by end.
func (r *reader) more(end byte, first bool) bool {
	switch {
	case r.stopped:
		return false
	case r.is(end):
		return false
	case first:
		return true
	case r.is(','):
		return true
	}
	r.broken("a comma or " + string(rune(end)) + " is missing")
	return false
}

// object reads an object of the contract and calls field for each name; field reads the value, or returns false
// without reading when it does not know the name. It returns false when no object is there.
func (r *reader) object(field func(name string) bool) bool {
	if !r.starts('{', "an object") || !r.enter() {
		return false
	}
	var known [maxFields]string
	n := 0
	for first := true; r.more('}', first); first = false {
		name, ok := r.name()
		if !ok {
			break
		}
		if slices.Contains(known[:n], name) {
			r.fault("is given twice")
		}
		if !field(name) {
			r.fault("is no field of the contract")
			r.any()
		} else if n < maxFields {
			known[n] = name
			n++
		}
	}
	r.depth--
	return true
}

// name reads a name and its colon, and makes it the last step of the path.
func (r *reader) name() (string, bool) {
	r.path[r.depth-1] = step{index: unnamed}
	if r.peek() != '"' {
		r.broken("a name in quotes is missing")
		return "", false
	}
	name := r.str()
	r.path[r.depth-1] = step{name: name, index: named}
	if !r.is(':') {
		r.broken("a colon is missing")
		return "", false
	}
	return name, !r.stopped
}

// array reads an array and calls item with the index of each item. It returns the number of items, -1 when no array is
// there.
func (r *reader) array(item func(i int)) int {
	if !r.starts('[', "an array") || !r.enter() {
		return -1
	}
	n := 0
	for ; r.more(']', n == 0); n++ {
		r.path[r.depth-1] = step{index: n}
		item(n)
	}
	r.depth--
	return n
}

// text reads a string into dst and returns true when there was one.
func (r *reader) text(dst *string) bool {
	if !r.starts('"', "a string") {
		return false
	}
	*dst = r.str()
	return !r.stopped
}

// texts reads an array of strings.
func (r *reader) texts(dst *[]string) {
	r.array(func(int) {
		var s string
		if r.text(&s) {
			*dst = append(*dst, s)
		}
	})
}

// whole reads a whole number from low to high.
func (r *reader) whole(dst *int, low, high int) {
	c := r.peek()
	if c != '-' && (c < '0' || c > '9') {
		r.starts('0', "a number")
		return
	}
	s := r.number()
	if r.stopped {
		return
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil && strings.ContainsAny(s, ".eE"):
		r.fault("must be a whole number")
	case low == high && (err != nil || n != low):
		r.fault("must be %d", low)
	case err != nil || n < low || n > high:
		r.fault("must be from %d to %d", low, high)
	default:
		*dst = n
	}
}

// flag reads true or false.
func (r *reader) flag(dst *bool) {
	switch c := r.peek(); c {
	case 't', 'f':
		*dst = c == 't'
		r.literal()
	default:
		r.starts('t', "a boolean")
	}
}

// parsed reads a string that stands for something else.
func parsed[T any](r *reader, dst *T, parse func(string) (T, error)) {
	var s string
	if !r.text(&s) {
		return
	}
	v, err := parse(s)
	if err != nil {
		r.fault("%v", err)
		return
	}
	*dst = v
}

// any reads a value of any type; numbers become json.Number.
func (r *reader) any() any {
	switch typeOf(r.peek()) {
	case "a string":
		return r.str()
	case "a number":
		return json.Number(r.number())
	case "a boolean", "null":
		return r.literal()
	case "an array":
		list := []any{}
		r.array(func(int) { list = append(list, r.any()) })
		return list
	case "an object":
		m := map[string]any{}
		r.members(m)
		return m
	}
	if r.peek() == 0 {
		r.broken("it ends too early")
	} else {
		r.broken("a value is missing")
	}
	return nil
}

// members reads an object with any names into m.
func (r *reader) members(m map[string]any) {
	if !r.starts('{', "an object") || !r.enter() {
		return
	}
	for first := true; r.more('}', first); first = false {
		name, ok := r.name()
		if !ok {
			break
		}
		before := len(m)
		m[name] = r.any()
		if len(m) == before {
			r.fault("is given twice")
		}
	}
	r.depth--
}

// literal reads true, false or null.
func (r *reader) literal() any {
	rest := r.src[r.pos:]
	switch {
	case strings.HasPrefix(rest, "true"):
		r.pos += 4
		return true
	case strings.HasPrefix(rest, "false"):
		r.pos += 5
		return false
	case strings.HasPrefix(rest, "null"):
		r.pos += 4
	default:
		r.broken("a value is missing")
	}
	return nil
}

// number reads a number as it is written.
func (r *reader) number() string {
	start := r.pos
	if r.src[r.pos] == '-' {
		r.pos++
	}
	whole := r.digits()
	ok := len(whole) == 1 || len(whole) > 1 && whole[0] != '0'
	if ok && r.pos < len(r.src) && r.src[r.pos] == '.' {
		r.pos++
		ok = r.digits() != ""
	}
	if ok && r.pos < len(r.src) && r.src[r.pos]|0x20 == 'e' {
		if r.pos++; r.pos < len(r.src) && (r.src[r.pos] == '+' || r.src[r.pos] == '-') {
			r.pos++
		}
		ok = r.digits() != ""
	}
	if !ok {
		r.broken("a number is written wrongly")
		return "0"
	}
	return r.src[start:r.pos]
}

// isNumber says that s is a number as JSON writes it.
func isNumber(s string) bool {
	r := reader{src: s}
	return typeOf(r.peek()) == "a number" && r.number() == s
}

func (r *reader) digits() string {
	start := r.pos
	for r.pos < len(r.src) && r.src[r.pos] >= '0' && r.src[r.pos] <= '9' {
		r.pos++
	}
	return r.src[start:r.pos]
}

// str reads a string; its opening quote comes next.
func (r *reader) str() string {
	r.pos++
	start := r.pos
	for i := start; i < len(r.src); i++ {
		switch c := r.src[i]; {
		case c == '"':
			r.pos = i + 1
			return r.checked(r.src[start:i])
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.pos = i
			r.broken("a string holds a bare control character")
			return ""
		}
	}
	r.pos = len(r.src)
	r.broken("a string does not end")
	return ""
}

func (r *reader) checked(s string) string {
	if r.badUTF8 && !utf8.ValidString(s) {
		r.fault("is no UTF-8")
	}
	return s
}

// escaped reads the rest of a string that started at start and has its first backslash at i.
func (r *reader) escaped(start, i int) string {
	b := append(make([]byte, 0, len(r.src[start:i])+64), r.src[start:i]...)
	for r.pos = i; r.pos < len(r.src); {
		c := r.src[r.pos]
		switch {
		case c == '"':
			r.pos++
			return r.checked(string(b))
		case c < ' ':
			r.broken("a string holds a bare control character")
			return ""
		case c != '\\':
			b = append(b, c)
			r.pos++
		default:
			var ok bool
			if b, ok = r.escape(b); !ok {
				r.broken("an escape is written wrongly")
				return ""
			}
		}
	}
	r.broken("a string does not end")
	return ""
}

// escape appends the character that the escape at the position stands for.
func (r *reader) escape(b []byte) ([]byte, bool) {
	if r.pos+1 >= len(r.src) {
		return b, false
	}
	c := r.src[r.pos+1]
	if c == 'u' {
		return r.escapedRune(b)
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return b, false
	}
	r.pos += 2
	return append(b, "\"\\/\b\f\n\r\t"[i]), true
}

// escapedRune appends the character of a \u escape. Zero is refused because neither databases nor handsets take it,
// half a surrogate pair because it is no character.
func (r *reader) escapedRune(b []byte) ([]byte, bool) {
	c, ok := r.hex(r.pos)
	if !ok {
		return b, false
	}
	r.pos += 6
	if utf16.IsSurrogate(c) {
		low, ok := r.hex(r.pos)
		if c = utf16.DecodeRune(c, low); !ok || c == utf8.RuneError {
			r.fault("holds half a surrogate pair")
			return b, true
		}
		r.pos += 6
	}
	if c == 0 {
		r.fault("holds the character U+0000")
		return b, true
	}
	return utf8.AppendRune(b, c), true
}

// hex is the number of the \u escape that begins at i.
func (r *reader) hex(i int) (rune, bool) {
	if i+6 > len(r.src) || r.src[i] != '\\' || r.src[i+1] != 'u' {
		return 0, false
	}
	n := rune(0)
	for _, c := range []byte(r.src[i+2 : i+6]) {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
