package syntax

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/herald-gateway/herald/templates/names"
)

// maxFaults is how many faults of one source are reported; nobody reads more at once.
const maxFaults = 50

// parser reads one source. Methods that find a fault report it and go on; when p.stopped they only return.
type parser struct {
	src    string
	html   bool
	limits Options
	pos    int

	tok     token
	closing string // the delimiter that ends the macro being read
	opened  int    // where that macro began

	out   Tree
	open  []opened
	loops int
	// The commonest nodes are made several at a time.
	texts   slab[Text]
	outputs slab[Output]
	paths   slab[Path]
	steps   []Step

	// curly and square are where the next { and [ stand, as far as they were looked for.
	curly, square int
	// trim: the macro before ended with a dash.
	trim    bool
	stopped bool
}

// slab makes values of one type in growing groups, which costs less memory than one by one.
type slab[T any] struct {
	free []T
	size int
}

func (s *slab[T]) next() *T {
	const most = 32
	if len(s.free) == 0 {
		s.size = min(2*s.size+2, most)
		s.free = make([]T, s.size)
	}
	t := &s.free[0]
	s.free = s.free[1:]
	return t
}

// opened is a block whose end is looked for.
type opened struct {
	name  string
	pos   int
	until []string
}

// Parse reads a source.
func Parse(src string, options Options) *Tree {
	p := &parser{src: src, html: options.HTML, limits: options, curly: -1, square: -1}
	switch {
	case options.MaxBytes > 0 && len(src) > options.MaxBytes:
		p.fault(options.MaxBytes, TooLarge, fmt.Sprintf("the source has %d bytes; allowed are %d", len(src), options.MaxBytes), "")
	case p.encoding():
		p.out.Body, _ = p.block(opened{})
	}
	return &p.out
}

// encoding looks for bytes that are no text.
func (p *parser) encoding() bool {
	if i := strings.IndexByte(p.src, 0); i >= 0 {
		p.fault(i, Encoding, "the source contains a NUL character", "")
		return false
	}
	if utf8.ValidString(p.src) {
		return true
	}
	for i, r := range p.src {
		if _, w := utf8.DecodeRuneInString(p.src[i:]); r == utf8.RuneError && w == 1 {
			p.fault(i, Encoding, "the source is not valid UTF-8", "")
			break
		}
	}
	return false
}

func (p *parser) fault(pos int, code Code, what, macro string) {
	if n := len(p.out.Faults); n > 0 && p.out.Faults[n-1].At() == pos {
		return // what follows from a fault is no other
	}
	if len(p.out.Faults) == maxFaults {
		p.stop()
		return
	}
	p.out.Faults = append(p.out.Faults, Fault{Pos: Pos(pos), Code: code, Text: what, Macro: macro})
}

func (p *parser) stop() {
	p.stopped = true
	p.pos = len(p.src)
}

// block reads nodes up to one of the tags in o.until, which it returns with the parser standing behind its name.
func (p *parser) block(o opened) (body []Node, tag string) {
	p.open = append(p.open, o)
	defer func() { p.open = p.open[:len(p.open)-1] }()
	for p.pos < len(p.src) {
		body = p.text(body)
		if p.pos == len(p.src) {
			break
		}
		if p.limits.MaxNodes > 0 && p.out.Nodes >= p.limits.MaxNodes {
			p.fault(p.pos, TooLarge, fmt.Sprintf("more than %d macros, tags and texts", p.limits.MaxNodes), "")
			p.stop()
			break
		}
		var node Node
		switch p.src[p.pos : p.pos+2] {
		case "{{":
			node = p.output()
		case "[#":
			node = p.retail()
		default:
			var done bool
			if node, tag, done = p.tag(o); done {
				return body, tag
			}
		}
		if node != nil {
			p.out.Nodes++
			body = append(body, node)
		}
	}
	if o.name != "" && !p.stopped {
		p.fault(o.pos, Unclosed, o.name+" is not closed by end"+o.name, o.name)
	}
	return body, ""
}

