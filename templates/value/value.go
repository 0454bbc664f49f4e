// Package value holds what a template computes with: a closed set of kinds, without reflection and without Go values of
// others behind it. Numbers are exact: 64-bit integers and decimals of a 64-bit coefficient with at most nine fraction
// digits; what does not fit is an error, never a wrapped or rounded-off number.
//
// Strings that come from profiles and jobs are cleaned once, when they are loaded (Text, Data), so that nothing downstream
// has to think of control characters, decomposed letters or text that is only white space.
package value

import (
	"slices"
	"strings"
	"time"
)

// Kind tells what a value is.
type Kind uint8

// The kinds. Money is minor units with a currency; HTML is a fragment that is trusted as it stands.
const (
	Nil Kind = iota
	Bool
	Int
	Decimal
	Money
	String
	HTML
	Time
	Date
	List
	Object
)

// String returns the name of the kind as messages to people use it.
func (k Kind) String() string {
	return [...]string{
		"nothing", "true or false", "whole number", "number", "money", "text", "HTML", "time", "date", "list", "object",
	}[k]
}

// Value is one immutable value. The zero value is nil.
type Value struct {
	kind  Kind
	scale uint8 // fraction digits of Decimal and Money
	num   int64 // Bool 0 or 1; Int; coefficient; nanoseconds since 1970 in UTC; days since 1970-01-01
	str   string
	inner *compound
}

// compound is a list, or an object with sorted keys.
type compound struct {
	keys  []string
	items []Value
}

