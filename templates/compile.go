package templates

import (
	"maps"
	"slices"
	"strings"

	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/syntax"
	"github.com/herald-gateway/herald/templates/value"
)

// Compiled is a template that is ready to render. It never changes and serves any number of goroutines at once.
type Compiled struct {
	parts      []part
	files      []file
	locale     locale.Locale
	allowEmpty bool
	schemes    []string
	fields     FieldSet
	urls       []URL
}

// part is one compiled part.
type part struct {
	name   string
	kind   partKind
	limits limits
	body   []node
	// slots, loops and cycles are how many of each the environment must have.
	slots, loops, cycles int
}

func (p *part) html() bool { return p.kind == htmlPart }

// Fields returns what the template uses.
func (c *Compiled) Fields() FieldSet { return c.fields }

// URLs returns the places of urls in the order of parts and places.
func (c *Compiled) URLs() []URL { return c.urls }

// compiler turns the trees of one source into a Compiled.
type compiler struct {
	src    Source
	sc     Schema
	table  *names.Table
	params map[string]Param
	out    *Compiled
	diags  []Diag
	fields map[string]struct{}
	// errors and warnings count what was found, also what is too much to be reported.
	errors, warnings int

	p    *part
	file int32
	scan *escape.Scanner // nil in parts that have one place
	// captured: what is printed goes into a local, which in HTML is a fragment.
	captured bool
	// scope holds the names that are bound around this place: loop variables, arguments of includes. locals are the names
	// that the part assigns anywhere.
	scope  []bound
	locals map[string]int
	depth  int            // of loops
	starts []escape.State // of the loops around, for break and continue
	cycles map[string]int
	// including are the snippets around this place; includes counts all of the part.
	including []string
	includes  int
	// read and parsed are bytes and nodes of the part and its snippets so far: the limits are for all of them.
	read, parsed int
	// textURL: the text before ended inside of a web address.
	textURL bool
}

// bound is a name with its slot.
type bound struct {
	name string
	slot int
	kind value.Kind // Nil is any
}

// Compile reads and checks the parts of a source. The diagnostics are all that was found, in the order of the parts; the
// Compiled is nil if one of them is not a warning.
func Compile(src Source, sc Schema) (*Compiled, []Diag) {
	c := &compiler{
		src: src, sc: sc, table: sc.Aliases(), fields: map[string]struct{}{}, params: make(map[string]Param, len(src.Params)),
		out: &Compiled{locale: src.Locale.Or(), allowEmpty: src.AllowEmpty, schemes: src.Schemes},
	}
	for _, p := range src.Params {
		c.params[strings.Join(c.table.Key(p.Name), ".")] = p
	}
	c.out.parts = make([]part, 0, len(src.Parts))
	for i, p := range src.Parts {
		if slices.ContainsFunc(src.Parts[:i], func(o Part) bool { return o.Name == p.Name }) {
			c.badPart(p, "the part is there twice")
			continue
		}
		c.part(p)
	}
	c.out.fields.Paths = slices.Sorted(maps.Keys(c.fields))
	diags := sorted(c.diags, src.Parts)
	if c.errors > 0 {
		return nil, diags
	}
	return c.out, diags
}

// badPart reports a part that cannot be read at all.
func (c *compiler) badPart(p Part, text string) {
	c.errors++
	c.diags = append(c.diags, Diag{Part: p.Name, Line: 1, Col: 1, Code: CodeUnknownPart, Text: text})
}

func (c *compiler) part(src Part) {
	kind, ok := partOf(src.Name)
	if !ok {
		c.badPart(src, "there is no such part")
		return
	}
	c.out.parts = append(c.out.parts, part{name: src.Name, kind: kind, limits: kind.limits()})
	c.p = &c.out.parts[len(c.out.parts)-1]
	c.file = c.addFile(file{part: src.Name, text: src.Text})
	c.scan, c.captured, c.scope, c.depth, c.starts = kind.scanner(), false, nil, 0, nil
	c.locals, c.cycles, c.including, c.includes, c.textURL = map[string]int{}, map[string]int{}, nil, 0, false
	c.read, c.parsed = 0, 0
	tree := c.parse(src.Text)
	if kind != htmlPart {
		trim(tree.Body)
	}
	c.p.body = c.nodes(tree.Body)
	if c.scan != nil {
		c.endScan(src)
	}
}

