package templates_test

import (
	_ "embed"
	"strconv"
	"testing"

	"github.com/osteele/liquid"
	"github.com/osteele/liquid/render"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/syntax"
	"github.com/herald-gateway/herald/templates/value"
)

// mailSource is a mail of 20 KB: 15 macros outside of loops, a condition, two loops of 6 × 4 and 4 × 3.
//
//go:embed testdata/mail.html
var mailSource string

const smsSource = `{{ contact.first_name | default: "Клиент" }}, вам начислено {{ bonus }} бонусов! Потратьте их до {{ until }} на shop.example`

// bindings is the data of the benchmarks as the other engine takes it.
func bindings() map[string]any {
	rows := make([]any, 6)
	for i := range rows {
		items := make([]any, 4)
		for j := range items {
			items[j] = map[string]any{
				"id": 1000*i + j, "name": "Пальто «Осень» & шарф №" + strconv.Itoa(i*4+j), "price": 12990 + 10*j,
			}
		}
		rows[i] = map[string]any{"items": items}
	}
	shops := make([]any, 4)
	for i := range shops {
		shops[i] = map[string]any{
			"name": "Магазин " + strconv.Itoa(i+1), "address": "ул. Ленина, " + strconv.Itoa(10*i+1),
			"days": []any{"пн–пт 10–22", "сб 10–21", "вс 11–20"},
		}
	}
	return map[string]any{
		"contact": map[string]any{"first_name": "Ольга", "email": "olga@example.ru", "city": "Пермь"},
		"urls":    map[string]any{"unsubscribe": "https://h.example/u/AAECAwQFBgcICQoLDA0ODw"},
		"bonus":   350, "until": "30 ноября", "card": "2200 1234 5678", "sum": "12 990", "left": 0, "city": "Пермь",
		"year": 2026, "support": "8-800-000-00-00", "rows": rows, "shops": shops,
	}
}

// benchInput is the same for our engine.
func benchInput(t testing.TB) *templates.Input {
	t.Helper()
	all := bindings()
	of := func(x any) value.Value {
		v, err := value.Of(x)
		require.NoError(t, err)
		return v
	}
	in := &templates.Input{Contact: of(all["contact"]), URLs: of(all["urls"])}
	delete(all, "contact")
	delete(all, "urls")
	in.Data = of(all)
	return in
}

func compileOne(t testing.TB, part, text string) *templates.Compiled {
	t.Helper()
	c, diags := templates.Compile(
		templates.Source{Parts: []templates.Part{{Name: part, Text: text}}, Params: benchParams()}, templates.Schema{},
	)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return c
}

// benchParams declares the data, so that there is nothing to warn of.
func benchParams() []templates.Param {
	return []templates.Param{
		{Name: "bonus", Kind: value.Int},
		{Name: "until"},
		{Name: "card"},
		{Name: "sum"},
		{Name: "left"},
		{Name: "city"},
		{Name: "year", Kind: value.Int},
		{Name: "support"},
		{Name: "rows"},
		{Name: "shops"},
	}
}

func oracle() *liquid.Engine {
	e := liquid.NewEngine()
	e.SetAutoEscapeReplacer(render.HtmlEscaper)
	return e
}

func BenchmarkSMS(b *testing.B)  { benchmarkRender(b, "sms.text", smsSource) }
func BenchmarkMail(b *testing.B) { benchmarkRender(b, "email.html", mailSource) }

func benchmarkRender(b *testing.B, part, text string) {
	b.Helper()
	b.Run("engine=herald", func(b *testing.B) {
		c, in := compileOne(b, part, text), benchInput(b)
		var out templates.Rendered
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Render(&out, in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("engine=osteele", func(b *testing.B) {
		t, err := oracle().ParseString(text)
		require.NoError(b, err)
		data := bindings()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := t.Render(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParseSMS(b *testing.B)  { benchmarkParse(b, "sms.text", smsSource) }
func BenchmarkParseMail(b *testing.B) { benchmarkParse(b, "email.html", mailSource) }

// benchmarkParse measures all of compiling, with checks of fields and filters and the places in HTML, and reading alone,
// which is all that the other engine does before it renders.
func benchmarkParse(b *testing.B, part, text string) {
	b.Helper()
	b.Run("engine=herald", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			compileOne(b, part, text)
		}
	})
	b.Run("engine=herald-syntax", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if tree := syntax.Parse(text, syntax.Options{HTML: part == "email.html", MaxDepth: 20}); len(tree.Faults) > 0 {
				b.Fatal(tree.Faults)
			}
		}
	})
	b.Run("engine=osteele", func(b *testing.B) {
		e := oracle()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.ParseString(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