// text appends what stands before the next macro or tag.
func (p *parser) text(body []Node) []Node {
	start := p.pos
	p.pos = p.nextOpening(start)
	s := p.src[start:p.pos]
	if p.trim {
		trimmed := strings.TrimLeftFunc(s, unicode.IsSpace)
		start += len(s) - len(trimmed)
		s, p.trim = trimmed, false
	}
	if p.pos+2 < len(p.src) && p.src[p.pos] == '{' && p.src[p.pos+2] == '-' {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	if s == "" {
		return body
	}
	p.out.Nodes++
	t := p.texts.next()
	t.Pos, t.Text = Pos(start), s
	return append(body, t)
}

// nextOpening finds the next {{, {% or [# with a letter.
func (p *parser) nextOpening(from int) int {
	for i := p.nextBracket(from); i < len(p.src)-1; i = p.nextBracket(i + 1) {
		switch c := p.src[i+1]; {
		case p.src[i] == '{' && (c == '{' || c == '%'), p.src[i] == '[' && c == '#' && p.opensRetail(i+2):
			return i
		}
	}
	return len(p.src)
}

// nextBracket finds the next { or [. It remembers where the next of either stands, so that each is looked for once.
func (p *parser) nextBracket(from int) int {
	if p.curly < from {
		p.curly = p.index('{', from)
	}
	if p.square < from {
		p.square = p.index('[', from)
	}
	return min(p.curly, p.square)
}

func (p *parser) index(c byte, from int) int {
	if i := strings.IndexByte(p.src[min(from, len(p.src)):], c); i >= 0 {
		return from + i
	}
	return len(p.src)
}

func (p *parser) opensRetail(i int) bool {
	r, w := p.char(i)
	for w > 0 && r != '\n' && unicode.IsSpace(r) {
		i += w
		r, w = p.char(i)
	}
	return unicode.IsLetter(r)
}

// begin reads the opening delimiter, and the first token after it.
func (p *parser) begin(closing string) {
	p.opened, p.closing = p.pos, closing
	p.pos += 2
	if p.pos < len(p.src) && p.src[p.pos] == '-' {
		p.pos++
	}
	p.advance()
}

// finish expects the closing delimiter. After anything else it reports once and skips to where the macro ends.
func (p *parser) finish() bool {
	if p.tok.kind == closer {
		p.trim = p.tok.text == "-"
		return true
	}
	macro := p.macroText()
	switch p.tok.kind {
	case end:
		p.fault(p.opened, Unclosed, fmt.Sprintf("%s is not closed by %s", p.src[p.opened:p.opened+2], p.closing), macro)
		return false
	case bad:
		if n := len(p.out.Faults); n > 0 && p.out.Faults[n-1].Macro == "" {
			p.out.Faults[n-1].Macro = macro
		}
	default:
		p.fault(p.tok.pos, Unexpected, "unexpected "+p.src[p.tok.pos:p.pos], macro)
	}
	p.skip()
	return false
}

// skip goes behind the closing delimiter of a macro that could not be read, or to the next macro if that comes first.
func (p *parser) skip() {
	if p.stopped {
		return
	}
	i := strings.Index(p.src[p.pos:], p.closing)
	next := p.nextOpening(p.pos)
	if i >= 0 && p.pos+i <= next {
		p.trim = p.src[p.pos+max(i-1, 0)] == '-'
		p.pos += i + len(p.closing)
		return
	}
	p.pos = next
}

// macroText is the macro being read, for messages: up to its end, at most as long as people read.
func (p *parser) macroText() string {
	s := p.src[p.opened+2:]
	s = s[:min(len(s), 2*longestMacro)]
	if i := strings.Index(s, p.closing); i >= 0 {
		s = s[:i]
	}
	s, _, _ = strings.Cut(strings.TrimSpace(strings.Trim(s, "-")), "\n")
	if len(s) > longestMacro {
		s = strings.ToValidUTF8(s[:longestMacro], "") + "…"
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, ""))
}

// longestMacro is how many bytes of a macro messages show.
const longestMacro = 120

func (p *parser) output() Node {
	p.begin("}}")
	out := p.outputs.next()
	out.Pos = Pos(p.opened)
	ok := p.chain(&out.Chain)
	inside := p.src[p.opened+2 : p.tok.pos]
	if !p.finish() || !ok {
		return nil
	}
	if out.Macro = strings.TrimSpace(strings.TrimPrefix(inside, "-")); len(out.Macro) > longestMacro {
		out.Macro = p.macroText()
	}
	return out
}

// retail reads [#Path|fallback#]. It ends on its line.
func (p *parser) retail() Node {
	start := p.pos
	line := p.src[start+2:]
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	inside, _, closed := strings.Cut(line, "#]")
	if i := strings.Index(inside, "[#"); i >= 0 {
		inside, closed = inside[:i], false
	}
	if !closed {
		p.opened, p.closing = start, "#]"
		p.fault(start, Unclosed, "[# is not closed by #] on its line", p.macroText())
		p.pos = start + 2
		return nil
	}
	p.pos = start + 2 + len(inside) + 2
	out := &Output{Pos: Pos(start), Retail: true}
	if p.html {
		inside = decode(inside)
	}
	out.Macro = strings.TrimSpace(inside)
	path, fallback, has := strings.Cut(inside, "|")
	out.Fallback, out.HasFallback = strings.TrimSpace(fallback), has
	steps, ok := p.retailPath(start, path, out.Macro)
	if !ok {
		return nil
	}
	out.Expr = &Path{Pos: Pos(start), Steps: steps}
	return out
}

