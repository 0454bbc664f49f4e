package templates

import (
	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/value"
)

// node is a compiled piece of a part.
type node interface {
	run(e *env) signal
}

// literal prints text of the template.
type literal string

func (n literal) run(e *env) signal {
	if !e.room(len(n)) {
		return e.fail(CodeOutput, "the text becomes too long")
	}
	e.out = append(e.out, n...)
	return proceed
}

// output prints the value of a chain.
type output struct {
	pos
	chain
	macro string
	place escape.Place
	// attr: the place is a url in an attribute of HTML.
	attr bool
	// fallback is the text of a retail macro's fallback. optional: the chain has a default, so that "" may be printed.
	fallback    string
	hasFallback bool
	optional    bool
}

func (n *output) run(e *env) signal {
	e.at, e.macro = n.pos, n.macro
	v := n.eval(e)
	if e.err != nil {
		return failed
	}
	if n.hasFallback && v.Blank() {
		v = value.OfString(n.fallback)
	}
	if v.Kind() == value.Nil || v.Empty() && v.Kind() != value.List && v.Kind() != value.Object {
		if (n.optional || n.hasFallback) && v.Kind() != value.Nil || e.c.allowEmpty {
			return proceed
		}
		return e.fail(CodeMissing, ErrMissing.Error())
	}
	return e.print(v, n.place, n.attr)
}

// print writes a value to its place.
func (e *env) print(v value.Value, place escape.Place, attr bool) signal {
	var s string
	switch v.Kind() {
	case value.String:
		s = v.Str()
	case value.HTML:
		if place == escape.HTMLText {
			return literal(v.Str()).run(e)
		}
		s = escape.Text(v.Str())
	case value.List, value.Object:
		return e.fail(CodeKind, "a "+v.Kind().String()+" cannot be printed")
	default:
		b, err := e.appendScalar(e.scratch[:0], v)
		if err != nil {
			return e.failWith(err)
		}
		e.scratch = b
		if place <= escape.HTMLAttr { // digits, letters and signs of money are the same in all of these
			if !e.room(len(b)) {
				return e.fail(CodeOutput, "the text becomes too long")
			}
			e.out = append(e.out, b...)
			return proceed
		}
		s = e.keep(b)
	}
	return e.write(s, place, attr)
}

