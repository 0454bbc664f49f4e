package templates_test

import (
	"errors"
	"fmt"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/osteele/liquid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/value"
)

// sharedData is what generated templates use, in values that both engines have.
func sharedData() map[string]any {
	return map[string]any{
		"name": "Ольга", "city": "Нижний Новгород", "markup": `<b>Tom & "Jerry"</b>`, "n": 7, "zero": 0, "minus": -3,
		"yes": true, "no": false, "list": []any{"b", "a", "c", "a"}, "nums": []any{3, 1, 2}, "none": []any{},
		"goods": []any{
			map[string]any{"title": "Шарф", "price": 1500, "sale": true}, map[string]any{"title": "Плащ", "price": 900, "sale": false},
		},
		"deep": map[string]any{"inner": map[string]any{"leaf": "лист"}},
	}
}

// generator prints random templates of the language that both engines share. The intended differences, which
// docs/templates.md lists, are left out: what is missing, mixed and/or, reversed with limit, blank, fractions, text in
// place of numbers, lists printed as a whole.
type generator struct {
	t             *rapid.T
	loops, cycles int
	vars          []string // texts that were assigned
}

func (g *generator) pick(what string, from ...string) string {
	return rapid.SampledFrom(from).Draw(g.t, what)
}

func (g *generator) body(depth int) string {
	var b strings.Builder
	for range rapid.IntRange(1, 4).Draw(g.t, "nodes") {
		b.WriteString(g.node(depth))
	}
	return b.String()
}

func (g *generator) node(depth int) string {
	kinds := []string{"text", "output", "output", "assign", "comment"}
	if depth > 0 {
		kinds = append(kinds, "if", "unless", "case", "for", "capture")
	}
	if g.loops > 0 {
		kinds = append(kinds, "forloop", "jump")
	}
	if g.loops == 1 { // there a cycle begins anew in every loop
		kinds = append(kinds, "cycle")
	}
	switch g.pick("kind", kinds...) {
	case "text":
		return g.pick("text", "a", " b ", "\n", "Привет, ", "}}", "%}", " < > & ", "#]")
	case "output":
		// Dashes stand beside text only: the other engine lets them act on whatever is printed next.
		dash := g.pick("dash", "", "", "-")
		return g.pick("before", "", "a ") + "a {{" + dash + " " + g.text(2) + " " + dash + "}} b"
	case "assign":
		name := g.pick("name", "x1", "x2")
		text := g.pick("word", "name", "city", "markup", "'w'") + g.pick("filter", "", " | upcase", " | append: 'x'")
		g.vars = append(g.vars, name)
		return "{% assign " + name + " = " + text + " %}"
	case "comment":
		return g.pick("comment", "{% comment %}{{ x }}{% endcomment %}", "{% raw %}{{ x }}{% endraw %}")
	case "if":
		return "{% if " + g.cond() + " %}" + g.body(depth-1) + g.pick("elsif", "", "{% elsif "+g.cond()+" %}e") +
			g.pick("else", "", "{% else %}f") + "{% endif %}"
	case "unless":
		return "{% unless " + g.cond() + " %}" + g.body(depth-1) + "{% endunless %}"
	case "case":
		return "{% case " + g.pick("of", "n", "name", "zero") + " %}{% when 7 %}" + g.body(depth-1) +
			"{% when 0, 1 %}b{% when \"Ольга\" %}c{% else %}d{% endcase %}"
	case "for":
		return g.loop(depth)
	case "capture":
		body := g.body(depth - 1)
		return "{% capture x3 %}" + body + "{% endcapture %}{{ x3 }}"
	case "forloop":
		return "{{ forloop." + g.pick("field", "index", "index0", "rindex", "first", "last", "length") + " }}"
	case "cycle":
		g.cycles++
		return fmt.Sprintf("{%% cycle 'g%d': 'p', 'q', 'r' %%}", g.cycles)
	}
	return "{% if forloop.index == 2 %}{% " + g.pick("jump", "break", "continue") + " %}{% endif %}"
}

func (g *generator) loop(depth int) string {
	in := g.pick("in", "list", "nums", "goods", "none", "(1..4)", "(2..n)", "(zero..2)")
	modifier := g.pick("modifier", "", "", " limit:2", " offset:1", " limit:2 offset:1", " reversed")
	g.loops++
	item := "i"
	if in == "goods" {
		item = "i.title"
	}
	body := g.pick("item", "{{ "+item+" }},", "") + g.body(depth-1)
	g.loops--
	return "{% for i in " + in + modifier + " %}" + body + "{% endfor %}"
}