func decode(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '&' {
			b.WriteByte(s[i])
			i++
			continue
		}
		r, w := entity(s[i:])
		b.WriteRune(r)
		i += w
	}
	return b.String()
}

func (p *parser) retailPath(pos int, path, macro string) (steps []Step, ok bool) {
	for segment := range strings.SplitSeq(path, ".") {
		segment = strings.TrimSpace(segment)
		switch bad := strings.IndexFunc(segment, func(r rune) bool { return !isNamePart(r) && !unicode.IsSpace(r) }); {
		case segment == "":
			p.fault(pos, BadName, "a name is missing beside the dot", macro)
			return nil, false
		case bad >= 0 && segment[bad] == '<':
			p.fault(pos, Markup, "markup inside of the macro; take it out, or write the macro anew without formatting", macro)
			return nil, false
		case bad >= 0:
			p.fault(pos, BadName, fmt.Sprintf("a name cannot contain %q", []rune(segment[bad:])[0]), macro)
			return nil, false
		}
		if r, _ := utf8.DecodeRuneInString(segment); !unicode.IsLetter(r) {
			p.fault(pos, BadName, "a name begins with a letter", macro)
			return nil, false
		}
		steps = append(steps, Step{Name: segment})
	}
	return steps, true
}

// tag reads a tag. If the block being read is done with it, that is said instead of a node, with the name of the tag
// unless it belongs to a block further out, which then reads it again.
func (p *parser) tag(o opened) (node Node, end string, done bool) {
	start := p.pos
	if p.comment() {
		return nil, "", false
	}
	p.begin("%}")
	if p.tok.kind != name {
		if p.tok.kind == closer {
			p.fault(start, Unexpected, "the tag has no name", "")
			p.trim = p.tok.text == "-"
			return nil, "", false
		}
		p.finish()
		return nil, "", false
	}
	word := p.tok.text
	if slices.Contains(o.until, word) {
		p.advance()
		return nil, word, true
	}
	if p.closesOuter(word) {
		p.fault(o.pos, Unclosed, fmt.Sprintf("%s is not closed by end%s before %s", o.name, o.name, word), o.name)
		p.pos = start
		return nil, "", true
	}
	read := p.reader(word)
	if read == nil {
		p.unknownTag(word)
		return nil, "", false
	}
	if len(p.open) > p.limits.MaxDepth && isBlock(word) {
		p.fault(start, Nesting, fmt.Sprintf("tags are nested deeper than %d", p.limits.MaxDepth), word)
		p.stop()
		return nil, "", false
	}
	p.advance()
	return read(Pos(start)), "", false
}

// closesOuter reports whether a tag ends a block around the one being read.
func (p *parser) closesOuter(word string) bool {
	if !strings.HasPrefix(word, "end") {
		return false
	}
	for _, o := range p.open[:len(p.open)-1] {
		if word == "end"+o.name {
			return true
		}
	}
	return false
}

func (p *parser) unknownTag(word string) {
	all := []string{
		"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase", "for", "endfor", "break", "continue",
		"cycle", "assign", "capture", "endcapture", "raw", "endraw", "comment", "endcomment", "include",
	}
	message := word + " is not known"
	if slices.Contains(all, word) {
		message = word + " belongs to no open tag"
	} else if near := names.Nearest(word, all); near != "" {
		message += "; did you mean " + near + "?"
	}
	p.fault(p.tok.pos, UnknownTag, message, p.macroText())
	p.skip()
}

// comment skips {% # … %}.
func (p *parser) comment() bool {
	rest := p.src[p.pos+2:]
	body := strings.TrimLeftFunc(strings.TrimPrefix(rest, "-"), unicode.IsSpace)
	if !strings.HasPrefix(body, "#") {
		return false
	}
	inside, _, closed := strings.Cut(rest, "%}")
	if !closed {
		p.fault(p.pos, Unclosed, "{% is not closed by %}", "#")
		p.stop()
		return true
	}
	p.trim = strings.HasSuffix(inside, "-")
	p.pos += 2 + len(inside) + 2
	return true
}
