package templates_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/value"
)

// row is one line of the table: what a template makes, or the first fault that it has. The part is sms.text, the locale
// Russian, and the data the sample's, unless the row says otherwise.
type row struct {
	src, want string
	// fault is a diagnostic at save, "part line:col: text (macro)"; err is an error of rendering.
	fault, err string
	part       string
	data       string
	locale     locale.Locale
}

// snippets is a fixed set.
type snippets map[string]string

func (s snippets) Snippet(name string) (string, bool) { text, ok := s[name]; return text, ok }

// sampleData is what the rows use: a JSON object, as in a job.
const sampleData = `{
	"name": "Ольга", "empty": "", "spaces": "   ", "bonus": 350, "price": 12990.5, "zero": 0, "yes": true, "no": false,
	"title": "  Осенняя  распродажа ", "html": "<b>Tom & \"Jerry's\"</b>", "lines": "один\nдва", "url": "https://shop.example/a?b=1&c=2",
	"evil": "javascript:alert(1)", "macro": "{{ urls.unsubscribe }}", "retail": "[#Contact.Name#]", "phone": "+79161234567",
	"when": "2026-11-24T21:30:00Z", "day": "2026-11-05", "emoji": "👨‍👩‍👧‍👦 семья",
	"colours": ["red", "green", "blue"], "numbers": [3, 1, 2, 1], "none": [],
	"goods": [
		{"name": "Шарф", "price": 1500, "sale": true}, {"name": "Плащ", "price": 9990, "sale": false},
		{"name": "Берет", "price": 800, "sale": true}
	],
	"deep": {"inner": {"leaf": "лист"}}, "Промокод": "ОСЕНЬ"
}`

func sampleInput(t testing.TB, data string) *templates.Input {
	t.Helper()
	moscow, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	return &templates.Input{
		Contact: contact(map[string]value.Value{
			"first_name": value.Text("Анна"), "last_name": value.Text("Петрова-Водкина"), "city": value.Text(""),
			"birth_date": value.OfDate(1990, time.March, 8), "last_purchase_at": value.OfTime(time.Date(2026, 11, 1, 22, 15, 0, 0, time.UTC)),
			"revenue": value.OfMoney(1299050, "RUB"), "average_receipt": value.OfMoney(150000, "KZT"),
			"phone": value.Text("+79161234567"), "full_name": value.Text("Анна Петрова-Водкина"),
		}),
		Data: jobData(t, data), Zone: moscow, Now: time.Date(2026, 11, 24, 9, 5, 3, 0, time.UTC),
		URLs: contact(map[string]value.Value{"unsubscribe": value.OfString("https://h.example/u/abc")}), Channel: "sms", Variant: "B",
	}
}

func contact(fields map[string]value.Value) value.Value { return value.OfObject(fields) }

func jobData(t testing.TB, text string) value.Value {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	require.NoError(t, d.Decode(&m))
	v, err := value.Data(m, names.New())
	require.NoError(t, err)
	return v
}

// run compiles and renders one row. The third result is the first fault at save, the second the error of rendering.
func (r row) run(t testing.TB) (got, err, fault string) {
	t.Helper()
	part := r.part
	if part == "" {
		part = "sms.text"
	}
	data := r.data
	if data == "" {
		data = sampleData
	}
	sc, serr := templates.NewSchema([]templates.Field{
		{Name: "shoe_size", Title: "Размер обуви", Kind: value.Int},
		{Name: "banner", Title: "Баннер", Kind: value.HTML},
	}, snippets{
		"footer": "Ваш магазин, {{ city | default: \"Москва\" }}", "again": `{% include "again" %}`, "ping": `{% include "pong" %}`,
		"pong": `{% include "ping" %}`, "broken": "one\n{{ nope | nofilter }}", "sets": `{% assign set = "да" %}`,
		"d1": `{% include "d2" %}`, "d2": `{% include "d3" %}`, "d3": `{% include "d4" %}`, "d4": "4",
		"row": "<tr><td>{{ item.name }}</td></tr>",
	})
	require.NoError(t, serr)
	src := templates.Source{Parts: []templates.Part{{Name: part, Text: r.src}}, Locale: r.locale}
	c, diags := templates.Compile(src, sc)
	for _, d := range diags {
		if !d.Warn {
			return "", "", d.String()
		}
	}
	require.NotNil(t, c)
	var out templates.Rendered
	in := sampleInput(t, data)
	in.Contact = withFields(in.Contact, map[string]value.Value{
		"shoe_size": value.OfInt(38), "banner": value.OfHTML("<i>Скидки &amp; подарки</i>"),
	})
	if e := c.Render(&out, in); e != nil {
		require.Nil(t, out.Part(part))
		return "", e.Error(), ""
	}
	return string(out.Part(part)), "", ""
}

func withFields(v value.Value, more map[string]value.Value) value.Value {
	for _, key := range []string{"first_name", "last_name", "birth_date", "last_purchase_at", "revenue", "average_receipt", "phone", "full_name"} {
		more[key] = v.Get(key)
	}
	return value.OfObject(more)
}

func TestTable(t *testing.T) {
	t.Parallel()
	count := 0
	for topic, rows := range topics() {
		count += len(rows)
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			for i, r := range rows {
				got, err, fault := r.run(t)
				where := fmt.Sprintf("row %d: %s", i, r.src)
				require.Equal(t, r.fault, fault, where)
				require.Equal(t, r.err, err, where)
				require.Equal(t, r.want, got, where)
			}
		})
	}
	require.Greater(t, count, 150, "rows of the table")
}
