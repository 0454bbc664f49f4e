package templates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/syntax"
	"github.com/herald-gateway/herald/templates/value"
)

// nodes compiles a body.
func (c *compiler) nodes(body []syntax.Node) []node {
	out := make([]node, 0, len(body))
	for _, n := range body {
		switch n := n.(type) {
		case *syntax.Text:
			out = c.text(out, n)
		case *syntax.Output:
			out = append(out, c.output(n))
		case *syntax.If:
			out = append(out, c.choice(n))
		case *syntax.Case:
			out = append(out, c.match(n))
		case *syntax.For:
			out = append(out, c.repeat(n))
		case *syntax.Jump:
			out = append(out, c.jump(n))
		case *syntax.Cycle:
			out = append(out, c.cycle(n))
		case *syntax.Assign:
			ch, _ := c.chain(n.Chain, "assign")
			out = append(out, &assign{pos: c.at(n), chain: ch, macro: "assign " + n.Name, slot: c.assignable(n, n.Name)})
		case *syntax.Capture:
			out = append(out, c.capture(n))
		case *syntax.Include:
			out = append(out, c.include(n)...)
		}
	}
	return out
}

// assignable returns the slot of a name that is assigned.
func (c *compiler) assignable(n syntax.Node, name string) int {
	if names.Fold(name) == "forloop" {
		c.report(n.At(), syntaxCode(syntax.BadName), "forloop belongs to loops; choose another name", name)
	}
	return c.local(name)
}

func syntaxCode(code syntax.Code) Code { return Code(code) }

