package templates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/syntax"
	"github.com/herald-gateway/herald/templates/value"
)

// expr compiles an expression. The kind is that of its value when it is certain, Nil when it is not.
func (c *compiler) expr(x syntax.Expr, macro string) (expr, value.Kind) {
	switch x := x.(type) {
	case *syntax.String:
		return constant{value.OfString(x.Text)}, value.String
	case *syntax.Number:
		return c.number(x, macro)
	case *syntax.Word:
		return word(x.Text)
	case *syntax.Path:
		return c.path(x, macro)
	case *syntax.Range:
		out := &span{}
		out.from, _ = c.expr(x.From, macro)
		out.to, _ = c.expr(x.To, macro)
		return out, value.List
	case *syntax.Compare:
		return c.comparison(x, macro)
	case *syntax.Logic:
		out := &logic{and: x.And, terms: make([]expr, len(x.Terms))}
		for i, t := range x.Terms {
			out.terms[i], _ = c.expr(t, macro)
		}
		return out, value.Bool
	}
	return constant{}, value.Nil // a fault that was reported
}

func (c *compiler) number(x *syntax.Number, macro string) (expr, value.Kind) {
	v, ok := value.ParseNumber(x.Text)
	if !ok {
		c.report(x.At(), CodeNumber, "the number is too large", macro)
	}
	return constant{v}, v.Kind()
}

func word(w string) (expr, value.Kind) {
	switch w {
	case "true", "false":
		return constant{value.OfBool(w == "true")}, value.Bool
	case "blank":
		return markBlank, value.Nil
	case "empty":
		return markEmpty, value.Nil
	}
	return constant{}, value.Nil
}

func (c *compiler) comparison(x *syntax.Compare, macro string) (expr, value.Kind) {
	out := &comparison{op: x.Op}
	var a, b value.Kind
	out.left, a = c.expr(x.Left, macro)
	out.right, b = c.expr(x.Right, macro)
	if x.Op != "contains" && (a == value.String && numeric(b) || b == value.String && numeric(a)) {
		c.report(x.At(), CodeKind, "a text is never equal to, less or greater than a number", macro)
	}
	return out, value.Bool
}

func numeric(k value.Kind) bool { return k == value.Int || k == value.Decimal || k == value.Money }

// path compiles a variable: a local, a loop's, or a field by its canonical path.
func (c *compiler) path(x *syntax.Path, macro string) (expr, value.Kind) {
	first := names.Fold(x.Steps[0].Name)
	for _, b := range slices.Backward(c.scope) {
		if b.name == first {
			return c.walk(&local{slot: b.slot}, b.kind, x.Steps[1:], macro)
		}
	}
	if first == "forloop" && c.depth > 0 {
		return c.loopField(x, macro)
	}
	if slot, ok := c.locals[first]; ok {
		otherwise, _ := c.global(x, macro, true)
		if len(x.Steps) == 1 {
			return &local{slot: slot, otherwise: otherwise}, value.Nil
		}
		// The steps go from whatever the name means when it is reached.
		root, _ := c.global(&syntax.Path{Pos: x.Pos, Steps: x.Steps[:1]}, macro, true)
		return c.walk(&local{slot: slot, otherwise: root}, value.Nil, x.Steps[1:], macro)
	}
	return c.global(x, macro, false)
}

// walk compiles the steps from a value to one inside of it.
func (c *compiler) walk(base expr, kind value.Kind, steps []syntax.Step, macro string) (expr, value.Kind) {
	if len(steps) == 0 {
		return base, kind
	}
	out := &walk{base: base, steps: make([]step, len(steps))}
	for i, s := range steps {
		if s.Name != "" {
			out.steps[i].key = names.Fold(s.Name)
			continue
		}
		out.steps[i].index, _ = c.expr(s.Index, macro)
		if text, ok := s.Index.(*syntax.String); ok {
			out.steps[i] = step{key: names.Fold(text.Text)}
		}
	}
	return out, value.Nil
}

func (c *compiler) loopField(x *syntax.Path, macro string) (expr, value.Kind) {
	depth := c.depth - 1
	steps := x.Steps[1:]
	for len(steps) > 0 && steps[0].Name == "parentloop" {
		depth--
		steps = steps[1:]
	}
	known := []string{"index", "index0", "rindex", "rindex0", "first", "last", "length", "parentloop"}
	switch {
	case depth < 0:
		c.report(x.At(), CodeUnknownField, "there is no loop around this one", macro)
	case len(steps) == 0:
		c.report(x.At(), CodeKind, "forloop cannot be used as a whole; write forloop.index", macro)
	case len(steps) > 1 || !slices.Contains(known, steps[0].Name):
		c.report(x.At(), CodeUnknownField, "forloop has no "+steps[0].Name+nearest(steps[0].Name, known), macro)
	default:
		kind := value.Int
		if steps[0].Name == "first" || steps[0].Name == "last" {
			kind = value.Bool
		}
		return &loopField{depth: depth, name: steps[0].Name}, kind
	}
	return constant{}, value.Nil
}

