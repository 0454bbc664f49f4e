package syntax

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	end    kind = iota // the source or the macro is over without its closing delimiter
	closer             // }} or %}
	name
	text
	number
	sign // an operator or punctuation
	bad  // reported already
)

// token is a word inside of {{ }} or {% %}. The text of a closer is "-" if it trims.
type token struct {
	kind kind
	text string
	pos  int
}

func (t token) is(s string) bool { return t.kind == sign && t.text == s }

func (t token) word(w string) bool { return t.kind == name && t.text == w }

// char returns the character at i with its width in the source. In HTML an entity counts as its character.
func (p *parser) char(i int) (rune, int) {
	if i >= len(p.src) {
		return -1, 0
	}
	c := p.src[i]
	switch {
	case c == '&' && p.html:
		return entity(p.src[i:])
	case c < utf8.RuneSelf:
		return rune(c), 1
	}
	return utf8.DecodeRuneInString(p.src[i:])
}

// entity decodes the entities that editors put into macros.
func entity(s string) (rune, int) {
	for _, e := range [...]struct {
		name string
		r    rune
	}{
		{"&quot;", '"'},
		{"&#34;", '"'},
		{"&#39;", '\''},
		{"&apos;", '\''},
		{"&lt;", '<'},
		{"&gt;", '>'},
		{"&amp;", '&'},
		{"&nbsp;", '\u00a0'},
		{"&#160;", '\u00a0'},
		{"&shy;", '\u00ad'},
		{"&laquo;", '«'},
		{"&raquo;", '»'},
		{"&ldquo;", '“'},
		{"&rdquo;", '”'},
	} {
		if strings.HasPrefix(s, e.name) {
			return e.r, len(e.name)
		}
	}
	return '&', 1
}

// advance reads the next token into p.tok.
func (p *parser) advance() {
	r, width := p.char(p.pos)
	for r >= 0 && (r == ' ' || r == '\n' || r > ' ' && unicode.IsSpace(r) || r == '\t' || r == '\r') {
		p.pos += width
		r, width = p.char(p.pos)
	}
	p.tok = token{pos: p.pos}
	switch {
	case r < 0:
	case p.closes(r):
	case isNameStart(r):
		p.tok.kind, p.tok.text = name, p.name()
	case r == '"' || r == '\'':
		p.string(r, width)
	case isDigit(r), r == '-' && isDigitAt(p.src, p.pos+1):
		p.number()
	default:
		p.sign(r, width)
	}
}

// closes takes the closing delimiter of the macro that is being read, with its dash.
func (p *parser) closes(r rune) bool {
	if r != '-' && r != rune(p.closing[0]) {
		return false
	}
	rest, dash := p.src[p.pos:], ""
	if r == '-' {
		rest, dash = rest[1:], "-"
	}
	if !strings.HasPrefix(rest, p.closing) {
		return false
	}
	p.tok.kind, p.tok.text = closer, dash
	p.pos += len(dash) + len(p.closing)
	return true
}

func isNameStart(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r >= utf8.RuneSelf && unicode.IsLetter(r)
}

// isNamePart also takes marks, because pasted names come decomposed, and soft hyphens, which are dropped later.
func isNamePart(r rune) bool {
	return isNameStart(r) || isDigit(r) || r == '-' ||
		r >= utf8.RuneSelf && (unicode.IsDigit(r) || unicode.Is(unicode.M, r) || r == '\u00ad')
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isDigitAt(s string, i int) bool { return i < len(s) && isDigit(rune(s[i])) }

func (p *parser) name() string {
	start := p.pos
	for {
		r, width := p.char(p.pos)
		if !isNamePart(r) || r == '-' && strings.HasPrefix(p.src[p.pos+1:], p.closing) {
			break
		}
		p.pos += width
	}
	s := p.src[start:p.pos]
	if p.html && strings.Contains(s, "&shy;") {
		s = strings.ReplaceAll(s, "&shy;", "")
	}
	return s
}

// string reads a text in quotes. It ends with the kind of quote it began with, written the same way: a " does not end
// what &quot; began.
func (p *parser) string(quote rune, width int) {
	start := p.pos
	p.pos += width
	from := p.pos
	var built []byte
	for {
		r, w := p.char(p.pos)
		switch {
		case r < 0:
			p.fault(start, Unclosed, "the text is not closed by its quote", "")
			p.pos = start + width
			p.tok.kind = bad
			return
		case r == quote && w == width:
			p.tok.kind, p.tok.text = text, p.src[from:p.pos]
			if built != nil {
				p.tok.text = string(append(built, p.tok.text...))
			}
			p.pos += w
			return
		}
		decoded := w > 1 && p.src[p.pos] == '&'
		if r == '\\' {
			if e, ew := p.escaped(p.pos + w); ew > 0 {
				r, w, decoded = e, w+ew, true
			}
		}
		if decoded {
			built = append(built, p.src[from:p.pos]...)
			built = utf8.AppendRune(built, r)
			from = p.pos + w
		}
		p.pos += w
	}
}

// escaped reads what stands after a backslash: a quote, a backslash or n. Other backslashes stand for themselves.
func (p *parser) escaped(i int) (rune, int) {
	r, w := p.char(i)
	switch r {
	case '"', '\'', '\\':
		return r, w
	case 'n':
		return '\n', w
	}
	return 0, 0
}

// sign reads an operator of one or two characters.
func (p *parser) sign(r rune, width int) {
	next, nextWidth := p.char(p.pos + width)
	two := pair(r, next)
	switch {
	case two != "":
		p.tok.kind, p.tok.text = sign, two
		p.pos += width + nextWidth
		return
	case r == '{' && (next == '{' || next == '%'):
		p.tok.kind = end // the macro was never closed; another begins
		return
	case p.html && r == '<' && (next == '/' || p.closing == "}}"):
		p.fault(p.pos, Markup, "markup inside of the macro; take it out, or write the macro anew without formatting", "")
	case r < utf8.RuneSelf && strings.ContainsRune(".,:|()[]<>=", r):
		p.tok.kind, p.tok.text = sign, string(r) // one byte: no memory
		p.pos += width
		return
	case strings.ContainsRune("“”„«»‘’‚", r):
		p.fault(p.pos, CurlyQuote, `the quote `+string(r)+` is typographic; write " instead`, "")
	default:
		p.fault(p.pos, Unexpected, "unexpected "+printable(r), "")
	}
	p.tok.kind = bad
}

// pair returns the operator of two characters, "" if they are none.
func pair(a, b rune) string {
	for _, op := range [...]string{"==", "!=", "<=", ">=", ".."} {
		if a == rune(op[0]) && b == rune(op[1]) {
			return op
		}
	}
	return ""
}

func printable(r rune) string {
	if unicode.IsPrint(r) {
		return string(r)
	}
	return "invisible character"
}

func (p *parser) number() {
	start := p.pos
	p.pos++
	for isDigitAt(p.src, p.pos) {
		p.pos++
	}
	if p.pos < len(p.src) && p.src[p.pos] == '.' && isDigitAt(p.src, p.pos+1) {
		p.pos++
		for isDigitAt(p.src, p.pos) {
			p.pos++
		}
	}
	p.tok.kind, p.tok.text = number, p.src[start:p.pos]
}