func (c *compiler) text(out []node, n *syntax.Text) []node {
	s := n.Text
	switch {
	case c.p.kind == headerPart:
		s = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(s)
	case c.p.kind != htmlPart:
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	if c.scan != nil && (c.p.html() || !c.captured) {
		c.scan.Literal(n.Text, n.At())
	} else if c.scan == nil {
		c.findURLs(n)
	}
	if s == "" {
		return out
	}
	return append(out, literal(s))
}

// findURLs notes the web addresses in a text.
func (c *compiler) findURLs(n *syntax.Text) {
	c.textURL = false
	for at := 0; ; {
		i := strings.Index(n.Text[at:], "http")
		if i < 0 {
			return
		}
		at += i
		rest := n.Text[at:]
		if !strings.HasPrefix(rest, "http://") && !strings.HasPrefix(rest, "https://") {
			at += len("http")
			continue
		}
		end := strings.IndexAny(rest, " \t\r\n\u00a0<>\"«»")
		c.textURL = end < 0
		if end < 0 {
			end = len(rest)
		}
		link := rest[:end]
		if !c.textURL {
			link = strings.TrimRight(link, ".,;:!?)]'") // which belong to the sentence
		}
		c.addURL(escape.URL{At: n.At() + at, Literal: link})
		at += end
	}
}

// place decides how an output that stands here is written.
func (c *compiler) place(n syntax.Node, macro string, filters []syntax.Filter) escape.Place {
	switch {
	case c.p.kind == headerPart:
		return escape.Header
	case c.scan == nil:
		if c.textURL {
			c.out.urls[len(c.out.urls)-1].Macros = true
		}
		return escape.Plain
	case c.captured && !c.p.html():
		return escape.Plain
	}
	host := c.scan.InHost()
	p := c.scan.Output()
	encoded := len(filters) > 0 && filters[len(filters)-1].Name == "url_encode"
	switch {
	case p == escape.Forbidden:
		c.report(n.At(), CodePlace, "no macro can stand "+c.scan.Describe(), macro)
	case host:
		c.warn(n.At(), CodeHost, "the host of a url should not come from a macro", macro)
	case encoded && p == escape.Style:
	case encoded && p >= escape.URLPath && p <= escape.URLFragment && c.p.html():
		return escape.HTMLAttr
	case encoded && p >= escape.URLPath && p <= escape.URLFragment:
		return escape.Plain
	}
	return p
}

func (c *compiler) output(n *syntax.Output) node {
	ch, kind := c.chain(n.Chain, n.Macro)
	out := &output{
		pos: c.at(n), chain: ch, macro: n.Macro, place: c.place(n, n.Macro, n.Filters), attr: c.p.html(),
		fallback: n.Fallback, hasFallback: n.HasFallback,
		optional: slices.ContainsFunc(n.Filters, func(f syntax.Filter) bool { return f.Name == "default" }),
	}
	switch {
	case kind == value.List || kind == value.Object:
		c.report(n.At(), CodeKind, "a "+kind.String()+" cannot be printed; print its fields, or join its items", n.Macro)
	case out.place == escape.Style && (kind == value.Time || kind == value.Date || kind == value.HTML || kind == value.Money):
		c.report(n.At(), CodePlace, "only a number, a colour or a word can stand in a style", n.Macro)
	}
	if n.HasFallback {
		name, _, _ := strings.Cut(n.Fallback, ":")
		if _, ok := filters[strings.TrimSpace(name)]; ok {
			path, _, _ := strings.Cut(n.Macro, "|")
			c.warn(n.At(), CodeFallback, fmt.Sprintf(
				"%q is taken as text; if it is meant as a filter, write {{ %s | %s }}", n.Fallback, strings.TrimSpace(path), n.Fallback,
			), n.Macro)
		}
	}
	return out
}

// fork compiles bodies that exclude each other: all begin where the scanner stands, and must end in one place.
func (c *compiler) fork(n syntax.Node, what string, exhaustive bool, bodies ...func()) {
	if c.scan == nil {
		for _, compile := range bodies {
			compile()
		}
		return
	}
	start := c.scan.State
	after, same := start, true
	for i, compile := range bodies {
		c.scan.State = start
		compile()
		if i == 0 && exhaustive {
			after = c.scan.State
			continue
		}
		var ok bool
		after, ok = escape.Merge(after, c.scan.State)
		same = same && ok
	}
	c.scan.State = after
	if !same {
		c.report(n.At(), CodeBranches, "the branches end in different places of the HTML: a tag or quote is open in one of them", what)
	}
}

func (c *compiler) choice(n *syntax.If) node {
	out := &choice{branches: make([]branch, len(n.Branches))}
	bodies := make([]func(), len(n.Branches))
	for i, b := range n.Branches {
		bodies[i] = func() {
			to := &out.branches[i]
			to.pos, to.negate = c.at(b), b.Negate
			if b.Cond != nil {
				to.cond, _ = c.expr(b.Cond, "if")
			} else if i == 0 {
				to.cond = constant{}
			}
			to.body = c.nodes(b.Body)
		}
	}
	exhaustive := n.Branches[len(n.Branches)-1].Cond == nil
	c.fork(n, "if", exhaustive, bodies...)
	return out
}

func (c *compiler) match(n *syntax.Case) node {
	out := &match{pos: c.at(n), whens: make([]when, len(n.Whens))}
	out.subject, _ = c.expr(n.Value, "case")
	bodies := make([]func(), 0, len(n.Whens)+1)
	for i, w := range n.Whens {
		bodies = append(bodies, func() {
			for _, v := range w.Values {
				x, _ := c.expr(v, "when")
				out.whens[i].values = append(out.whens[i].values, x)
			}
			out.whens[i].body = c.nodes(w.Body)
		})
	}
	bodies = append(bodies, func() { out.other = c.nodes(n.Else) })
	c.fork(n, "case", true, bodies...)
	return out
}

func (c *compiler) repeat(n *syntax.For) node {
	macro := "for " + n.Name
	out := &repeat{pos: c.at(n), macro: macro, slot: c.slot(), reversed: n.Reversed, depth: c.depth}
	item := value.Nil
	if r, ok := n.In.(*syntax.Range); ok {
		out.from, _ = c.expr(r.From, macro)
		out.to, _ = c.expr(r.To, macro)
		item = value.Int
		c.checkRange(n, r)
	} else {
		var kind value.Kind
		out.in, kind = c.expr(n.In, macro)
		if kind != value.Nil && kind != value.List {
			c.report(n.At(), CodeKind, "a loop needs a list, not a "+kind.String(), macro)
		}
	}
	if n.Limit != nil {
		out.limit, _ = c.expr(n.Limit, macro)
	}
	if n.Offset != nil {
		out.skip, _ = c.expr(n.Offset, macro)
	}
	c.fork(n, macro, false,
		func() { out.body = c.loopBody(n, bound{name: names.Fold(n.Name), slot: out.slot, kind: item}) },
		func() { out.other = c.nodes(n.Else) },
	)
	return out
}

// loopBody compiles the body of a loop, which must end where it begins, because it may run again from there.
func (c *compiler) loopBody(n *syntax.For, variable bound) []node {
	c.scope = append(c.scope, variable)
	c.depth++
	c.p.loops = max(c.p.loops, c.depth)
	var start escape.State
	if c.scan != nil {
		start = c.scan.State
	}
	c.starts = append(c.starts, start)
	body := c.nodes(n.Body)
	if c.scan != nil && !escape.Repeats(start, c.scan.State) {
		c.report(n.At(), CodeBranches, "the loop ends in another place of the HTML than it begins: a tag or quote stays open", "for "+n.Name)
		c.scan.State = start
	}
	c.starts = c.starts[:len(c.starts)-1]
	c.depth--
	c.scope = c.scope[:len(c.scope)-1]
	return body
}

// checkRange refuses at save a range that is always too long.
func (c *compiler) checkRange(n *syntax.For, r *syntax.Range) {
	from, okFrom := r.From.(*syntax.Number)
	to, okTo := r.To.(*syntax.Number)
	if n.Limit != nil || !okFrom || !okTo {
		return
	}
	a, _ := value.ParseNumber(from.Text)
	b, _ := value.ParseNumber(to.Text)
	if length, err := value.Sub(b, a); err != nil || length.Kind() == value.Int && length.Int() >= maxItems {
		c.report(r.At(), CodeItems, fmt.Sprintf("the range is longer than %d", maxItems), "for "+n.Name)
	}
}

func (c *compiler) jump(n *syntax.Jump) node {
	if c.scan != nil && len(c.starts) > 0 && !escape.Repeats(c.starts[len(c.starts)-1], c.scan.State) {
		c.report(n.At(), CodeBranches, "the loop is left in another place of the HTML than it begins", "break")
	}
	if n.Break {
		return jump(breakLoop)
	}
	return jump(continueLoop)
}

func (c *compiler) cycle(n *syntax.Cycle) node {
	key := ""
	if n.Group != nil {
		key = describe(n.Group)
	} else {
		for _, v := range n.Values {
			key += describe(v) + ","
		}
	}
	id, ok := c.cycles[key]
	if !ok {
		id = c.p.cycles
		c.cycles[key] = id
		c.p.cycles++
	}
	out := &cycle{id: id}
	bodies := make([]func(), len(n.Values))
	for i, v := range n.Values {
		bodies[i] = func() {
			x, _ := c.expr(v, "cycle")
			place := c.place(n, "cycle", nil)
			out.outputs = append(out.outputs, &output{
				pos: c.at(n), chain: chain{x: x}, macro: "cycle", place: place, attr: c.p.html(), optional: true,
			})
		}
	}
	c.fork(n, "cycle", true, bodies...)
	return out
}

// describe tells expressions apart for cycle.
func describe(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.String:
		return fmt.Sprintf("%q", x.Text)
	case *syntax.Number:
		return x.Text
	case *syntax.Word:
		return x.Text
	case *syntax.Path:
		var s strings.Builder
		for _, step := range x.Steps {
			s.WriteString("." + names.Fold(step.Name))
		}
		return s.String()
	}
	return "?"
}

