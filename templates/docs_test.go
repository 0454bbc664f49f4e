package templates_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/value"
)

// cell splits a line of a table; a bar with a backslash belongs to its cell.
var cell = regexp.MustCompile(`[^|\\]*(?:\\.[^|\\]*)*`)

// example is a line of a table in the language reference.
type example struct {
	part, src, want string
	locale          locale.Locale
}

// examples reads the tables that say what one writes and gets, and the sample data before them.
func examples(t *testing.T) (list []example, data map[string]any) {
	t.Helper()
	text, err := os.ReadFile("../docs/templates.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "```json\n")
	sample, _, _ := strings.Cut(rest, "```")
	d := json.NewDecoder(strings.NewReader(sample))
	d.UseNumber()
	require.NoError(t, d.Decode(&data))
	var columns []string
	var current example
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			columns = nil
			continue
		}
		cells := cell.FindAllString(strings.Trim(strings.TrimSpace(line), "|"), -1)
		if columns == nil {
			columns, current = cells, example{part: "sms.text", locale: locale.RU}
			switch header := cells[len(cells)-min(len(cells), 2)]; {
			case strings.Contains(header, "HTML"):
				current.part = "email.html"
			case strings.Contains(header, "push"):
				current.part = "push.body"
			case strings.Contains(header, "English"):
				current.locale = locale.EN
			}
		}
		n := len(cells)
		if n < 2 || !strings.Contains(columns[n-2], "You write") || strings.HasPrefix(line, "|---") || strings.Contains(line, "You get") {
			continue
		}
		e := current
		e.src = code(cells[n-2])
		e.want = code(cells[n-1])
		list = append(list, e)
	}
	return list, data
}

// code takes the backticks off, and what tables need.
func code(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), `\|`, "|")
	return strings.Trim(s, "`")
}

// Every example of the language reference does what the reference says.
func TestDocs_ExamplesAreTrue(t *testing.T) {
	t.Parallel()
	list, data := examples(t)
	require.Greater(t, len(list), 90)
	in := docInput(t, data)
	for _, e := range list {
		compiled, diags := templates.Compile(
			templates.Source{Parts: []templates.Part{{Name: e.part, Text: e.src}}, Locale: e.locale}, templates.Schema{},
		)
		wrong, isError := strings.CutPrefix(e.want, "error: ")
		if compiled == nil {
			require.True(t, isError, "%s: %v", e.src, diags)
			require.Contains(t, firstError(diags), wrong, e.src)
			continue
		}
		var out templates.Rendered
		err := compiled.Render(&out, in)
		if isError {
			require.ErrorContains(t, err, wrong, e.src)
			continue
		}
		require.NoError(t, err, e.src)
		require.Equal(t, e.want, strings.ReplaceAll(string(out.Part(e.part)), "\u00a0", " "), e.src)
	}
}

func firstError(diags []templates.Diag) string {
	for _, d := range diags {
		if !d.Warn {
			return d.Text
		}
	}
	return ""
}

func docInput(t *testing.T, data map[string]any) *templates.Input {
	t.Helper()
	of := func(key string) value.Value {
		v, err := value.Of(data[key])
		require.NoError(t, err)
		return v
	}
	contact := map[string]value.Value{}
	for key, x := range data["contact"].(map[string]any) {
		contact[key] = value.Text(x.(string))
		if v, ok := value.ParseTime(x.(string)); ok {
			contact[key] = v
		}
	}
	jobData, err := value.Data(data["data"].(map[string]any), names.New())
	require.NoError(t, err)
	moscow, err := time.LoadLocation("Europe/Moscow")
	require.NoError(t, err)
	return &templates.Input{
		Contact: value.OfObject(contact), Data: jobData, Coupon: of("coupon"), URLs: of("urls"), Zone: moscow,
		Now: time.Date(2026, time.November, 24, 9, 0, 0, 0, time.UTC),
	}
}

// The reference names every filter.
func TestDocs_EveryFilterIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/templates.md")
	require.NoError(t, err)
	for _, name := range templates.FilterNames() {
		require.Contains(t, string(text), "`"+name, "docs/templates.md does not know the filter")
	}
}
