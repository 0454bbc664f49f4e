//go:build !race

package templates_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates"
)

// Not parallel: AllocsPerRun counts what every goroutine allocates. With the race detector the counts are not those of
// production, so the file is left out there.
func TestRender_Allocations(t *testing.T) {
	for _, c := range []struct {
		name, part, text string
		most             float64
	}{
		{"an SMS of three macros", "sms.text", smsSource, 0},
		{"an SMS with money, a date and a plural", "sms.text", `{{ contact.first_name | default: "Клиент" }}: ` +
			`{{ 12990.5 | money: "RUB" }}, {{ bonus }} {{ bonus | plural: "бонус", "бонуса", "бонусов" }} до {{ "2026-11-30" | date: "%d %B" }}`, 2},
		{"a mail of 20 KB", "email.html", mailSource, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			compiled, in := compileOne(t, c.part, c.text), benchInput(t)
			var out templates.Rendered
			got := testing.AllocsPerRun(200, func() {
				if err := compiled.Render(&out, in); err != nil {
					t.Fatal(err)
				}
			})
			require.LessOrEqual(t, got, c.most)
			t.Logf("%s: %.0f allocations, %d bytes, %d steps", c.name, got, len(out.Part(c.part)), out.Steps)
		})
	}
}