func (c *compiler) capture(n *syntax.Capture) node {
	out := &capture{pos: c.at(n), slot: c.assignable(n, n.Name), html: c.p.html()}
	captured := c.captured
	c.captured = true
	var around escape.State
	if c.scan != nil && c.p.html() {
		around, c.scan.State = c.scan.State, escape.State{}
	}
	out.body = c.nodes(n.Body)
	if c.scan != nil && c.p.html() {
		if !c.scan.Text() {
			c.report(n.At(), CodeBranches, "what is captured ends "+c.scan.Describe(), "capture "+n.Name)
		}
		c.scan.State = around
	}
	c.captured = captured
	return out
}

// include compiles a snippet in place. Its names are those around it and its arguments.
func (c *compiler) include(n *syntax.Include) []node {
	macro := "include " + n.Name
	text, ok := "", false
	if c.sc.snippets != nil {
		text, ok = c.sc.snippets.Snippet(n.Name)
	}
	c.includes++
	switch {
	case !ok:
		c.report(n.At(), CodeUnknownSnippet, fmt.Sprintf("there is no snippet %q", n.Name), macro)
		return nil
	case slices.Contains(c.including, n.Name):
		c.report(n.At(), CodeIncludeCycle, fmt.Sprintf("the snippet %q includes itself", n.Name), macro)
		return nil
	case len(c.including) == maxIncluded:
		c.report(n.At(), CodeIncludes, fmt.Sprintf("snippets are included deeper than %d", maxIncluded), macro)
		return nil
	case c.includes > maxIncludes:
		c.report(n.At(), CodeIncludes, fmt.Sprintf("more than %d snippets are included", maxIncludes), macro)
		return nil
	}
	outer, scope := c.file, len(c.scope)
	var out []node
	for _, a := range n.Args {
		x, kind := c.expr(a.Value, macro)
		slot := c.slot()
		out = append(out, &bind{pos: c.at(a), macro: macro, slot: slot, value: x})
		c.scope = append(c.scope, bound{name: names.Fold(a.Name), slot: slot, kind: kind})
	}
	c.including = append(c.including, n.Name)
	c.file = c.addFile(file{part: c.p.name, snippet: n.Name, text: text})
	loops := c.starts
	c.starts = nil
	tree := c.parse(text)
	if c.p.kind != htmlPart {
		trim(tree.Body)
	}
	out = append(out, c.nodes(tree.Body)...)
	c.starts = loops
	c.including = c.including[:len(c.including)-1]
	c.file, c.scope = outer, c.scope[:scope]
	return out
}
