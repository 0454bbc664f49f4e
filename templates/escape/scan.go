package escape

import (
	"strings"
)

// Scanner follows the literals of an HTML part and tells what place comes next. It keeps to what HTML says about tags,
// attributes, comments and raw text, as far as places depend on it; it builds no tree and changes no byte.
type Scanner struct {
	State
	// URLs are the values of attributes that hold a url, in order.
	URLs []URL
	// Tags are the elements that mail programs refuse, in order: script, form and the like.
	Tags []Tag
}

// URL is the value of an attribute that holds a url.
type URL struct {
	Tag, Attr string
	// At is where the value begins in the source, or where a value's first literal does.
	At int
	// Literal is the value as far as it is literal; Macros says that it is not all.
	Literal string
	Macros  bool
}

// Tag is an element that is not allowed.
type Tag struct {
	Name string
	At   int
}

// context is where in HTML the scanner stands.
type context uint8

const (
	inText     context = iota
	inTagOpen          // after <
	inTagName          // <di
	inTag              // between attributes
	inName             // in the name of an attribute
	afterName          // after it, before =
	afterEqual         // before the value
	inValue            // in a quoted value
	inUnquoted         // in a value without quotes
	inMarkup           // after <!, until it is known what it is
	inComment          // until -->
	inSkipped          // until >
	inRaw              // in script, style, title, textarea and the like
)

// urlState is how far a url has come.
type urlState uint8

const (
	urlStart urlState = iota
	urlHost
	urlPath
	urlQuery
	urlFragment
)

// State is where a scanner stands. States compare with ==.
type State struct {
	ctx   context
	quote byte
	// tag is the element, or what follows <! as far as it matters; attr the attribute; raw the element of raw text.
	tag, attr, raw string
	closing        bool // an end tag
	url            urlState
	slashes        uint8
	// open is one more than the index of the url being read, 0 outside of urls.
	open int
	// cssURL: in parentheses of a style.
	cssURL bool
	// begun: the first text of the comment was looked at.
	begun bool
	// plainURL: the whole part is a url, without HTML.
	plainURL bool
}

// URLPart returns a scanner for a part that is nothing but a url.
func URLPart() *Scanner {
	s := &Scanner{State: State{ctx: inValue, attr: "href", plainURL: true, open: 1}}
	s.URLs = []URL{{}}
	return s
}

// Merge returns the state after two ways through a template that end in a and b. It is false when they end in different
// places, so that nobody can say what comes next.
func Merge(a, b State) (State, bool) {
	if a == b {
		return a, true
	}
	if a.inTag() && b.inTag() && a.tag == b.tag && a.closing == b.closing {
		return State{ctx: inTag, tag: a.tag, closing: a.closing}, true
	}
	x, y := a, b
	x.url, y.url, x.slashes, y.slashes, x.cssURL, y.cssURL = 0, 0, 0, 0, false, false
	if a.ctx != inValue || x != y {
		return a, false
	}
	// The strictest way of writing: it is right for all of them.
	a.url, a.cssURL = urlQuery, a.cssURL || b.cssURL
	return a, true
}

// inTag: a place in a tag where an attribute, or the end of the tag, may come.
func (s State) inTag() bool {
	return s.ctx == inTagName || s.ctx == inTag || s.ctx == inName || s.ctx == afterName
}

// Text reports whether the scanner stands between tags.
func (s State) Text() bool { return s.ctx == inText || s.plainURL }

// Describe says where the scanner stands, for messages.
func (s State) Describe() string {
	switch s.ctx {
	case inText:
		return "between tags"
	case inTagOpen, inTagName:
		return "in the name of a tag"
	case inTag, inName, afterName:
		return "in a tag outside of a quoted value"
	case afterEqual, inUnquoted:
		return "in an attribute without quotes"
	case inValue:
		return "in the attribute " + s.attr
	case inMarkup, inComment, inSkipped:
		return "in a comment"
	case inRaw:
		return "in " + s.raw
	}
	return "in HTML"
}

// Output returns the place of a value that is printed here, and goes on behind it.
func (s *Scanner) Output() Place {
	switch s.ctx {
	case inText:
		return HTMLText
	case inRaw:
		switch s.raw {
		case "style":
			return Style
		case "title", "textarea":
			return HTMLText
		}
		return Forbidden
	case inValue:
		return s.attribute()
	default:
		return Forbidden
	}
}