// text is an expression whose value is a text or a number.
func (g *generator) text(filters int) string {
	base := g.pick("base", "name", "city", "markup", "'lit'", "\"ab cd\"", "deep.inner.leaf", "goods[0].title", "goods.first.title",
		"list[1]", "n", "list.size", "goods.last.price")
	if len(g.vars) > 0 && rapid.Bool().Draw(g.t, "local") {
		base = g.vars[0] + " | default: 'none'"
	}
	if base == "n" || base == "list.size" || base == "goods.last.price" {
		for range rapid.IntRange(0, filters).Draw(g.t, "filters") {
			base += " | " + g.pick("number", "plus: 2", "minus: 2", "times: 3", "divided_by: 2", "modulo: 3", "at_least: 5", "at_most: 4", "abs")
		}
		return base
	}
	for range rapid.IntRange(0, filters).Draw(g.t, "filters") {
		base += " | " + g.pick("filter", "upcase", "downcase", "append: '!'", "prepend: n", "replace: 'a', 'b'", "replace_first: 'a', 'bb'",
			"remove: 'a'", "strip", "lstrip", "rstrip", "truncate: 5", "truncate: 6, '~'", "default: 'd'", "size", "split: ',' | join: '/'",
			"url_encode", "slice: 1, 2", "split: 'a' | first", "split: 'a' | reverse | join: '-'", "split: '' | sort | join",
			"split: 'a' | uniq | last", "strip_html", "truncatewords: 1", "slice: -2, 2")
		if last := base[strings.LastIndexByte(base, ' ')+1:]; last == "size" || last == "first" || last == "last" {
			break // a number, or nothing, which text filters take differently
		}
	}
	return base
}

func (g *generator) cond() string {
	one := func() string {
		return g.pick("cond", "yes", "no", "zero", "missing", "n == 7", "n != 7", "n > 3", "n <= minus", "name == 'Ольга'",
			"list contains 'a'", "name contains 'льг'", "name != city", "deep.inner.leaf", "nums[0] >= 3")
	}
	switch g.pick("logic", "", "and", "or") {
	case "and":
		return one() + " and " + one()
	case "or":
		return one() + " or " + one()
	}
	return one()
}

// ask renders with the other engine: a panic or more than a second is no answer.
func ask(e *liquid.Engine, source string) (string, error) {
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- answer{err: fmt.Errorf("panic: %v", r)}
			}
		}()
		text, err := e.ParseAndRenderString(source, sharedData())
		if err != nil {
			done <- answer{err: err}
			return
		}
		done <- answer{text: text}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-time.After(time.Second):
		return "", fmt.Errorf("no answer within a second")
	}
}

// ours renders with Herald, missing values allowed.
func ours(t require.TestingT, part, source string) (string, error) {
	c, diags := templates.Compile(templates.Source{Parts: []templates.Part{{Name: part, Text: source}}, AllowEmpty: true}, templates.Schema{})
	for _, d := range diags {
		if !d.Warn {
			return "", fmt.Errorf("%s", d)
		}
	}
	data, err := value.Of(sharedData())
	require.NoError(t, err)
	var out templates.Rendered
	if err := c.Render(&out, &templates.Input{Data: data}); err != nil {
		return "", err
	}
	return string(out.Part(part)), nil
}

// Both engines print the same for any template of the language that they share, as text and, escaped, as HTML.
func TestCompiled_AgreesWithLiquid(t *testing.T) {
	t.Parallel()
	plain, escaping := liquid.NewEngine(), oracle()
	rapid.Check(t, func(rt *rapid.T) {
		source := (&generator{t: rt}).body(3)
		want, err := ask(plain, source)
		require.NoError(rt, err, source)
		got, err := ours(rt, "email.text", source)
		var e *templates.Error
		if errors.As(err, &e) && e.Code == templates.CodeSteps {
			return // the other engine has no budgets
		}
		require.NoError(rt, err, source)
		require.Equal(rt, strings.TrimSpace(want), strings.TrimSpace(got), source)

		if strings.Contains(source, "capture") || strings.Contains(source, "{% raw") || strings.Contains(source, "%} < ") {
			return // the other engine escapes what was captured once more
		}
		want, err = ask(escaping, source)
		require.NoError(rt, err, source)
		got, err = ours(rt, "email.html", source)
		require.NoError(rt, err, source)
		require.Equal(rt, html.UnescapeString(want), html.UnescapeString(got), source)
	})
}

// The two forms of a macro are one: every retail macro prints what the same macro in braces does.
func TestCompiled_RetailMacroEqualsBraces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom([]string{"name", "data.city", "deep.inner.leaf", "Data . Name", "markup", "missing", "contact.name"}).Draw(rt, "path")
		fallback := rapid.StringMatching(`[a-zа-я !.]{0,8}`).Draw(rt, "fallback")
		retail, braces := "[#"+path+"#]", "{{ "+path+" }}"
		if rapid.Bool().Draw(rt, "with fallback") {
			retail = "[#" + path + "|" + fallback + "#]"
			braces = "{{ " + path + ` | default: "` + strings.TrimSpace(fallback) + `" }}`
		}
		for _, part := range []string{"sms.text", "email.html"} {
			a, errA := ours(rt, part, "x "+retail+" y")
			b, errB := ours(rt, part, "x "+braces+" y")
			require.NoError(rt, errA)
			require.NoError(rt, errB)
			require.Equal(rt, b, a)
		}
	})
}
