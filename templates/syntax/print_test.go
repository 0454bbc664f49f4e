package syntax_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates/syntax"
)

// printer writes a tree as source again, in one way for each node: what it prints and what it was printed from are the
// same template.
type printer struct{ strings.Builder }

func source(nodes []syntax.Node) string {
	var p printer
	p.body(nodes)
	return p.String()
}

func (p *printer) body(nodes []syntax.Node) {
	for _, n := range nodes {
		p.node(n)
	}
}

func (p *printer) tag(words ...string) { p.WriteString("{% " + strings.Join(words, " ") + " %}") }

func (p *printer) node(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Text:
		if strings.Contains(n.Text, "{{") || strings.Contains(n.Text, "{%") || strings.Contains(n.Text, "[#") || strings.HasSuffix(n.Text, "{") || strings.HasSuffix(n.Text, "[") {
			p.WriteString("{% raw %}" + n.Text + "{% endraw %}")
			return
		}
		p.WriteString(n.Text)
	case *syntax.Output:
		if n.Retail {
			p.retail(n)
			return
		}
		p.WriteString("{{ " + chain(n.Chain) + " }}")
	case *syntax.If:
		p.conditional(n)
	case *syntax.Case:
		p.tag("case", expr(n.Value))
		for _, w := range n.Whens {
			p.tag("when", exprs(w.Values))
			p.body(w.Body)
		}
		p.otherwise(n.Else)
		p.tag("endcase")
	case *syntax.For:
		p.loop(n)
	case *syntax.Jump:
		p.tag(map[bool]string{true: "break", false: "continue"}[n.Break])
	case *syntax.Cycle:
		group := ""
		if n.Group != nil {
			group = expr(n.Group) + ":"
		}
		p.tag("cycle", group, exprs(n.Values))
	case *syntax.Assign:
		p.tag("assign", n.Name, "=", chain(n.Chain))
	case *syntax.Capture:
		p.tag("capture", n.Name)
		p.body(n.Body)
		p.tag("endcapture")
	case *syntax.Include:
		words := []string{"include", quoted(n.Name)}
		for _, a := range n.Args {
			words = append(words, a.Name+":", expr(a.Value))
		}
		p.tag(words...)
	}
}

func (p *printer) retail(n *syntax.Output) {
	p.WriteString("[#")
	for i, s := range n.Expr.(*syntax.Path).Steps {
		if i > 0 {
			p.WriteString(".")
		}
		p.WriteString(s.Name)
	}
	if n.HasFallback {
		p.WriteString("|" + n.Fallback)
	}
	p.WriteString("#]")
}

func (p *printer) conditional(n *syntax.If) {
	name := "if"
	if n.Branches[0].Negate {
		name = "unless"
	}
	for i, b := range n.Branches {
		switch {
		case i == 0:
			p.tag(name, expr(b.Cond))
		case b.Cond == nil:
			p.tag("else")
		default:
			p.tag("elsif", expr(b.Cond))
		}
		p.body(b.Body)
	}
	p.tag("end" + name)
}

func (p *printer) loop(n *syntax.For) {
	words := []string{"for", n.Name, "in", expr(n.In)}
	if n.Limit != nil {
		words = append(words, "limit:", expr(n.Limit))
	}
	if n.Offset != nil {
		words = append(words, "offset:", expr(n.Offset))
	}
	if n.Reversed {
		words = append(words, "reversed")
	}
	p.tag(words...)
	p.body(n.Body)
	p.otherwise(n.Else)
	p.tag("endfor")
}

func (p *printer) otherwise(body []syntax.Node) {
	if len(body) > 0 {
		p.tag("else")
		p.body(body)
	}
}

func chain(c syntax.Chain) string {
	s := expr(c.Expr)
	for _, f := range c.Filters {
		s += " | " + f.Name
		for i, a := range f.Args {
			s += map[bool]string{true: ": ", false: ", "}[i == 0]
			if a.Name != "" {
				s += a.Name + ": "
			}
			s += expr(a.Value)
		}
	}
	return s
}

func exprs(list []syntax.Expr) string {
	all := make([]string, len(list))
	for i, x := range list {
		all[i] = expr(x)
	}
	return strings.Join(all, ", ")
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func expr(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.String:
		return quoted(x.Text)
	case *syntax.Number:
		return x.Text
	case *syntax.Word:
		return x.Text
	case *syntax.Path:
		s := x.Steps[0].Name
		for _, step := range x.Steps[1:] {
			if step.Index != nil {
				s += "[" + expr(step.Index) + "]"
			} else {
				s += " . " + step.Name
			}
		}
		return s
	case *syntax.Range:
		return "(" + expr(x.From) + " .. " + expr(x.To) + ")"
	case *syntax.Compare:
		return inner(x.Left) + " " + x.Op + " " + inner(x.Right)
	case *syntax.Logic:
		word := map[bool]string{true: " and ", false: " or "}[x.And]
		all := make([]string, len(x.Terms))
		for i, t := range x.Terms {
			all[i] = inner(t)
		}
		return strings.Join(all, word)
	}
	return ""
}

// inner puts what would not stand alone into parentheses.
func inner(x syntax.Expr) string {
	switch x.(type) {
	case *syntax.Compare, *syntax.Logic:
		return "(" + expr(x) + ")"
	}
	return expr(x)
}

// FuzzParse_PrintedIsTheSame: a source that has no fault, printed from its tree, is read as the same tree.
func FuzzParse_PrintedIsTheSame(f *testing.F) {
	for _, s := range []string{
		"a {{ b | c: 1, d: \"e\" }} [# F . G | h #]", "{% if a == 1 and (b or c > 2) %}x{% elsif d %}y{% else %}z{% endif %}",
		"{% unless a %}b{% endunless %}{% raw %}{{{% endraw %}", "{% for i in (1..n) limit: 2 reversed %}{% break %}{% else %}e{% endfor %}",
		"{% case x %}{% when 1, \"a\\\"b\" %}c{% endcase %}{% cycle g: 1, 2 %}{% capture q %}w{% endcapture %}",
		"{% include 's' a: b[0].c, d: -1.5 %}{% assign x = nil | default: blank %}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree := syntax.Parse(text, options(false))
		if len(tree.Faults) > 0 {
			return
		}
		printed := source(tree.Body)
		again := syntax.Parse(printed, syntax.Options{MaxDepth: 40})
		require.Empty(t, again.Faults, printed)
		require.Equal(t, printed, source(again.Body))
	})
}