func (c *compiler) addFile(f file) int32 {
	c.out.files = append(c.out.files, f)
	return int32(len(c.out.files) - 1) //nolint:gosec // parts and at most 50 snippets
}

// endScan reports what the scanner found in the part as a whole.
func (c *compiler) endScan(src Part) {
	if !c.scan.Text() && c.errors == 0 {
		c.report(len(src.Text), CodeBranches, "the HTML ends "+c.scan.Describe(), "")
	}
	for _, t := range c.scan.Tags {
		c.report(t.At, CodeElement, "mail programs refuse the element "+t.Name, "")
	}
	for _, u := range c.scan.URLs {
		c.addURL(u)
	}
}

func (c *compiler) addURL(u escape.URL) {
	if u.Literal == "" && !u.Macros {
		return
	}
	line, col := c.out.files[c.file].position(u.At)
	c.out.urls = append(c.out.urls, URL{
		Part: c.p.name, Line: line, Col: col, Tag: u.Tag, Attr: u.Attr, Literal: u.Literal, Macros: u.Macros,
	})
}

// parse reads a text as source of the part and reports its faults; names that it assigns get their slots.
func (c *compiler) parse(text string) *syntax.Tree {
	tree := syntax.Parse(text, syntax.Options{
		HTML: c.p.html(), MaxBytes: max(c.p.limits.source-c.read, 1), MaxNodes: max(c.p.limits.nodes-c.parsed, 1), MaxDepth: maxNesting,
	})
	c.read, c.parsed = c.read+len(text), c.parsed+tree.Nodes
	for _, f := range tree.Faults {
		c.report(f.At(), Code(f.Code), f.Text, f.Macro)
	}
	c.findLocals(tree.Body)
	return tree
}

// report adds an error, warn a warning.
func (c *compiler) report(offset int, code Code, text, macro string) {
	c.diag(offset, Diag{Code: code, Text: text, Macro: macro})
}

func (c *compiler) warn(offset int, code Code, text, macro string) {
	c.diag(offset, Diag{Code: code, Text: text, Macro: macro, Warn: true})
}

// maxDiags of each kind in one compilation; nobody reads more at once.
const maxDiags = 100

func (c *compiler) diag(offset int, d Diag) {
	count := &c.errors
	if d.Warn {
		count = &c.warnings
	}
	if *count++; *count > maxDiags {
		return
	}
	f := &c.out.files[c.file]
	d.Part, d.Text = f.part, f.in(d.Text)
	d.Line, d.Col = f.position(offset)
	c.diags = append(c.diags, d)
}

func (c *compiler) at(n syntax.Node) pos {
	return pos{file: c.file, offset: int32(n.At())} //nolint:gosec // sources are below 1 MB
}

// trim takes the white space off both ends of a text part.
func trim(body []syntax.Node) {
	if len(body) == 0 {
		return
	}
	if t, ok := body[0].(*syntax.Text); ok {
		t.Text = strings.TrimLeft(t.Text, " \t\r\n")
	}
	if t, ok := body[len(body)-1].(*syntax.Text); ok {
		t.Text = strings.TrimRight(t.Text, " \t\r\n")
	}
}

// findLocals gives a slot to every name that is assigned or captured.
func (c *compiler) findLocals(body []syntax.Node) {
	for _, n := range body {
		switch n := n.(type) {
		case *syntax.Assign:
			c.local(n.Name)
		case *syntax.Capture:
			c.local(n.Name)
			c.findLocals(n.Body)
		case *syntax.If:
			for _, b := range n.Branches {
				c.findLocals(b.Body)
			}
		case *syntax.Case:
			for _, w := range n.Whens {
				c.findLocals(w.Body)
			}
			c.findLocals(n.Else)
		case *syntax.For:
			c.findLocals(n.Body)
			c.findLocals(n.Else)
		}
	}
}

func (c *compiler) local(name string) int {
	key := names.Fold(name)
	slot, ok := c.locals[key]
	if !ok {
		slot = c.slot()
		c.locals[key] = slot
	}
	return slot
}

func (c *compiler) slot() int {
	c.p.slots++
	return c.p.slots - 1
}