// OfBool returns true or false.
func OfBool(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// OfInt returns a whole number.
func OfInt(n int64) Value { return Value{kind: Int, num: n} }

// OfMoney returns an amount in minor units (kopecks, cents) of a currency, such as RUB.
func OfMoney(minor int64, currency string) Value {
	return Value{kind: Money, scale: minorDigits, num: minor, str: currency}
}

// OfString returns a string as it is. For strings of people and programs outside use Text.
func OfString(s string) Value { return Value{kind: String, str: s} }

// OfHTML returns a fragment that is printed into HTML without escaping. Only sanitised text and literals of templates
// may become one.
func OfHTML(s string) Value { return Value{kind: HTML, str: s} }

// OfTime returns an instant. Instants before 1678 and after 2261 do not fit and are nil.
func OfTime(t time.Time) Value {
	if y := t.Year(); y < 1678 || y > 2261 {
		return Value{}
	}
	return Value{kind: Time, num: t.UnixNano()}
}

// OfDate returns a day of the calendar, which no zone moves.
func OfDate(year int, month time.Month, day int) Value {
	const perDay = 24 * 60 * 60
	return Value{kind: Date, num: time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / perDay}
}

// OfList returns a list. The slice belongs to the value from then on.
func OfList(items []Value) Value { return Value{kind: List, inner: &compound{items: items}} }

// OfObject returns an object of fields. Keys are taken as they are; use names.Fold where they come from outside.
func OfObject(fields map[string]Value) Value {
	c := &compound{keys: make([]string, 0, len(fields)), items: make([]Value, 0, len(fields))}
	for key := range fields {
		c.keys = append(c.keys, key)
	}
	slices.Sort(c.keys)
	for _, key := range c.keys {
		c.items = append(c.items, fields[key])
	}
	return Value{kind: Object, inner: c}
}

// Kind returns the kind.
func (v Value) Kind() Kind { return v.kind }

// Str returns the text of a String or HTML, the currency of Money, else "".
func (v Value) Str() string { return v.str }

// Int returns the number of an Int, the coefficient of a Decimal or Money, 1 for true.
func (v Value) Int() int64 { return v.num }

// Scale returns how many digits of the coefficient are fraction digits.
func (v Value) Scale() int { return int(v.scale) }

// Numeric reports whether the value is a number or money.
func (v Value) Numeric() bool { return v.kind == Int || v.kind == Decimal || v.kind == Money }

// Len returns the number of items of a list or fields of an object, else 0.
func (v Value) Len() int {
	if v.inner == nil {
		return 0
	}
	return len(v.inner.items)
}

// At returns item i of a list, counted from 0, from the end when negative; nil beyond the ends.
func (v Value) At(i int64) Value {
	n := int64(v.Len())
	if i < 0 {
		i += n
	}
	if v.kind != List || i < 0 || i >= n {
		return Value{}
	}
	return v.inner.items[i]
}

// Items returns the items of a list. The caller must not change them.
func (v Value) Items() []Value {
	if v.kind != List {
		return nil
	}
	return v.inner.items
}

// Get returns the field of an object, nil when it has none.
func (v Value) Get(key string) Value {
	if v.kind != Object {
		return Value{}
	}
	if i, ok := v.inner.find(key); ok {
		return v.inner.items[i]
	}
	return Value{}
}

// find looks at every key while they are few: that is quicker than a search by halves.
func (c *compound) find(key string) (int, bool) {
	const few = 8
	if len(c.keys) > few {
		return slices.BinarySearch(c.keys, key)
	}
	for i, k := range c.keys {
		if k == key {
			return i, true
		}
	}
	return 0, false
}

// Instant returns a Time in the zone, or midnight of a Date, whatever the zone.
func (v Value) Instant(zone *time.Location) time.Time {
	if v.kind == Date {
		const perDay = 24 * 60 * 60
		return time.Unix(v.num*perDay, 0).UTC()
	}
	if zone == nil {
		zone = time.UTC
	}
	return time.Unix(0, v.num).In(zone)
}

// Truthy reports whether a condition on the value holds: all is true but nil and false.
func (v Value) Truthy() bool { return v.kind != Nil && (v.kind != Bool || v.num != 0) }

// Blank reports whether the value is nil, false, an empty list or text of nothing but white space.
func (v Value) Blank() bool {
	switch v.kind {
	case Nil:
		return true
	case Bool:
		return v.num == 0
	case String, HTML:
		return strings.TrimSpace(v.str) == ""
	case List, Object:
		return v.Len() == 0
	default:
		return false
	}
}

// Empty reports whether the value is "" or a list or object of nothing.
func (v Value) Empty() bool {
	switch v.kind {
	case String, HTML:
		return v.str == ""
	case List, Object:
		return v.Len() == 0
	default:
		return false
	}
}

// Equal compares two values: numbers by size whatever their kind, money only with the same currency, times and dates as
// such, lists by item. Values of other unlike kinds are not equal.
func Equal(a, b Value) bool { return equal(a, b, maxDepth) }

func equal(a, b Value, depth int) bool {
	if a.Numeric() && b.Numeric() {
		order, ok := Compare(a, b)
		return ok && order == 0
	}
	if a.kind != b.kind && (!a.text() || !b.text()) {
		return false
	}
	switch a.kind {
	case String, HTML:
		return a.str == b.str
	case List, Object:
		return depth > 0 && slices.Equal(a.inner.keys, b.inner.keys) &&
			slices.EqualFunc(a.inner.items, b.inner.items, func(x, y Value) bool { return equal(x, y, depth-1) })
	default:
		return a.num == b.num
	}
}

func (v Value) text() bool { return v.kind == String || v.kind == HTML }

// Compare orders two numbers, two texts, or two times or dates. It is false for what has no order.
func Compare(a, b Value) (int, bool) {
	switch {
	case a.Numeric() && b.Numeric():
		if a.kind == Money && b.kind == Money && a.str != b.str {
			return 0, false
		}
		return compareNumbers(a, b), true
	case a.text() && b.text():
		return strings.Compare(a.str, b.str), true
	case a.kind == b.kind && (a.kind == Time || a.kind == Date):
		return compareInts(a.num, b.num), true
	}
	return 0, false
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
