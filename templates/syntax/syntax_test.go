package syntax_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates/syntax"
)

func options(html bool) syntax.Options {
	return syntax.Options{HTML: html, MaxBytes: 1 << 16, MaxNodes: 2000, MaxDepth: 20}
}

// Both forms of a macro are one node.
func TestParse_RetailMacroIsAnOutput(t *testing.T) {
	t.Parallel()
	tree := syntax.Parse("[# Контакт . Дата  рождения |сегодня #]{{ contact.birth_date }}", options(false))
	require.Empty(t, tree.Faults)
	require.Len(t, tree.Body, 2)
	retail, braces := tree.Body[0].(*syntax.Output), tree.Body[1].(*syntax.Output)
	require.Equal(t, []syntax.Step{{Name: "Контакт"}, {Name: "Дата  рождения"}}, retail.Expr.(*syntax.Path).Steps)
	require.Equal(t, "сегодня", retail.Fallback)
	require.Equal(t, []syntax.Step{{Name: "contact"}, {Name: "birth_date"}}, braces.Expr.(*syntax.Path).Steps)
	require.False(t, braces.HasFallback)
}

func TestParse_GoesOnAfterAFault(t *testing.T) {
	t.Parallel()
	tree := syntax.Parse("{{ | }} {% if %}{% endif %} {{ a ~ b }} {% nope %} {{ ok }}", options(false))
	var got []string
	for _, f := range tree.Faults {
		got = append(got, string(f.Code)+": "+f.Text)
	}
	require.Equal(t, []string{
		"unexpected: expected a value", "unexpected: expected a value", "unexpected: unexpected ~", "unknown_tag: nope is not known",
	}, got)
	last := tree.Body[len(tree.Body)-1].(*syntax.Output)
	require.Equal(t, "ok", last.Macro)
}

func TestParse_Limits(t *testing.T) {
	t.Parallel()
	require.Empty(t, syntax.Parse(strings.Repeat("{% if a %}", 20)+strings.Repeat("{% endif %}", 20), options(false)).Faults)
	require.Equal(t, syntax.Nesting, syntax.Parse(strings.Repeat("{% if a %}", 21), options(false)).Faults[0].Code)
	require.Empty(t, syntax.Parse("{{ "+strings.Repeat("(", 20)+"a"+strings.Repeat(")", 20)+" }}", options(false)).Faults)
	require.Equal(t, syntax.Nesting, syntax.Parse("{{ "+strings.Repeat("(", 21)+" }}", options(false)).Faults[0].Code)
	require.Len(t, syntax.Parse(strings.Repeat("{{ | }}", 1000), options(false)).Faults, 50)
}

// FuzzParse: reading never panics, and every place lies inside of the source.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"Привет, {{ contact.name | default: \"друг\" }}!", "[# Контакт. Имя |клиент#]", "{% if a == 1 and (b or c) %}x{% elsif d %}y{% else %}z{% endif %}",
		"{%- for i in (1..3) limit:2 offset: 1 reversed -%}{{ forloop.index }}{% else %}-{% endfor %}", "{% case x %}{% when 1, 2 %}a{% endcase %}",
		"{% capture a %}b{% endcapture %}{% assign c = a | split: ',' | first %}", "{% include \"s\", a: 1, b: x.y[0][\"z\"] %}",
		"{% raw %}{{{% endraw %}{% comment %}{%{% endcomment %}{% # c %}", "{{ &quot;a&quot; | append: 'b\\'' }}", "{{ x", "{% if", "[#a", "{{ “a” }}",
		"{% cycle 'a': 1, 2 %}{% break %}", "{% endif %}{% endfor %}", "{{ a[[[ }}", "{% if a %}{% for b in c %}{% endif %}",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, source string, html bool) {
		tree := syntax.Parse(source, options(html))
		require.LessOrEqual(t, len(tree.Faults), 50)
		require.LessOrEqual(t, tree.Nodes, 2001)
		for _, fault := range tree.Faults {
			require.GreaterOrEqual(t, fault.At(), 0)
			require.LessOrEqual(t, fault.At(), len(source))
			require.NotEmpty(t, fault.Text)
			require.NotEmpty(t, fault.Code)
		}
		last := -1
		for _, n := range tree.Body {
			require.Greater(t, n.At(), last, "nodes stand in the order of the source")
			require.Less(t, n.At(), len(source))
			last = n.At()
		}
	})
}
