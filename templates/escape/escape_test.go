package escape_test

import (
	"html"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/templates/escape"
)

// places reads HTML in which every _ is a macro, and returns the place of each.
func places(text string) (out []escape.Place, s *escape.Scanner) {
	s = &escape.Scanner{}
	from := 0
	for i := range text {
		if text[i] == '_' {
			s.Literal(text[from:i], from)
			out = append(out, s.Output())
			from = i + 1
		}
	}
	s.Literal(text[from:], from)
	return out, s
}

func TestScanner_Places(t *testing.T) {
	t.Parallel()
	const (
		text, attr, whole, path, query, fragment, css, no = escape.HTMLText, escape.HTMLAttr, escape.URLWhole, escape.URLPath,
			escape.URLQuery, escape.URLFragment, escape.Style, escape.Forbidden
	)
	for _, c := range []struct {
		name, html string
		want       []escape.Place
	}{
		{"text", "a_<b>_</b>_", []escape.Place{text, text, text}},
		{"attributes", `<p title="_" ALT = '_' class=_>_`, []escape.Place{attr, attr, no, text}},
		{"a quote inside of the other", `<p title="it's _">_`, []escape.Place{attr, text}},
		{"url", `<a href="_">`, []escape.Place{whole}},
		{"url of parts", `<a href="https://_.x/_?_=_&amp;_#_">`, []escape.Place{path, path, query, query, query, fragment}},
		{"url of two values", `<a href="__">`, []escape.Place{whole, path}},
		{"url after a number entity", `<a href="x?a&#61;_">`, []escape.Place{query}},
		{"image, background, video", `<img src="_"><td background='_'><video poster="_">`, []escape.Place{whole, whole, whole}},
		{"events", `<p onclick="_" ONLOAD='_'>`, []escape.Place{no, no}},
		{"attributes of other languages", `<img srcset="_"><iframe srcdoc="_"></iframe><meta content="_">`, []escape.Place{no, no, no}},
		{"an attribute without name", `<p ="_">`, []escape.Place{no}},
		{"style", `<p style="top: _; background: url(_) _">`, []escape.Place{css, no, css}},
		{"names", `<_><p _><p a_="x"></_>`, []escape.Place{no, no, no, no}},
		{"script", `<script>_</script>_<SCRIPT>_</Script >_`, []escape.Place{no, text, no, text}},
		{"style element", `<style>_</style>_`, []escape.Place{css, text}},
		{"title", `<title>_<b></title>_`, []escape.Place{text, text}},
		{"comment", `<!-- _ --><!---->_<!-->_`, []escape.Place{no, text, text}},
		{"conditional comment", `<!--[if gte mso 9]>_<![endif]-->_<!--[if !mso]><!-->_<!--<![endif]-->_`, []escape.Place{text, text, text, text}},
		{"declaration", `<!DOCTYPE html _>_<?xml _?>_`, []escape.Place{no, text, no, text}},
		{"a < that opens nothing", `1 < 2 _ <3 _`, []escape.Place{text, text}},
		{"a tag that closes itself", `<br/>_<img alt="_"/>_`, []escape.Place{text, attr, text}},
	} {
		got, _ := places(c.html)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestScanner_Finds(t *testing.T) {
	t.Parallel()
	_, s := places(`<a href="https://x/_">a</a><FORM action='u'><script src="s.js"></script></form>`)
	require.Equal(t, []escape.Tag{{Name: "form", At: 27}, {Name: "script", At: 44}}, s.Tags)
	require.Equal(t, []escape.URL{
		{Tag: "a", Attr: "href", At: 9, Literal: "https://x/", Macros: true},
		{Tag: "form", Attr: "action", At: 41, Literal: "u"},
		{Tag: "script", Attr: "src", At: 57, Literal: "s.js"},
	}, s.URLs)
	require.True(t, s.Text())
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"both in text", "<p>", "", true},
		{"one in a tag", "<p ", "", false},
		{"one in a quote", `<p a="`, `<p `, false},
		{"other quotes", `<p a="`, `<p a='`, false},
		{"between attributes", `<p `, `<p a="x"`, true},
		{"a bare attribute", `<p `, `<p checked`, true},
		{"other tags", `<p `, `<td `, false},
		{"same url, further", `<a href="x`, `<a href="x?y=`, true},
		{"in a comment", "<!-- ", "", false},
		{"in raw text", "<style>", "", false},
	} {
		_, a := places(c.a)
		_, b := places(c.b)
		if len(a.URLs) == 0 || len(b.URLs) == 0 || c.same {
			_, ok := escape.Merge(a.State, b.State)
			require.Equal(t, c.same, ok, c.name)
		}
	}
	// The strictest way of writing is taken after a url that may or may not have a query.
	_, a := places(`<a href="https://x/y`)
	_, b := places(`<a href="https://x/y?z=`)
	merged, ok := escape.Merge(a.State, b.State)
	require.True(t, ok)
	a.State = merged
	require.Equal(t, escape.URLQuery, a.Output())
	require.False(t, escape.Repeats((&escape.Scanner{}).State, b.State))
}

