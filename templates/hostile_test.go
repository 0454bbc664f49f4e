package templates_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/value"
)

// Templates that want too much end with an error of a budget. What a budget allows is so little that each of them is over
// within milliseconds; the test looks at the error, which is the same on every machine, and not at the clock.
func TestRender_HostileTemplatesEnd(t *testing.T) {
	t.Parallel()
	double := "{% assign s = \"0123456789abcdef\" %}" + strings.Repeat("{% assign s = s | append: s %}", 40)
	many := make([]value.Value, 600)
	for i := range many {
		many[i] = value.OfInt(int64(i))
	}
	for _, c := range []struct {
		name, source string
		code         templates.Code
	}{
		{"doubling by append in HTML", double, templates.CodeValue},
		{"doubling by replace in HTML", "{% assign s = \"aaaaaaaaaaaaaaaa\" %}" + strings.Repeat("{% assign s = s | replace: \"a\", \"aaaaaaaa\" %}", 9), templates.CodeValue},
		{"doubling by capture in HTML", "{% assign s = \"0123456789abcdef\" %}" + strings.Repeat("{% capture s %}{{ s }}{{ s }}{% endcapture %}", 30), templates.CodeValue},
		{"a long range", "{% assign n = 2000000000 %}{% for i in (1..n) %}{% endfor %}", templates.CodeItems},
		{"a range over all numbers", "{% assign a = -9223372036854775808 %}{% assign b = 9223372036854775807 %}{% for i in (a..b) %}{% endfor %}", templates.CodeItems},
		{"a range as a list", "{% assign n = 2000000000 %}{% assign l = (1..n) %}", templates.CodeItems},
		{"a far offset", "{% assign n = 9223372036854775807 %}{% for i in (1..n) offset: n %}x{% endfor %}{{ missing }}", templates.CodeMissing},
		{"nested loops", strings.Repeat("{% for i in (1..500) %}", 10) + strings.Repeat("{% endfor %}", 10), templates.CodeSteps},
		{"nested loops that assign", "{% for i in (1..500) %}{% for j in (1..500) %}{% assign x = i %}{% endfor %}{% endfor %}", templates.CodeSteps},
		{"nested loops that print", "{% for i in (1..500) %}{% for j in (1..500) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}", templates.CodeOutput},
		{"doubling by append", double, templates.CodeSteps},
		{"doubling by capture", "{% assign s = \"0123456789abcdef0123456789abcdef\" %}" +
			strings.Repeat("{% capture s %}{{ s }}{{ s }}{% endcapture %}", 30), templates.CodeOutput},
		{"doubling by replace", "{% assign s = \"aaaaaaaaaaaaaaaa\" %}" + strings.Repeat("{% assign s = s | replace: \"a\", \"aaaaaaaa\" %}", 9), templates.CodeSteps},
		{"replacing nothing", "{% assign s = \"aaaaaaaaaaaaaaaa\" %}" + strings.Repeat("{% assign s = s | replace: \"\", \"aaaaaaaa\" %}", 9), templates.CodeValue},
		{"doubling by join", "{% assign s = \"0123456789abcdef\" %}" + strings.Repeat("{% assign s = s | split: \"\" | join: s %}", 9), templates.CodeSteps},
		{"splitting into letters", strings.Repeat("{% assign s = \"x\" %}", 1) + "{{ long | split: \"\" | size }}", templates.CodeItems},
		{"a loop over a long list", "{% for x in many %}x{% endfor %}", templates.CodeItems},
		{"a long date format", "{{ now | date: long }}", templates.CodeValue},
		{"all of it in conditions", "{% for i in (1..500) %}{% for i in (1..500) %}{% if long contains \"zz\" %}{% endif %}{% endfor %}{% endfor %}", templates.CodeSteps},
		{"assigning much", "{% for i in (1..100) %}{% assign s = long | append: i %}{% endfor %}", templates.CodeSteps},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			part := "sms.text"
			if strings.HasSuffix(c.name, "in HTML") {
				part = "email.html"
			}
			compiled, diags := templates.Compile(templates.Source{Parts: []templates.Part{{Name: part, Text: c.source}}}, templates.Schema{})
			require.NotNil(t, compiled, fmt.Sprint(diags))
			in := sampleInput(t, `{"long": "`+strings.Repeat("x", 20_000)+`"}`)
			in.Data = value.OfObject(map[string]value.Value{"long": in.Data.Get("long"), "many": value.OfList(many)})
			var out templates.Rendered
			err := compiled.Render(&out, in)
			var e *templates.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.code, e.Code, e.Error())
			require.Positive(t, e.Line)
			require.Nil(t, out.Part(part))
		})
	}
}

