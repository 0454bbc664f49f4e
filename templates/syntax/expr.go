package syntax

import "fmt"

// expected reports what should stand where the current token stands, unless the token was reported already.
func (p *parser) expected(what string) {
	if p.tok.kind == bad || p.tok.kind == end {
		return
	}
	p.fault(p.tok.pos, Unexpected, "expected "+what, p.macroText())
	if p.tok.kind != closer {
		p.tok.kind = bad
	}
}

// chain reads an expression and its filters. It is false when that failed.
func (p *parser) chain(c *Chain) bool {
	c.Expr = p.primary(0)
	for p.tok.is("|") {
		p.advance()
		if p.tok.kind != name {
			p.expected("the name of a filter after |")
			return false
		}
		f := Filter{Pos: Pos(p.tok.pos), Name: p.tok.text}
		p.advance()
		if p.tok.is(":") {
			p.advance()
			f.Args = p.args()
		}
		c.Filters = append(c.Filters, f)
	}
	return c.Expr != nil
}

func (p *parser) args() (args []Arg) {
	for {
		arg := Arg{Pos: Pos(p.tok.pos)}
		arg.Value = p.primary(0)
		if path, ok := arg.Value.(*Path); ok && p.tok.is(":") && len(path.Steps) == 1 {
			p.advance()
			arg.Name, arg.Value = path.Steps[0].Name, p.primary(0)
		}
		args = append(args, arg)
		if !p.tok.is(",") {
			return args
		}
		p.advance()
	}
}

// cond reads comparisons joined by and, or by or.
func (p *parser) cond(depth int) Expr {
	first := p.comparison(depth)
	if !p.tok.word("and") && !p.tok.word("or") {
		return first
	}
	word := p.tok.text
	logic := &Logic{Pos: Pos(p.tok.pos), And: word == "and", Terms: []Expr{first}}
	for p.tok.word("and") || p.tok.word("or") {
		if p.tok.text != word {
			p.fault(p.tok.pos, MixedLogic, "and stands beside or; put parentheses around what belongs together", p.macroText())
			p.tok.kind = bad
			return logic
		}
		p.advance()
		logic.Terms = append(logic.Terms, p.comparison(depth))
	}
	return logic
}

func (p *parser) comparison(depth int) Expr {
	left := p.primary(depth)
	op := ""
	switch {
	case p.tok.word("contains"):
		op = "contains"
	case p.tok.kind == sign:
		switch p.tok.text {
		case "==", "!=", "<", ">", "<=", ">=":
			op = p.tok.text
		case "=":
			p.fault(p.tok.pos, Unexpected, "= compares nothing; write ==", p.macroText())
			p.tok.kind = bad
			return left
		}
	}
	if op == "" {
		return left
	}
	node := &Compare{Pos: Pos(p.tok.pos), Op: op, Left: left}
	p.advance()
	node.Right = p.primary(depth)
	return node
}

// primary reads a literal, a variable, a condition in parentheses or a range. It is nil when none stands here.
func (p *parser) primary(depth int) Expr {
	at := Pos(p.tok.pos)
	word := p.tok.text
	switch p.tok.kind {
	case text:
		p.advance()
		return &String{at, word}
	case number:
		p.advance()
		return &Number{at, word}
	case name:
		switch word {
		case "true", "false", "nil", "null", "blank", "empty":
			p.advance()
			return &Word{at, word}
		}
		return p.path(depth)
	default:
	}
	if !p.tok.is("(") {
		p.expected("a value")
		return nil
	}
	if depth == p.limits.MaxDepth {
		p.fault(at.At(), Nesting, fmt.Sprintf("parentheses and brackets are nested deeper than %d", p.limits.MaxDepth), p.macroText())
		p.stop()
		p.tok.kind = bad
		return nil
	}
	p.advance()
	inner := p.cond(depth + 1)
	if p.tok.is("..") {
		p.advance()
		inner = &Range{at, inner, p.primary(depth + 1)}
	}
	if !p.tok.is(")") {
		p.expected("a closing parenthesis")
		return inner
	}
	p.advance()
	return inner
}

// firstStep begins the steps of a path, with room for the second that most have.
func (p *parser) firstStep(name string) []Step {
	const room, group = 2, 8
	if len(p.steps) < room {
		p.steps = make([]Step, group)
	}
	steps := p.steps[:1:room]
	p.steps = p.steps[room:]
	steps[0].Name = name
	return steps
}

func (p *parser) path(depth int) Expr {
	path := p.paths.next()
	path.Pos, path.Steps = Pos(p.tok.pos), p.firstStep(p.tok.text)
	p.advance()
	for {
		switch {
		case p.tok.is("."):
			p.advance()
			if p.tok.kind != name {
				p.expected("a name after the dot")
				return path
			}
			path.Steps = append(path.Steps, Step{Name: p.tok.text})
			p.advance()
		case p.tok.is("["):
			if depth == p.limits.MaxDepth {
				p.fault(p.tok.pos, Nesting, "brackets are nested too deep", p.macroText())
				p.stop()
				p.tok.kind = bad
				return path
			}
			p.advance()
			path.Steps = append(path.Steps, Step{Index: p.primary(depth + 1)})
			if !p.tok.is("]") {
				p.expected("a closing bracket")
				return path
			}
			p.advance()
		default:
			return path
		}
	}
}
