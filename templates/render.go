package templates

import (
	"errors"
	"strings"
	"time"

	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/value"
)

// Input is all that a message is made of besides its template. Rendering reads nothing else: no clock, no database.
type Input struct {
	// Contact is the recipient's fields, then the profile's, as one object with canonical names.
	Contact value.Value
	// Data is the job's data, made by value.Data.
	Data value.Value
	// Order, Items, Coupon and Shop are loaded before; what is nil is looked for in Data.
	Order, Items, Coupon, Shop value.Value
	Campaign, Launch, URLs     value.Value
	Variant, Channel           string
	// Locale is that of the recipient, else of the profile; the template's when unset.
	Locale locale.Locale
	// Zone is that of the recipient; UTC when nil.
	Zone *time.Location
	// Now is the time of the attempt.
	Now time.Time
}

// Rendered holds what Render makes, and the memory it works in: buffers, locals, budgets. One worker keeps one and uses it
// for message after message; it is not for several goroutines at once and must not be copied. The zero value is ready.
type Rendered struct {
	// Dropped counts urls that were not allowed and became escape.DroppedURL.
	Dropped int
	// Steps is how many steps the costliest part took.
	Steps int

	names []string
	ends  []int
	env   env
}

// Part returns a part that was rendered, nil if there is none of that name. The bytes are valid until the next Render.
func (r *Rendered) Part(name string) []byte {
	start := 0
	for i, n := range r.names {
		if n == name {
			return r.env.out[start:r.ends[i]:r.ends[i]]
		}
		start = r.ends[i]
	}
	return nil
}

// Render makes the parts of a message for one recipient. The error is an *Error; dst then holds no part.
func (c *Compiled) Render(dst *Rendered, in *Input) error {
	e := &dst.env
	e.begin(c, in)
	dst.names, dst.ends, dst.Steps, dst.Dropped = dst.names[:0], dst.ends[:0], 0, 0
	for i := range c.parts {
		p := &c.parts[i]
		if !e.part(p) {
			dst.names, dst.ends = dst.names[:0], dst.ends[:0]
			e.out = e.out[:0]
			return e.err
		}
		dst.names, dst.ends = append(dst.names, p.name), append(dst.ends, len(e.out))
		dst.Steps = max(dst.Steps, p.limits.steps-e.steps)
	}
	dst.Dropped = e.dropped
	return nil
}

// env is the state of one rendering.
type env struct {
	c   *Compiled
	in  *Input
	p   *part
	out []byte
	// start is where the part begins in out.
	start int
	// steps and assigned are what is left of the budgets.
	steps, assigned int
	slots           []value.Value
	isSet           []bool
	loops           []loop
	cycles          []int
	args            []value.Value
	scratch         []byte
	texts           strings.Builder
	style           locale.Style
	dropped         int
	// at and macro say what is being rendered, for errors.
	at    pos
	macro string
	err   *Error
}

// loop is the state of a for loop.
type loop struct{ index, length int }

func (e *env) begin(c *Compiled, in *Input) {
	e.c, e.in, e.out, e.err, e.dropped, e.args = c, in, e.out[:0], nil, 0, e.args[:0]
}

// part renders one part.
func (e *env) part(p *part) bool {
	e.p, e.start = p, len(e.out)
	e.steps, e.assigned = p.limits.steps, p.limits.assigned
	e.style = p.kind.style(e.in.Locale.Or(e.c.locale))
	e.slots, e.isSet = grow(e.slots, p.slots), grow(e.isSet, p.slots)
	e.loops, e.cycles = grow(e.loops, p.loops), grow(e.cycles, p.cycles)
	if e.run(p.body) == failed {
		return false
	}
	if p.kind == headerPart {
		e.out = e.out[:e.start+len(escape.CutHeader(e.out[e.start:]))]
	}
	return true
}

// grow returns n zeroed elements, in the memory of s if it has room.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// signal is how the run of a node ended.
type signal uint8

