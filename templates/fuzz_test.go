package templates_test

import (
	"html"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/value"
)

// FuzzRender: whatever the source and the data, compiling and rendering neither panic nor pass a budget, errors have a place,
// and the same input gives the same bytes.
func FuzzRender(f *testing.F) {
	for _, rows := range topics() {
		for _, r := range rows {
			f.Add(r.src, "Ольга", int64(7), r.part == "email.html", uint8(r.locale))
		}
	}
	f.Fuzz(func(t *testing.T, source, text string, n int64, isHTML bool, l uint8) {
		part, limit := "sms.text", 16<<10
		if isHTML {
			part, limit = "email.html", 1<<20
		}
		sc, err := templates.NewSchema(nil, snippets{"footer": source})
		require.NoError(t, err)
		compiled, diags := templates.Compile(templates.Source{Parts: []templates.Part{{Name: part, Text: source}}}, sc.Open())
		for _, d := range diags {
			require.Positive(t, d.Line)
			require.Positive(t, d.Col)
			require.NotEmpty(t, d.Text)
		}
		if compiled == nil {
			require.NotEmpty(t, diags)
			return
		}
		item := value.OfObject(map[string]value.Value{"name": value.Text(text), "price": value.OfMoney(n, "RUB")})
		in := &templates.Input{
			Data: value.OfObject(map[string]value.Value{
				"name": value.Text(text), "bonus": value.OfInt(n), "price": value.OfDecimal(n, 3), "goods": value.OfList([]value.Value{item, item}),
				"html": value.OfHTML(text), "when": value.OfTime(time.Unix(n%1e9, 0)), "day": value.OfDate(2026, 2, int(n%28)),
			}),
			Now: time.Unix(1_700_000_000, 0), Locale: locale.Locale(l % 5),
		}
		var a, b templates.Rendered
		errA, errB := compiled.Render(&a, in), compiled.Render(&b, in)
		require.Equal(t, errA, errB)
		require.Equal(t, a.Part(part), b.Part(part))
		if errA != nil {
			var e *templates.Error
			require.ErrorAs(t, errA, &e)
			require.Positive(t, e.Line)
			require.Nil(t, a.Part(part))
			return
		}
		require.LessOrEqual(t, len(a.Part(part)), limit)
	})
}

// FuzzPlaces: no value leaves its place. It adds no tag, quote, header line or scheme, and what a mail program decodes is
// the value.
func FuzzPlaces(f *testing.F) {
	for _, s := range []string{
		`<script>alert(1)</script>`, `" onmouseover="x`, `' style='`, "a\r\nBcc: b@c.example", "javascript:alert(1)", "jaVa\tscript:x",
		"https://x.example/?a=1&b=\"", "&amp;&lt;", "{{ name }}", "[#x#]", "data:text/html,x", "--><b>", "]]>", "Анна-Мария", "\u202eabc", "%22",
	} {
		f.Add(s)
	}
	const text = `<p title="{{ v }}">{{ v }}</p><a href="{{ v }}">x</a><a href='https://s.example/{{ v }}?q={{ v }}#{{ v }}'>y</a>`
	compiled, diags := templates.Compile(templates.Source{
		Parts: []templates.Part{
			{Name: "email.html", Text: text},
			{Name: "email.subject", Text: "Re: {{ v }}"},
			{Name: "push.link", Text: "{{ v }}"},
			{Name: "email.text", Text: "{{ v }}"},
		}, Params: []templates.Param{{Name: "v"}},
	}, templates.Schema{})
	require.NotNil(f, compiled, diags)
	f.Fuzz(func(t *testing.T, s string) {
		v := value.Text(s)
		if v.Kind() == value.Nil || len(v.Str()) > 900 {
			return
		}
		var out templates.Rendered
		require.NoError(t, compiled.Render(&out, &templates.Input{Data: value.OfObject(map[string]value.Value{"v": v})}))
		got := string(out.Part("email.html"))
		for _, c := range []string{"<", ">", `"`, "'"} {
			require.Equal(t, strings.Count(text, c), strings.Count(got, c), got)
		}
		title, rest, _ := strings.Cut(strings.TrimPrefix(got, `<p title="`), `">`)
		body, _, _ := strings.Cut(rest, "</p>")
		require.Equal(t, v.Str(), html.UnescapeString(title))
		require.Equal(t, v.Str(), html.UnescapeString(body))
		_, link, _ := strings.Cut(rest, `<a href="`)
		link, _, _ = strings.Cut(link, `"`)
		for _, l := range []string{html.UnescapeString(link), string(out.Part("push.link"))} {
			scheme, _, _ := strings.Cut(strings.ToLower(l), ":")
			require.Contains(t, []string{"#", "http", "https", "mailto", "tel", "sms"}, scheme)
		}
		require.NotContains(t, string(out.Part("email.subject")), "\n")
		require.NotContains(t, string(out.Part("email.subject")), "\r")
		require.Equal(t, v.Str(), string(out.Part("email.text")))
		require.True(t, utf8.ValidString(got))
	})
}