// Sources that no person writes are refused with a place, however large or deep they are.
func TestCompile_BadSources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, part, source string
		code               templates.Code
	}{
		{"10 MB of text", "email.html", strings.Repeat("x", 10<<20), "too_large"},
		{"10 MB of opened macros", "email.html", strings.Repeat("{{", 5<<20), "too_large"},
		{"a token of 400 KB", "email.html", "{{ " + strings.Repeat("a", 400<<10), "unclosed"},
		{"an unclosed text of 400 KB", "email.html", `{{ "` + strings.Repeat("a", 400<<10) + " }}", "unclosed"},
		{"many unclosed texts", "email.html", strings.Repeat(`{{ "a `, 80<<10), "unexpected"},
		{"a million macros", "email.html", strings.Repeat("{{a}}", 100_000), "too_large"},
		{"unclosed macros", "sms.text", strings.Repeat("{{ a ", 10_000), "unclosed"},
		{"unclosed retail macros", "sms.text", strings.Repeat("[#a", 20_000), "unclosed"},
		{"unclosed tags", "sms.text", strings.Repeat("{% if a %}", 6_000), "nesting"},
		{"deep loops", "sms.text", strings.Repeat("{% for a in b %}", 4_000), "nesting"},
		{"deep parentheses", "sms.text", "{{ " + strings.Repeat("(", 10_000) + "1" + strings.Repeat(")", 10_000) + " }}", "nesting"},
		{"deep brackets", "sms.text", "{{ a" + strings.Repeat("[a", 10_000) + strings.Repeat("]", 10_000) + " }}", "nesting"},
		{"deep brackets and parentheses", "sms.text", "{{ a" + strings.Repeat("[(a", 10_000) + " }}", "nesting"},
		{"endings of nothing", "sms.text", strings.Repeat("{% endif %}", 5_000), "unknown_tag"},
		{"a number of 300 digits", "sms.text", "{{ " + strings.Repeat("9", 300) + " }}", "number"},
		{"half a character", "sms.text", "Привет\xd0", "encoding"},
		{"NUL", "sms.text", "a\x00b", "encoding"},
		{"an unclosed tag of HTML", "email.html", "<p title=\"" + strings.Repeat("x", 10_000), "unbalanced_html"},
		{"raw without end", "sms.text", "{% raw %}" + strings.Repeat("{% raw %}", 5_000), "unclosed"},
		{"many branches", "sms.text", "{% if a %}" + strings.Repeat("{% elsif a %}", 5_000), "unclosed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			compiled, diags := templates.Compile(templates.Source{Parts: []templates.Part{{Name: c.part, Text: c.source}}}, templates.Schema{})
			require.Nil(t, compiled)
			require.NotEmpty(t, diags)
			i := 0
			for diags[i].Warn {
				i++
			}
			require.Equal(t, c.code, diags[i].Code, diags[i].String())
			require.Less(t, len(diags), 300)
			for _, d := range diags {
				require.Positive(t, d.Line)
				require.Positive(t, d.Col)
				require.LessOrEqual(t, len(d.Macro), 200)
			}
		})
	}
}

