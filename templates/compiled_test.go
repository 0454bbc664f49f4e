package templates_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/value"
)

// One Compiled serves many goroutines, each with a Rendered of its own.
func TestCompiled_Concurrently(t *testing.T) {
	t.Parallel()
	compiled, in := compileOne(t, "email.html", mailSource), benchInput(t)
	var want templates.Rendered
	require.NoError(t, compiled.Render(&want, in))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			var out templates.Rendered
			for range 50 {
				if err := compiled.Render(&out, in); err != nil || string(out.Part("email.html")) != string(want.Part("email.html")) {
					t.Errorf("another result: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
}

// A Rendered that served one template or failed in another has nothing of them left for the next.
func TestRendered_IsReused(t *testing.T) {
	t.Parallel()
	compile := func(parts ...templates.Part) *templates.Compiled {
		c, diags := templates.Compile(templates.Source{Parts: parts}, templates.Schema{})
		require.NotNil(t, c, fmt.Sprint(diags))
		return c
	}
	sets := compile(templates.Part{Name: "push.title", Text: "{% assign a = 1 %}{% for i in (1..3) %}{% cycle 'x', 'y' %}{{ a }}{% endfor %}"},
		templates.Part{Name: "push.body", Text: "{{ a | default: 'none' }}"})
	fails := compile(templates.Part{Name: "push.title", Text: "{% assign a = 2 %}{{ missing }}"})
	in := &templates.Input{Data: value.OfObject(map[string]value.Value{})}
	var out templates.Rendered
	for range 3 {
		require.NoError(t, sets.Render(&out, in))
		require.Equal(t, "x1y1x1", string(out.Part("push.title")))
		require.Equal(t, "none", string(out.Part("push.body")), "locals belong to their part")
		require.Nil(t, out.Part("sms.text"))
		require.EqualError(t, fails.Render(&out, in), `push.title 1:19: macro "missing": no value`)
		require.Nil(t, out.Part("push.title"))
	}
}

func TestCompiled_Fields(t *testing.T) {
	t.Parallel()
	c, _ := templates.Compile(templates.Source{Parts: []templates.Part{
		{Name: "sms.text", Text: `[#Клиент.Имя#] {% if contact.city == "x" %}{{ Промокод }}{% endif %}{% for i in items %}{{ i.name }}{% endfor %}` +
			`{{ order.id }} {{ bonus }} [#Отписка#] {% assign local = 1 %}{{ local }} {{ contact.revenue }}`},
	}}, templates.Schema{})
	require.NotNil(t, c)
	require.Equal(t, []string{
		"contact.city", "contact.first_name", "contact.full_name", "contact.name", "contact.revenue", "coupon.code", "data.bonus", "items",
		"order.id", "urls.unsubscribe",
	}, c.Fields().Paths)
	require.Equal(t, []string{"city", "first_name", "full_name", "name", "revenue"}, c.Fields().Under("contact"))
	require.True(t, c.Fields().Uses("coupon"))
	require.False(t, c.Fields().Uses("shop"))
}

func TestCompiled_URLs(t *testing.T) {
	t.Parallel()
	c, diags := templates.Compile(templates.Source{Parts: []templates.Part{
		{Name: "email.html", Text: "<a href=\"https://a.example/?x=1&amp;y=2\">a</a>\n<img src='{{ pic }}'> <area href=\"https://b.example/{{ id }}#top\">"},
		{Name: "email.text", Text: "see https://c.example/p?q={{ id }} or (http://d.example), httpx"},
		{Name: "push.link", Text: "https://e.example/{{ id }}"},
	}, Params: []templates.Param{{Name: "pic"}, {Name: "id"}}}, templates.Schema{})
	require.NotNil(t, c, fmt.Sprint(diags))
	require.Equal(t, []templates.URL{
		{Part: "email.html", Line: 1, Col: 10, Tag: "a", Attr: "href", Literal: "https://a.example/?x=1&amp;y=2"},
		{Part: "email.html", Line: 2, Col: 11, Tag: "img", Attr: "src", Macros: true},
		{Part: "email.html", Line: 2, Col: 35, Tag: "area", Attr: "href", Literal: "https://b.example/#top", Macros: true},
		{Part: "email.text", Line: 1, Col: 5, Literal: "https://c.example/p?q=", Macros: true},
		{Part: "email.text", Line: 1, Col: 40, Literal: "http://d.example"},
		{Part: "push.link", Line: 1, Col: 1, Literal: "https://e.example/", Macros: true},
	}, c.URLs())
}

func TestRendered_CountsDroppedURLs(t *testing.T) {
	t.Parallel()
	c, _ := templates.Compile(templates.Source{
		Parts: []templates.Part{{Name: "email.html", Text: `<a href="{{ a }}"></a><a href="{{ b }}"></a><a href="{{ c }}"></a>`}}, Schemes: []string{"shopapp"},
	}, templates.Schema{})
	require.NotNil(t, c)
	var out templates.Rendered
	require.NoError(t, c.Render(&out, &templates.Input{Data: jobData(t, `{"a":"shopapp://x","b":"vbscript:x","c":"/relative"}`)}))
	require.Equal(t, `<a href="shopapp://x"></a><a href="#"></a><a href="#"></a>`, string(out.Part("email.html")))
	require.Equal(t, 2, out.Dropped)
}

// Literals of HTML come out byte for byte, whatever they are.
func TestRender_LiteralHTMLIsUntouched(t *testing.T) {
	t.Parallel()
	const text = "<TABLE  Border=0><!-- x --><tr><td class='a'>&nbsp;\r\n<![if !mso]>\t<br/></TABLE>"
	c := compileOne(t, "email.html", text)
	var out templates.Rendered
	require.NoError(t, c.Render(&out, &templates.Input{}))
	require.Equal(t, text, string(out.Part("email.html")))
}

func TestRender_SubjectIsCutAtALine(t *testing.T) {
	t.Parallel()
	c := compileOne(t, "email.subject", "Тема {{ card }}")
	var out templates.Rendered
	in := &templates.Input{Data: value.OfObject(map[string]value.Value{"card": value.OfString(strings.Repeat("я", 500))})}
	require.NoError(t, c.Render(&out, in))
	require.Len(t, out.Part("email.subject"), 997)
}

func TestNewSchema_Collisions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields []templates.Field
		want   string
	}{
		{"a title that is an alias", []templates.Field{{Name: "nick", Title: "Имя"}}, `field nick: "Имя" means name already`},
		{"two titles", []templates.Field{{Name: "a", Title: "Ник"}, {Name: "b", Title: "ник"}}, `field b: "ник" means a already`},
		{"a field twice", []templates.Field{{Name: "a"}, {Name: "A"}}, "field a is there already"},
		{"another kind", []templates.Field{{Name: "birth_date", Kind: value.String}}, "field birth_date is a date already"},
	} {
		_, err := templates.NewSchema(c.fields, nil)
		require.EqualError(t, err, c.want, c.name)
	}
}