func (s *Scanner) attribute() Place {
	switch attrKind(s.tag, s.attr) {
	case attrForbidden:
		return Forbidden
	case attrStyle:
		if s.cssURL {
			return Forbidden
		}
		return Style
	case attrURL:
		return s.urlPlace()
	default:
		return HTMLAttr
	}
}

func (s *Scanner) urlPlace() Place {
	if s.open > 0 {
		s.URLs[s.open-1].Macros = true
	}
	switch s.url {
	case urlStart:
		s.url = urlPath
		return URLWhole
	case urlQuery:
		return URLQuery
	case urlFragment:
		return URLFragment
	default:
		return URLPath
	}
}

// InHost reports whether the scanner stands in the host of a web address, which must be literal.
func (s State) InHost() bool { return s.url == urlHost && s.slashes == 2 }

// Literal reads text of the template that begins at the offset at of its source.
func (s *Scanner) Literal(text string, at int) {
	for i := 0; i < len(text); {
		switch s.ctx {
		case inText:
			n := strings.IndexByte(text[i:], '<')
			if n < 0 {
				return
			}
			i += n + 1
			s.ctx = inTagOpen
		case inValue:
			i += s.value(text[i:], at+i)
		case inRaw:
			i += s.rawText(text[i:])
		case inComment:
			i += s.comment(text[i:])
		case inTagName:
			i += s.tagName(text[i:], at+i)
		case inName:
			i += s.name(text[i:])
		default:
			i += s.byte(text[i], at+i)
		}
	}
}

// value reads up to the closing quote and returns how much that was.
func (s *Scanner) value(text string, at int) int {
	n := -1
	if !s.plainURL {
		n = strings.IndexByte(text, s.quote)
	}
	inside := text
	if n >= 0 {
		inside = text[:n]
	}
	switch attrKind(s.tag, s.attr) {
	case attrURL:
		s.urlLiteral(inside, at)
	case attrStyle:
		s.style(inside)
	default:
	}
	if n < 0 {
		return len(text)
	}
	s.State = State{ctx: inTag, tag: s.tag, closing: s.closing}
	return n + 1
}

func (s *Scanner) urlLiteral(text string, at int) {
	if s.open > 0 {
		u := &s.URLs[s.open-1]
		if u.Literal == "" && !u.Macros {
			u.At = at
		}
		u.Literal += text
	}
	for i := range len(text) {
		switch c := text[i]; {
		case s.url == urlStart && isSpace(c):
			continue
		case c == '#' && (i == 0 || text[i-1] != '&'):
			s.url = urlFragment
		case c == '?' && s.url < urlQuery:
			s.url = urlQuery
		case c == '/' && s.url <= urlHost:
			s.url = urlHost
			if s.slashes++; s.slashes > 2 {
				s.url = urlPath
			}
		case s.url == urlStart:
			s.url = urlHost
		}
	}
}

// style notices whether a value would stand in parentheses, such as those of url(), whose content nobody can judge.
func (s *Scanner) style(text string) {
	opened, closed := strings.LastIndexByte(text, '('), strings.LastIndexByte(text, ')')
	switch {
	case opened > closed:
		s.cssURL = true
	case closed >= 0:
		s.cssURL = false
	}
}

func (s *Scanner) rawText(text string) int {
	end := "</" + s.raw
	for i := 0; ; i++ {
		n := strings.Index(text[i:], "</")
		if n < 0 {
			return len(text)
		}
		i += n
		if len(text)-i >= len(end) && strings.EqualFold(text[i:i+len(end)], end) {
			s.State = State{ctx: inTag, tag: s.raw, closing: true}
			return i + len(end)
		}
	}
}

// comment looks for -->, and treats <!--[if …]> as what mail programs make of it: markup that is read.
func (s *Scanner) comment(text string) int {
	if !s.begun {
		s.begun = true
		switch rest := strings.TrimLeft(text, " "); {
		case strings.HasPrefix(rest, "[if"):
			s.State = State{ctx: inSkipped}
			return 0
		case strings.HasPrefix(text, ">"):
			s.State = State{}
			return 1
		}
	}
	n := strings.Index(text, "-->")
	if n < 0 {
		return len(text)
	}
	s.State = State{}
	return n + len("-->")
}

// word returns how long the name at the beginning of text is.
func word(text string) int {
	for i := range len(text) {
		if c := text[i]; isSpace(c) || c == '/' || c == '>' || c == '=' {
			return i
		}
	}
	return len(text)
}