func TestCompile_IncludesAreBounded(t *testing.T) {
	t.Parallel()
	bomb := snippets{"a": strings.Repeat(`{% include "b" %}`, 1000), "b": strings.Repeat(`{% include "c" %}`, 1000), "c": "x"}
	sc, err := templates.NewSchema(nil, bomb)
	require.NoError(t, err)
	compiled, diags := templates.Compile(
		templates.Source{Parts: []templates.Part{{Name: "email.html", Text: strings.Repeat(`{% include "a" %}`, 1000)}}}, sc,
	)
	require.Nil(t, compiled)
	require.Equal(t, templates.CodeIncludes, diags[0].Code, diags[0].String())

	sc, err = templates.NewSchema(nil, snippets{"big": strings.Repeat("x", 300<<10)})
	require.NoError(t, err)
	compiled, diags = templates.Compile(
		templates.Source{Parts: []templates.Part{{Name: "email.html", Text: `{% include "big" %}{% include "big" %}`}}}, sc,
	)
	require.Nil(t, compiled)
	require.Equal(t, `email.html 1:217051: snippet "big": the source has 307200 bytes; allowed are 217050`, diags[0].String())
}

// All faults of all parts are found at once, in order.
func TestCompile_ReportsEverything(t *testing.T) {
	t.Parallel()
	_, diags := templates.Compile(templates.Source{Parts: []templates.Part{
		{Name: "push.title", Text: "{{ contact.nane }} {{ x | nofilter }}\n{% if yes %}"},
		{Name: "push.body", Text: "[#Контакт.Имяя#] {{ y"},
		{Name: "push.body", Text: "again"},
	}, Params: []templates.Param{{Name: "x"}, {Name: "yes"}}}, templates.Schema{})
	var got []string
	for _, d := range diags {
		got = append(got, d.String())
	}
	require.Equal(t, []string{
		"push.title 1:4: the contact has no field nane; did you mean name? (contact.nane)",
		"push.title 1:27: there is no filter nofilter (x | nofilter)",
		"push.title 2:1: if is not closed by endif (if)",
		"push.body 1:1: the contact has no field имяя (Контакт.Имяя)",
		"push.body 1:1: the part is there twice",
		"push.body 1:18: {{ is not closed by }} (y)",
	}, got)
}

func TestCompile_Warnings(t *testing.T) {
	t.Parallel()
	compiled, diags := templates.Compile(templates.Source{
		Parts: []templates.Part{
			{Name: "sms.text", Text: "{{ bonys }} [#Contact.Bonus|money#]"}, {Name: "email.html", Text: `<a href="https://{{ bonus }}.example/">x</a>`},
		},
		Params: []templates.Param{{Name: "bonus"}},
	}, templates.Schema{})
	require.NotNil(t, compiled)
	var got []string
	for _, d := range diags {
		require.True(t, d.Warn)
		got = append(got, d.String())
	}
	require.Equal(t, []string{
		"sms.text 1:4: the data bonys is not declared; did you mean bonus? (bonys)",
		`sms.text 1:13: "money" is taken as text; if it is meant as a filter, write {{ Contact.Bonus | money }} (Contact.Bonus|money)`,
		"email.html 1:18: the host of a url should not come from a macro (bonus)",
	}, got)
}

// A schema of content inside a job lets the data bring fields of the contact that nobody declared.
func TestCompile_OpenSchema(t *testing.T) {
	t.Parallel()
	compiled, diags := templates.Compile(
		templates.Source{Parts: []templates.Part{{Name: "sms.text", Text: "[#Contact.Nick#]"}}}, templates.Schema{}.Open(),
	)
	require.NotNil(t, compiled, fmt.Sprint(diags))
	require.Len(t, diags, 1)
	var out templates.Rendered
	require.NoError(t, compiled.Render(&out, &templates.Input{Data: jobData(t, `{"nick": "кот"}`)}))
	require.Equal(t, "кот", string(out.Part("sms.text")))
	err := compiled.Render(&out, &templates.Input{})
	require.ErrorIs(t, err, templates.ErrMissing)
	require.NotErrorIs(t, err, value.ErrKind)
}