const (
	proceed signal = iota
	breakLoop
	continueLoop
	failed
)

// run runs nodes up to the first that does not simply proceed.
func (e *env) run(body []node) signal {
	for _, n := range body {
		if e.steps--; e.steps < 0 {
			return e.fail(CodeSteps, "the template takes too many steps")
		}
		if s := n.run(e); s != proceed {
			return s
		}
	}
	return proceed
}

// fail ends the rendering with the first error.
func (e *env) fail(code Code, text string) signal {
	if e.err != nil {
		return failed
	}
	f := &e.c.files[e.at.file]
	line, col := f.position(int(e.at.offset))
	e.err = &Error{Code: code, Part: f.part, Line: line, Col: col, Macro: e.macro, Text: f.in(text)}
	return failed
}

// failure is an error of a filter or an operation, with its class.
type failure struct {
	code Code
	text string
}

// Error returns the text.
func (f *failure) Error() string { return f.text }

// failWith ends the rendering with an error of computing.
func (e *env) failWith(err error) signal {
	var f *failure
	switch {
	case errors.As(err, &f):
		return e.fail(f.code, f.text)
	case errors.Is(err, value.ErrKind):
		return e.fail(CodeKind, err.Error())
	}
	return e.fail(CodeCompute, err.Error())
}

// spend takes the steps for reading or making n bytes.
func (e *env) spend(n int) bool {
	const perStep = 64
	e.steps -= n / perStep
	return e.steps >= 0
}

// room reports whether n more bytes may be printed.
func (e *env) room(n int) bool {
	return len(e.out)-e.start+n <= e.p.limits.output
}

// keep returns bytes as a string that lives as long as the rendering. Strings share chunks of memory, so that most
// messages need no memory of their own; a chunk that is full is left to the garbage collector.
func (e *env) keep(b []byte) string {
	const chunk = 16 * kib
	if e.texts.Cap()-e.texts.Len() < len(b) {
		e.texts = strings.Builder{}
		e.texts.Grow(max(chunk, len(b)))
	}
	start := e.texts.Len()
	e.texts.Write(b)
	return e.texts.String()[start:]
}

// root returns the value that a path begins at.
func (e *env) root(r root) value.Value {
	in := e.in
	switch r {
	case rootData:
		return in.Data
	case rootContact:
		return in.Contact
	case rootOrder:
		return orData(in, in.Order, "order")
	case rootItems:
		return orData(in, in.Items, "items")
	case rootCoupon:
		return orData(in, in.Coupon, "coupon")
	case rootShop:
		return orData(in, in.Shop, "shop")
	case rootCampaign:
		return in.Campaign
	case rootLaunch:
		return in.Launch
	case rootURLs:
		return in.URLs
	case rootVariant:
		return textOrNil(in.Variant)
	case rootChannel:
		return textOrNil(in.Channel)
	default: // rootNow
		if in.Now.IsZero() {
			return value.Value{}
		}
		return value.OfTime(in.Now)
	}
}

// orData returns what was loaded, else what the job brought under the same name.
func orData(in *Input, loaded value.Value, key string) value.Value {
	if loaded.Kind() == value.Nil {
		return in.Data.Get(key)
	}
	return loaded
}

func textOrNil(s string) value.Value {
	if s == "" {
		return value.Value{}
	}
	return value.OfString(s)
}

// contact returns a field of the contact: the recipient's or the profile's, else the job's.
func (e *env) contact(key string) value.Value {
	if v := field(e.in.Contact, key); v.Kind() != value.Nil {
		return v
	}
	return field(e.in.Data, key)
}

// field returns a field of a contact; a name that is missing is the first name, else the full one.
func field(v value.Value, key string) value.Value {
	f := v.Get(key)
	if key != "name" || f.Kind() != value.Nil {
		return f
	}
	if f = v.Get("first_name"); f.Kind() == value.Nil {
		f = v.Get("full_name")
	}
	return f
}