func (s *Scanner) tagName(text string, at int) int {
	n := word(text)
	s.tag += strings.ToLower(text[:n])
	if n == len(text) {
		return n
	}
	s.named(at + n)
	s.ctx = inTag
	return n
}

func (s *Scanner) name(text string) int {
	n := word(text)
	s.attr += strings.ToLower(text[:n])
	if n < len(text) {
		s.ctx = afterName
	}
	return n
}

// byte reads one byte inside of a tag and returns how much of it is consumed: nothing where a name begins.
func (s *Scanner) byte(c byte, at int) int {
	switch s.ctx {
	case inTagOpen:
		return s.tagOpen(c)
	case inTag:
		return s.between(c)
	case afterName:
		if c == '=' && s.attr != "" {
			s.ctx = afterEqual
			return 1
		}
		if !isSpace(c) {
			return s.between(c)
		}
	case afterEqual:
		return s.equal(c, at)
	case inUnquoted:
		if isSpace(c) || c == '>' {
			return s.between(c)
		}
	case inMarkup:
		s.markup(c)
	case inSkipped:
		if c == '>' {
			s.State = State{}
		}
	default:
	}
	return 1
}

func (s *Scanner) tagOpen(c byte) int {
	switch {
	case c == '!' || c == '?':
		s.State = State{ctx: inMarkup}
	case c == '/' && !s.closing:
		s.closing = true
	case isLetter(c):
		s.ctx = inTagName
		return 0
	case c == '<':
	default:
		s.State = State{} // a < that opens nothing
	}
	return 1
}

// markup decides what <! is: a comment after --, else a declaration.
func (s *Scanner) markup(c byte) {
	switch {
	case c == '-' && s.tag == "-":
		s.State = State{ctx: inComment}
	case c == '-' && s.tag == "":
		s.tag = "-"
	case c == '>':
		s.State = State{}
	default:
		s.State = State{ctx: inSkipped}
	}
}

// named notes the tag whose name is complete.
func (s *Scanner) named(at int) {
	if s.closing {
		return
	}
	switch s.tag {
	case "script", "form", "iframe", "object", "embed", "applet":
		s.Tags = append(s.Tags, Tag{Name: s.tag, At: at - len(s.tag) - 1})
	}
}

// between reads what stands between attributes. A = without a name before it makes an attribute that nobody knows.
func (s *Scanner) between(c byte) int {
	switch {
	case c == '>':
		tag, closing := s.tag, s.closing
		s.State = State{}
		if !closing && isRaw(tag) {
			s.ctx, s.raw = inRaw, tag
		}
	case isSpace(c), c == '/':
		s.ctx, s.attr = inTag, ""
	case c == '=':
		s.ctx, s.attr = afterEqual, "="
	default:
		s.ctx, s.attr = inName, ""
		return 0
	}
	return 1
}

func (s *Scanner) equal(c byte, at int) int {
	switch {
	case isSpace(c):
	case c == '>':
		return s.between(c)
	case c == '"' || c == '\'':
		s.ctx, s.quote = inValue, c
		if attrKind(s.tag, s.attr) == attrURL {
			s.URLs = append(s.URLs, URL{Tag: s.tag, Attr: s.attr, At: at + 1})
			s.open = len(s.URLs)
		}
	default:
		s.ctx = inUnquoted
	}
	return 1
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isRaw: elements whose content is not markup.
func isRaw(tag string) bool {
	switch tag {
	case "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes":
		return true
	}
	return false
}

type attrClass uint8

const (
	attrText attrClass = iota
	attrURL
	attrStyle
	attrForbidden
)

// attrKind tells how the value of an attribute is read by mail programs.
func attrKind(tag, attr string) attrClass {
	switch attr {
	case "href", "src", "action", "formaction", "background", "poster", "cite", "longdesc", "data", "xlink:href":
		return attrURL
	case "style":
		return attrStyle
	case "srcdoc", "srcset", "ping", "=", "":
		return attrForbidden
	case "content":
		if tag == "meta" {
			return attrForbidden
		}
	}
	if strings.HasPrefix(attr, "on") || strings.HasPrefix(attr, "=") {
		return attrForbidden
	}
	return attrText
}

// Repeats reports whether what begins at start and ends at end may run again from where it ended.
func Repeats(start, end State) bool {
	if start == end {
		return true
	}
	merged, ok := Merge(start, end)
	return ok && (start.inTag() || start.url != urlStart && merged.cssURL == start.cssURL)
}
