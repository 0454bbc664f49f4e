package templates

import (
	"strings"

	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/value"
)

// expr is a compiled expression. An error ends up in the environment; the value is nil then.
type expr interface {
	eval(e *env) value.Value
}

// constant is a literal.
type constant struct{ v value.Value }

func (x constant) eval(*env) value.Value { return x.v }

// mark is blank and empty, which only comparisons understand.
type mark uint8

const (
	markBlank mark = iota
	markEmpty
)

func (mark) eval(*env) value.Value { return value.Value{} }

// contactField is a field of the contact.
type contactField string

func (x contactField) eval(e *env) value.Value { return e.contact(string(x)) }

// dataField is a field of the job's data.
type dataField string

func (x dataField) eval(e *env) value.Value { return e.in.Data.Get(string(x)) }

func (r root) eval(e *env) value.Value { return e.root(r) }

// local is the value of a slot. Before its first assignment it is what the name means otherwise, if anything.
type local struct {
	slot      int
	otherwise expr
}

func (x *local) eval(e *env) value.Value {
	if x.otherwise != nil && !e.isSet[x.slot] {
		return x.otherwise.eval(e)
	}
	return e.slots[x.slot]
}

// loopField is a field of forloop.
type loopField struct {
	depth int
	name  string
}

func (x *loopField) eval(e *env) value.Value {
	l := e.loops[x.depth]
	n := 0
	switch x.name {
	case "index":
		n = l.index + 1
	case "index0":
		n = l.index
	case "rindex":
		n = l.length - l.index
	case "rindex0":
		n = l.length - l.index - 1
	case "length":
		n = l.length
	case "first":
		return value.OfBool(l.index == 0)
	case "last":
		return value.OfBool(l.index == l.length-1)
	}
	return value.OfInt(int64(n))
}

// walk goes from a value to one inside of it.
type walk struct {
	base  expr
	steps []step
}

// step is a key, or an index that is evaluated.
type step struct {
	key   string
	index expr
}

func (x *walk) eval(e *env) value.Value {
	v := x.base.eval(e)
	for i := range x.steps {
		s := &x.steps[i]
		if s.index == nil {
			v = member(v, s.key)
			continue
		}
		switch at := s.index.eval(e); at.Kind() {
		case value.Int:
			v = v.At(at.Int())
		case value.String:
			v = member(v, names.Fold(at.Str()))
		default:
			v = value.Value{}
		}
	}
	return v
}

// member returns a field, or size, first and last of a list or text.
func member(v value.Value, key string) value.Value {
	switch v.Kind() {
	case value.Object:
		if f := v.Get(key); f.Kind() != value.Nil || key != "size" {
			return f
		}
		return value.OfInt(int64(v.Len()))
	case value.List:
		switch key {
		case "size":
			return value.OfInt(int64(v.Len()))
		case "first":
			return v.At(0)
		case "last":
			return v.At(-1)
		}
	case value.String:
		if key == "size" {
			return value.OfInt(int64(runes(v.Str())))
		}
	default:
	}
	return value.Value{}
}

// comparison compares two values. What has no common order is not less, not greater and not equal.
type comparison struct {
	op          string
	left, right expr
}

func (x *comparison) eval(e *env) value.Value {
	a, b := x.left.eval(e), x.right.eval(e)
	switch x.op {
	case "==":
		return value.OfBool(x.same(a, b))
	case "!=":
		return value.OfBool(!x.same(a, b))
	case "contains":
		return value.OfBool(e.contains(a, b))
	}
	order, ok := value.Compare(a, b)
	switch x.op {
	case "<":
		ok = ok && order < 0
	case ">":
		ok = ok && order > 0
	case "<=":
		ok = ok && order <= 0
	case ">=":
		ok = ok && order >= 0
	}
	return value.OfBool(ok)
}

// same reports whether the two sides are equal; blank and empty may stand on either.
func (x *comparison) same(a, b value.Value) bool {
	if _, ok := x.left.(mark); ok {
		return sameAs(b, x.left, a)
	}
	return sameAs(a, x.right, b)
}

// sameAs compares a value with what an expression gave, which may be blank or empty.
func sameAs(v value.Value, x expr, other value.Value) bool {
	switch m, ok := x.(mark); {
	case ok && m == markBlank:
		return v.Blank()
	case ok:
		return v.Empty()
	}
	return value.Equal(v, other)
}

// contains looks for a text in a text, or for an item in a list.
func (e *env) contains(in, what value.Value) bool {
	switch {
	case in.Kind() == value.List:
		e.steps -= in.Len()
		for _, item := range in.Items() {
			if value.Equal(item, what) {
				return true
			}
		}
		return false
	case what.Kind() == value.Nil:
		return false
	}
	a, okA := e.text(in)
	b, okB := e.text(what)
	e.spend(len(a))
	return okA && okB && strings.Contains(a, b)
}

// logic joins conditions; it stops at the first that decides.
type logic struct {
	and   bool
	terms []expr
}

func (x *logic) eval(e *env) value.Value {
	for _, t := range x.terms {
		if t.eval(e).Truthy() != x.and {
			return value.OfBool(!x.and)
		}
	}
	return value.OfBool(x.and)
}

// span is a range outside of a loop: the list of its numbers.
type span struct{ from, to expr }

func (x *span) eval(e *env) value.Value {
	first, last, ok := e.rangeOf(x.from, x.to)
	if !ok || last < first {
		return value.OfList(nil)
	}
	if uint64(last)-uint64(first) >= maxItems { //nolint:gosec // the distance, whatever the signs
		e.fail(CodeItems, "the range is too long")
		return value.Value{}
	}
	items := make([]value.Value, 0, last-first+1)
	for i := first; ; i++ {
		items = append(items, value.OfInt(i))
		if i == last {
			break
		}
	}
	e.steps -= len(items)
	return value.OfList(items)
}

// chain is an expression and the filters that its value goes through.
type chain struct {
	x     expr
	calls []call
}

// call is one use of a filter.
type call struct {
	filter *filter
	args   []expr
}

func (c *chain) eval(e *env) value.Value {
	v := c.x.eval(e)
	for i := range c.calls {
		k := &c.calls[i]
		if v.Kind() == value.Nil && !k.filter.takesNil {
			continue // nothing comes of nothing, up to a default
		}
		base := len(e.args)
		for _, a := range k.args {
			arg := a.eval(e)
			e.args = append(e.args, arg)
		}
		if e.err != nil {
			return value.Value{}
		}
		if e.steps--; e.steps < 0 {
			e.fail(CodeSteps, "the template takes too many steps")
			return value.Value{}
		}
		out, err := k.filter.run(e, v, e.args[base:])
		e.args = e.args[:base]
		if err == nil && !e.spend(len(out.Str())) {
			err = errSteps
		}
		if err != nil {
			e.failWith(err)
			return value.Value{}
		}
		v = out
	}
	return v
}

// text returns a value as text. Lists, objects and nil have none.
func (e *env) text(v value.Value) (string, bool) {
	switch v.Kind() {
	case value.String:
		return v.Str(), true
	case value.HTML:
		return escape.Text(v.Str()), true
	case value.Nil, value.List, value.Object:
		return "", false
	default:
		b, err := e.appendScalar(e.scratch[:0], v)
		if err != nil {
			return "", false
		}
		e.scratch = b
		return e.keep(b), true
	}
}
