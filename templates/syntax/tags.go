package syntax

import (
	"regexp"
	"strings"
)

// reader returns the function that reads a tag whose name has been read, nil for tags that are not known.
func (p *parser) reader(tag string) func(Pos) Node {
	switch tag {
	case "if", "unless":
		return func(at Pos) Node { return p.ifTag(at, tag) }
	case "case":
		return p.caseTag
	case "for":
		return p.forTag
	case "break", "continue":
		return func(at Pos) Node { return p.jump(at, tag) }
	case "cycle":
		return p.cycle
	case "assign":
		return p.assign
	case "capture":
		return p.capture
	case "include":
		return p.include
	case "raw", "comment":
		return func(at Pos) Node { return p.verbatim(at, tag) }
	}
	return nil
}

func isBlock(tag string) bool {
	return tag == "if" || tag == "unless" || tag == "case" || tag == "for" || tag == "capture"
}

func (p *parser) ifTag(at Pos, tag string) Node {
	node := &If{Pos: at}
	branch := Branch{Pos: at, Negate: tag == "unless"}
	branch.Cond = p.cond(0)
	p.finish()
	until := []string{"elsif", "else", "end" + tag}
	for {
		body, end := p.block(opened{name: tag, pos: at.At(), until: until})
		branch.Body = body
		node.Branches = append(node.Branches, branch)
		switch branch = (Branch{Pos: Pos(p.opened)}); end {
		case "elsif":
			branch.Cond = p.cond(0)
			p.finish()
		case "else":
			p.finish()
			until = []string{"end" + tag}
		default:
			p.close(end)
			return node
		}
	}
}

// close reads the rest of the tag that ends a block. There is none if the source or an outer block ended it.
func (p *parser) close(tag string) {
	if tag != "" {
		p.finish()
	}
}

func (p *parser) caseTag(at Pos) Node {
	node := &Case{Pos: at, Value: p.primary(0)}
	p.finish()
	o := opened{name: "case", pos: at.At(), until: []string{"when", "else", "endcase"}}
	body, end := p.block(o)
	for _, n := range body {
		if t, ok := n.(*Text); !ok || strings.TrimSpace(t.Text) != "" {
			p.fault(n.At(), Unexpected, "nothing may stand between case and its first when", "case")
			break
		}
	}
	for end == "when" {
		when := When{Pos: Pos(p.opened), Values: []Expr{p.primary(0)}}
		for p.tok.is(",") || p.tok.word("or") {
			p.advance()
			when.Values = append(when.Values, p.primary(0))
		}
		p.finish()
		when.Body, end = p.block(o)
		node.Whens = append(node.Whens, when)
	}
	if end == "else" {
		p.finish()
		o.until = []string{"endcase"}
		node.Else, end = p.block(o)
	}
	p.close(end)
	return node
}

func (p *parser) forTag(at Pos) Node {
	node := &For{Pos: at}
	if p.tok.kind == name {
		node.Name = p.tok.text
		p.advance()
	} else {
		p.expected("the name of the loop's variable")
	}
	if p.tok.word("in") {
		p.advance()
	} else {
		p.expected("in")
	}
	node.In = p.primary(0)
	for p.tok.kind == name {
		switch word := p.tok.text; word {
		case "reversed":
			node.Reversed = true
			p.advance()
			continue
		case "limit", "offset":
			p.advance()
			if !p.tok.is(":") {
				p.expected("a colon after " + word)
			} else {
				p.advance()
			}
			value := p.primary(0)
			if word == "limit" {
				node.Limit = value
			} else {
				node.Offset = value
			}
			continue
		}
		break
	}
	p.finish()
	o := opened{name: "for", pos: at.At(), until: []string{"else", "endfor"}}
	p.loops++
	var end string
	node.Body, end = p.block(o)
	p.loops--
	if end == "else" {
		p.finish()
		o.until = []string{"endfor"}
		node.Else, end = p.block(o)
	}
	p.close(end)
	return node
}

func (p *parser) jump(at Pos, tag string) Node {
	if !p.finish() {
		return nil
	}
	if p.loops == 0 {
		p.fault(at.At(), Stray, tag+" is outside of a loop", tag)
		return nil
	}
	return &Jump{Pos: at, Break: tag == "break"}
}

func (p *parser) cycle(at Pos) Node {
	node := &Cycle{Pos: at}
	first := p.primary(0)
	if p.tok.is(":") {
		p.advance()
		node.Group = first
		first = p.primary(0)
	}
	node.Values = append(node.Values, first)
	for p.tok.is(",") {
		p.advance()
		node.Values = append(node.Values, p.primary(0))
	}
	if !p.finish() {
		return nil
	}
	return node
}

func (p *parser) assign(at Pos) Node {
	node := &Assign{Pos: at}
	if p.tok.kind != name {
		p.expected("the name to assign to")
	} else {
		node.Name = p.tok.text
		p.advance()
	}
	if !p.tok.is("=") {
		p.expected("=")
	} else {
		p.advance()
	}
	ok := p.chain(&node.Chain)
	if !p.finish() || !ok {
		return nil
	}
	return node
}

func (p *parser) capture(at Pos) Node {
	node := &Capture{Pos: at}
	if p.tok.kind != name && p.tok.kind != text {
		p.expected("the name to capture into")
	} else {
		node.Name = p.tok.text
		p.advance()
	}
	p.finish()
	var end string
	node.Body, end = p.block(opened{name: "capture", pos: at.At(), until: []string{"endcapture"}})
	p.close(end)
	return node
}

func (p *parser) include(at Pos) Node {
	node := &Include{Pos: at}
	if p.tok.kind != text {
		p.expected("the name of a snippet in quotes")
		p.finish()
		return nil
	}
	node.Name = p.tok.text
	p.advance()
	for p.tok.is(",") || p.tok.kind == name {
		if p.tok.is(",") {
			p.advance()
		}
		arg := Arg{Pos: Pos(p.tok.pos), Name: p.tok.text}
		if p.tok.kind != name {
			p.expected("the name of an argument")
			break
		}
		p.advance()
		if !p.tok.is(":") {
			p.expected("a colon after " + arg.Name)
			break
		}
		p.advance()
		arg.Value = p.primary(0)
		node.Args = append(node.Args, arg)
	}
	if !p.finish() {
		return nil
	}
	return node
}

// endings find the end of raw and comment, in which nothing else is read.
var (
	endRaw     = regexp.MustCompile(`\{%-?\s*endraw\s*-?%\}`)
	endComment = regexp.MustCompile(`\{%-?\s*endcomment\s*-?%\}`)
)

func (p *parser) verbatim(at Pos, tag string) Node {
	if !p.finish() {
		return nil
	}
	ending := endRaw
	if tag == "comment" {
		ending = endComment
	}
	start := p.pos
	m := ending.FindStringIndex(p.src[start:])
	if m == nil {
		p.fault(at.At(), Unclosed, tag+" is not closed by end"+tag, tag)
		p.stop()
		return nil
	}
	inside, delimiter := p.src[start:start+m[0]], p.src[start+m[0]:start+m[1]]
	if p.trim {
		inside = strings.TrimLeft(inside, " \t\r\n")
	}
	if strings.HasPrefix(delimiter, "{%-") {
		inside = strings.TrimRight(inside, " \t\r\n")
	}
	p.trim = strings.HasSuffix(delimiter, "-%}")
	p.pos = start + m[1]
	if tag == "comment" || inside == "" {
		return nil
	}
	return &Text{Pos: Pos(start), Text: inside}
}