// What is written into HTML or a url is read back as the value.
func TestAppend_IsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		require.Equal(t, s, html.UnescapeString(string(escape.AppendHTML(nil, s))))
		for _, place := range []escape.Place{escape.URLPath, escape.URLQuery, escape.URLFragment} {
			plain, ok := escape.AppendURL(nil, s, place, false, nil)
			require.True(t, ok)
			back, err := url.PathUnescape(string(plain))
			require.NoError(t, err)
			require.Equal(t, s, back)
			attr, _ := escape.AppendURL(nil, s, place, true, nil)
			require.Equal(t, string(plain), html.UnescapeString(string(attr)))
			require.NotContains(t, string(attr), `"`)
			require.NotContains(t, string(attr), "'")
			require.NotContains(t, string(attr), "<")
		}
		require.Equal(t, s, escape.Text(string(escape.AppendHTML(nil, s))))
		once := escape.AppendHTML(nil, s)
		require.Equal(t, string(once), string(escape.AppendHTMLOnce(nil, string(once))))
	})
}

func TestAppendURL_Whole(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://x.example/a b?c=\"d\"": "https://x.example/a%20b?c=%22d%22", "HTTP://x": "HTTP://x", "mailto:a@b": "mailto:a@b", "tel:+7": "tel:+7",
		"javascript:x": "#", " https://x": "#", "//x": "#", "": "#", "data:x": "#", "java\nscript:x": "#", "shopapp://x": "shopapp://x",
		"https://x/%D0%90": "https://x/%D0%90", "https://x/Я": "https://x/%D0%AF",
	} {
		got, ok := escape.AppendURL(nil, in, escape.URLWhole, false, []string{"shopapp"})
		require.Equal(t, want, string(got), in)
		require.Equal(t, want != "#", ok)
	}
}

func TestAppendStyle(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "10", "-1.5", "12px", "100%", "#ff00AA", "red", "inline-block"} {
		got, ok := escape.AppendStyle(nil, good)
		require.True(t, ok, good)
		require.Equal(t, good, string(got))
	}
	for _, bad := range []string{"red;x", "url(x)", "a b", "expression(1)", "\\65", "красный", "a/*", "%1"} {
		_, ok := escape.AppendStyle(nil, bad)
		require.False(t, ok, bad)
	}
}

func TestStripTags(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a<b>c</b>d": "acd", "<!-- x > y -->z": "z", "<script>a<b</script>c": "c", "<STYLE>a</Style>c": "c", "1 < 2": "1 ", "<": "", "x": "x",
	} {
		require.Equal(t, want, escape.StripTags(in), in)
	}
	require.Equal(t, "Скидки & подарки", escape.Text("<i>Скидки &amp; подарки</i>"))
}

func FuzzScanner(f *testing.F) {
	f.Add(`<p title="_">_</p><!-- _ --><script>_</script><a href='_?_#_'>`)
	f.Fuzz(func(t *testing.T, text string) {
		got, s := places(text)
		for _, p := range got {
			require.LessOrEqual(t, p, escape.Forbidden)
		}
		require.NotEmpty(t, s.Describe())
		for _, u := range s.URLs {
			require.LessOrEqual(t, u.At, len(text))
		}
	})
}