func nearest(name string, known []string) string {
	if near := names.Nearest(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// global compiles a field. With quiet, nothing is said about fields that are not declared: the name is mostly a local.
func (c *compiler) global(x *syntax.Path, macro string, quiet bool) (expr, value.Kind) {
	var keys []string
	rest := x.Steps
	for len(rest) > 0 {
		name := rest[0].Name
		if text, ok := rest[0].Index.(*syntax.String); ok {
			name = text.Text
		}
		if name == "" {
			break
		}
		keys, rest = append(keys, names.Fold(name)), rest[1:]
	}
	keys = c.table.Resolve(keys)
	r, ok := rootOf(keys[0])
	if !ok {
		return c.data(x, keys, rest, macro, quiet)
	}
	if len(keys) > 1 {
		switch r {
		case rootData:
			return c.data(x, keys[1:], rest, macro, quiet)
		case rootContact:
			return c.contact(x, keys, rest, macro)
		default:
		}
	}
	return c.rooted(r, x, keys, rest, macro)
}

// stepsOf turns keys that were folded, and the steps after them, into steps again.
func stepsOf(keys []string, rest []syntax.Step) []syntax.Step {
	out := make([]syntax.Step, 0, len(keys)+len(rest))
	for _, k := range keys {
		out = append(out, syntax.Step{Name: k})
	}
	return append(out, rest...)
}

// data compiles a field of the job's data.
func (c *compiler) data(x *syntax.Path, keys []string, rest []syntax.Step, macro string, quiet bool) (expr, value.Kind) {
	param, declared := c.params[keys[0]]
	if !declared && !quiet {
		c.warn(x.At(), CodeUndeclared, fmt.Sprintf("the data %s is not declared%s", keys[0], nearest(keys[0], c.known())), macro)
	}
	if !quiet {
		c.fields["data."+keys[0]] = struct{}{}
	}
	return c.walk(dataField(keys[0]), param.Kind, stepsOf(keys[1:], rest), macro)
}

// known lists what a bare name can mean.
func (c *compiler) known() []string {
	out := rootNames()
	for _, p := range c.src.Params {
		out = append(out, names.Fold(p.Name))
	}
	return out
}

// contact compiles a field of the contact.
func (c *compiler) contact(x *syntax.Path, keys []string, rest []syntax.Step, macro string) (expr, value.Kind) {
	key := keys[1]
	kind, ok := c.sc.field(key)
	if !ok {
		param, declared := c.params[key]
		kind = param.Kind
		if !declared {
			c.unknownContact(x, key, macro)
		}
	}
	c.fields["contact."+key] = struct{}{}
	if key == "name" { // which may be taken from these
		c.fields["contact.first_name"], c.fields["contact.full_name"] = struct{}{}, struct{}{}
	}
	return c.walk(contactField(key), kind, stepsOf(keys[2:], rest), macro)
}

func (c *compiler) unknownContact(x *syntax.Path, key, macro string) {
	known := make([]string, 0, len(contactFields)+len(c.sc.fields))
	for name := range contactFields {
		known = append(known, name)
	}
	for name := range c.sc.fields {
		known = append(known, name)
	}
	slices.Sort(known)
	text := "the contact has no field " + key + nearest(key, known)
	if c.sc.open {
		c.warn(x.At(), CodeUndeclared, text, macro)
		return
	}
	c.report(x.At(), CodeUnknownField, text, macro)
}

// rooted compiles a path from one of the other roots.
func (c *compiler) rooted(r root, x *syntax.Path, keys []string, rest []syntax.Step, macro string) (expr, value.Kind) {
	c.fields[strings.Join(keys[:min(len(keys), 2)], ".")] = struct{}{}
	kind := value.Nil
	switch r {
	case rootContact, rootData:
		if len(rest) > 0 {
			c.report(x.At(), CodeUnknownField, "the field must be named, so that it can be loaded", macro)
		}
		kind = value.Object
	case rootNow:
		kind = value.Time
	case rootVariant, rootChannel:
		kind = value.String
	case rootCampaign, rootLaunch, rootURLs:
		return c.closed(r, x, keys, rest, macro)
	default:
	}
	if len(keys) > 1 && (kind == value.Time || kind == value.String) {
		c.report(x.At(), CodeUnknownField, fmt.Sprintf("%s has no field %s", keys[0], keys[1]), macro)
	}
	return c.walk(r, kind, stepsOf(keys[1:], rest), macro)
}

// closed compiles a path from a root whose fields are all known.
func (c *compiler) closed(r root, x *syntax.Path, keys []string, rest []syntax.Step, macro string) (expr, value.Kind) {
	fields := closedRoots[keys[0]]
	known := make([]string, 0, len(fields))
	for name := range fields {
		known = append(known, name)
	}
	slices.Sort(known)
	switch {
	case len(keys) == 1:
		c.report(x.At(), CodeKind, keys[0]+" cannot be used as a whole; it has "+strings.Join(known, ", "), macro)
		return constant{}, value.Nil
	case len(keys) > 2 || len(rest) > 0 || !slices.Contains(known, keys[1]):
		c.report(x.At(), CodeUnknownField, keys[0]+" has no field "+keys[1]+nearest(keys[1], known), macro)
		return constant{}, value.Nil
	}
	return &walk{base: r, steps: []step{{key: keys[1]}}}, fields[keys[1]]
}

// chain compiles an expression with its filters.
func (c *compiler) chain(ch syntax.Chain, macro string) (chain, value.Kind) {
	x, kind := c.expr(ch.Expr, macro)
	out := chain{x: x}
	if len(ch.Filters) > 0 {
		out.calls = make([]call, 0, len(ch.Filters))
	}
	literal, isLiteral := x.(constant)
	for _, f := range ch.Filters {
		known, ok := filters[f.Name]
		if !ok {
			c.report(f.At(), CodeUnknownFilter, "there is no filter "+f.Name+nearest(f.Name, filterNames()), macro)
			kind, isLiteral = value.Nil, false
			continue
		}
		if text := misfit(known.takes, kind, literal, isLiteral); text != "" {
			c.report(f.At(), CodeKind, fmt.Sprintf("the filter %s %s", f.Name, text), macro)
		}
		out.calls = append(out.calls, call{filter: known, args: c.args(f, known, macro)})
		kind, isLiteral = resultKind(known), false
	}
	return out, kind
}

// resultKind is the kind after a filter, Nil when it is not certain.
func resultKind(f *filter) value.Kind {
	if f.known {
		return f.gives
	}
	return value.Nil
}

// misfit says why a filter cannot work on a kind that is certain.
func misfit(t takes, kind value.Kind, literal constant, isLiteral bool) string {
	switch {
	case kind == value.Nil:
		return ""
	case t == takesList && kind != value.List:
		return "needs a list, not a " + kind.String()
	case t == takesText && (kind == value.List || kind == value.Object):
		return "needs a text, not a " + kind.String()
	case t == takesNumber && kind == value.String && isLiteral:
		if _, err := literal.v.Number(); err != nil {
			return "needs a number"
		}
	case t == takesNumber && kind != value.String && kind != value.HTML && !numeric(kind):
		return "needs a number, not a " + kind.String()
	}
	return ""
}

// args compiles the arguments of a filter: those by position, then the named ones in the filter's order.
func (c *compiler) args(f syntax.Filter, known *filter, macro string) []expr {
	var out []expr
	literals, all := []value.Value{}, true
	named := make([]expr, len(known.named))
	for _, a := range f.Args {
		x, kind := c.expr(a.Value, macro)
		if kind == value.List || kind == value.Object {
			c.report(a.At(), CodeArguments, fmt.Sprintf("the filter %s takes no %s as argument", f.Name, kind), macro)
		}
		if a.Name != "" {
			i := slices.Index(known.named, a.Name)
			if i < 0 {
				c.report(a.At(), CodeArguments, "the filter "+f.Name+" has no argument "+a.Name+nearest(a.Name, known.named), macro)
				continue
			}
			named[i] = x
			continue
		}
		literal, ok := x.(constant)
		literals, all = append(literals, literal.v), all && ok
		out = append(out, x)
	}
	if len(out) < known.min || len(out) > known.max {
		c.report(f.At(), CodeArguments, fmt.Sprintf("the filter %s takes %s, here are %d",
			f.Name, counted(known.min, known.max), len(out)), macro)
		return out
	}
	if known.check != nil {
		if text := known.check(c, literals, all); text != "" {
			c.report(f.At(), CodeArguments, text, macro)
		}
	}
	for i, x := range named {
		if x != nil {
			for len(out) < known.max+i {
				out = append(out, constant{})
			}
			out = append(out, x)
		}
	}
	return out
}

func counted(least, most int) string {
	switch {
	case least == most && most == 1:
		return "1 argument"
	case least == most:
		return fmt.Sprintf("%d arguments", most)
	}
	return fmt.Sprintf("%d to %d arguments", least, most)
}