// appendScalar writes a value that is no text.
func (e *env) appendScalar(dst []byte, v value.Value) ([]byte, error) {
	switch v.Kind() {
	case value.Bool:
		if v.Truthy() {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case value.Int, value.Decimal:
		return v.AppendNumber(dst), nil
	case value.Money:
		return e.style.AppendMoney(dst, v, v.Str())
	case value.Date:
		return e.style.Locale.AppendDate(dst, v.Instant(nil), e.style.Locale.DateFormat()), nil
	case value.Time:
		return e.style.Locale.AppendDate(dst, v.Instant(e.in.Zone), e.style.Locale.DateFormat()+" %H:%M"), nil
	default:
		return append(dst, v.Str()...), nil
	}
}

// write escapes a text for its place. What escaping adds counts afterwards: it is at most six times the text, which is
// itself limited.
func (e *env) write(s string, place escape.Place, attr bool) signal {
	if !e.room(len(s)) {
		return e.fail(CodeOutput, "the text becomes too long")
	}
	var ok bool
	switch place {
	case escape.Plain:
		e.out = append(e.out, s...)
	case escape.Header:
		e.out = escape.AppendHeader(e.out, s)
	case escape.HTMLText, escape.HTMLAttr:
		e.out = escape.AppendHTML(e.out, s)
	case escape.Style:
		if e.out, ok = escape.AppendStyle(e.out, s); !ok {
			return e.fail(CodeUnsafe, "only a number, a colour or a word can stand in a style")
		}
	default:
		if e.out, ok = escape.AppendURL(e.out, s, place, attr, e.c.schemes); !ok {
			e.dropped++
		}
	}
	if !e.room(0) {
		return e.fail(CodeOutput, "the text becomes too long")
	}
	return proceed
}

// choice is if, elsif, else and unless.
type choice struct{ branches []branch }

type branch struct {
	pos
	cond   expr // nil for else
	negate bool
	body   []node
}

func (n *choice) run(e *env) signal {
	for i := range n.branches {
		b := &n.branches[i]
		if b.cond == nil {
			return e.run(b.body)
		}
		e.at, e.macro = b.pos, "if"
		holds := b.cond.eval(e).Truthy()
		if e.err != nil {
			return failed
		}
		if holds != b.negate {
			return e.run(b.body)
		}
	}
	return proceed
}

// match is case.
type match struct {
	pos
	subject expr
	whens   []when
	other   []node
}

type when struct {
	values []expr
	body   []node
}

func (n *match) run(e *env) signal {
	e.at, e.macro = n.pos, "case"
	subject := n.subject.eval(e)
	for i := range n.whens {
		w := &n.whens[i]
		for _, v := range w.values {
			equal := sameAs(subject, v, v.eval(e))
			if e.err != nil {
				return failed
			}
			if e.steps--; equal {
				return e.run(w.body)
			}
		}
	}
	return e.run(n.other)
}

// repeat is for.
type repeat struct {
	pos
	macro       string
	in          expr
	from, to    expr // of a range; in is nil then
	limit, skip expr // nil when not given
	reversed    bool
	slot, depth int
	body, other []node
}

func (n *repeat) run(e *env) signal {
	e.at, e.macro = n.pos, n.macro
	list, first, count, ok := n.items(e)
	if !ok {
		return failed
	}
	start, count, ok := n.bounds(e, count)
	if !ok {
		return failed
	}
	if count == 0 {
		return e.run(n.other)
	}
	e.loops[n.depth] = loop{length: count}
	for i := range count {
		if e.steps--; e.steps < 0 {
			e.at, e.macro = n.pos, n.macro
			return e.fail(CodeSteps, "the template takes too many steps")
		}
		at := start + i
		if n.reversed {
			at = start + count - 1 - i
		}
		if n.in == nil {
			e.slots[n.slot] = value.OfInt(first + int64(at))
		} else {
			e.slots[n.slot] = list[at]
		}
		e.loops[n.depth].index = i
		switch s := e.run(n.body); s {
		case failed:
			return failed
		case breakLoop:
			return proceed
		default:
		}
	}
	return proceed
}

// items returns what the loop runs over: a list, or count whole numbers from first.
func (n *repeat) items(e *env) (list []value.Value, first int64, count int, ok bool) {
	if n.in == nil {
		from, to, ok := e.rangeOf(n.from, n.to)
		if !ok || to < from {
			return nil, 0, 0, ok
		}
		// A range is as long as its limit lets it be; what is above is cut where lengths still fit.
		length := uint64(to) - uint64(from) //nolint:gosec // the distance, whatever the signs
		return nil, from, int(min(length, 1<<40)) + 1, true
	}
	v := n.in.eval(e)
	switch {
	case e.err != nil:
		return nil, 0, 0, false
	case v.Kind() == value.Nil:
		return nil, 0, 0, true
	case v.Kind() != value.List:
		e.fail(CodeKind, "a loop needs a list, not a "+v.Kind().String())
		return nil, 0, 0, false
	}
	return v.Items(), 0, v.Len(), true
}

// bounds applies offset, then limit, and checks what is left.
func (n *repeat) bounds(e *env, count int) (start, length int, ok bool) {
	if n.skip != nil {
		skip, ok := e.count(n.skip)
		if !ok {
			return 0, 0, false
		}
		start = min(skip, count)
	}
	length = count - start
	if n.limit != nil {
		limit, ok := e.count(n.limit)
		if !ok {
			return 0, 0, false
		}
		length = min(length, limit)
	}
	if length > maxItems {
		e.fail(CodeItems, "the loop has too many items")
		return 0, 0, false
	}
	return start, length, true
}

// count evaluates a limit or an offset: a whole number, at least 0.
func (e *env) count(x expr) (int, bool) {
	v := x.eval(e)
	if e.err != nil {
		return 0, false
	}
	n, err := v.Number()
	if err != nil || n.Kind() != value.Int {
		e.fail(CodeKind, "limit and offset are whole numbers")
		return 0, false
	}
	return int(max(min(n.Int(), 1<<40), 0)), true
}

// rangeOf evaluates the ends of a range.
func (e *env) rangeOf(from, to expr) (first, last int64, ok bool) {
	a, errA := from.eval(e).Number()
	b, errB := to.eval(e).Number()
	if e.err != nil {
		return 0, 0, false
	}
	if errA != nil || errB != nil || a.Kind() != value.Int || b.Kind() != value.Int {
		e.fail(CodeKind, "a range needs whole numbers")
		return 0, 0, false
	}
	return a.Int(), b.Int(), true
}

// jump is break and continue.
type jump signal

func (n jump) run(*env) signal { return signal(n) }

// cycle prints its values in turn.
type cycle struct {
	id      int
	outputs []*output
}

func (n *cycle) run(e *env) signal {
	i := e.cycles[n.id]
	e.cycles[n.id] = (i + 1) % len(n.outputs)
	return n.outputs[i].run(e)
}

// assign gives a slot the value of a chain.
type assign struct {
	pos
	chain
	macro string
	slot  int
}

func (n *assign) run(e *env) signal {
	e.at, e.macro = n.pos, n.macro
	v := n.eval(e)
	if e.err != nil {
		return failed
	}
	return e.set(n.slot, v)
}

// set stores a local, within the budget of all that is assigned and captured.
func (e *env) set(slot int, v value.Value) signal {
	size := len(v.Str())
	if size > e.p.limits.value {
		return e.fail(CodeValue, "the text becomes too long")
	}
	if e.assigned -= size; e.assigned < 0 {
		return e.fail(CodeValue, "too much text is assigned and captured")
	}
	e.slots[slot], e.isSet[slot] = v, true
	return proceed
}

// capture gives a slot what its body prints.
type capture struct {
	pos
	slot int
	body []node
	html bool
}

func (n *capture) run(e *env) signal {
	start := len(e.out)
	s := e.run(n.body)
	if s == failed {
		return failed
	}
	e.at, e.macro = n.pos, "capture"
	if len(e.out)-start > e.p.limits.value {
		return e.fail(CodeValue, "the text becomes too long")
	}
	text := e.keep(e.out[start:])
	e.out = e.out[:start]
	v := value.OfString(text)
	if n.html {
		v = value.OfHTML(text)
	}
	if e.set(n.slot, v) == failed {
		return failed
	}
	return s
}

// bind gives the arguments of an include their values.
type bind struct {
	pos
	macro string
	slot  int
	value expr
}

func (n *bind) run(e *env) signal {
	e.at, e.macro = n.pos, n.macro
	v := n.value.eval(e)
	if e.err != nil {
		return failed
	}
	return e.set(n.slot, v)
}
