package templates_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/templates"
)

func TestRender(t *testing.T) {
	t.Parallel()
	data := map[string]any{"name": "Ольга", "bonus": json.Number("350"), "order.id": "A-1", "empty": "", "deep": map[string]any{}}
	for _, c := range []struct{ name, in, want, fault string }{
		{"plain text stays", "Привет", "Привет", ""},
		{"braces", "{{ name }}, вам {{bonus}} баллов", "Ольга, вам 350 баллов", ""},
		{"retail macro", "[#Contact.Name#]!", "Ольга!", ""},
		{"spaces around the dot", "[# Contact . Name #]!", "Ольга!", ""},
		{"both forms in one text", "[#Contact.Name#] {{ name }}", "Ольга Ольга", ""},
		{"dotted key", "{{ order.id }}", "A-1", ""},
		{"missing value", "{{ surname }}", "", `sms.text: macro "surname": no value`},
		{"empty value", "{{ empty }}", "", `sms.text: macro "empty": no value`},
		{"unclosed", "{{ name", "", `sms.text: "{{" is not closed by }}`},
		{"unclosed retail macro", "[#Contact.Name", "", `sms.text: "[#" is not closed by #]`},
		{"not a text", "{{ deep }}", "", `sms.text: macro "deep": is no text or number`},
		{"a value is not rendered again", "{{ name }}", "Ольга", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := &delivery.SMS{Text: c.in}
			got, err := templates.Render(in, data)
			require.Equal(t, c.in, in.Text, "the input is not changed")
			if c.fault != "" {
				require.EqualError(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, &delivery.SMS{Text: c.want}, got)
		})
	}
}

func TestRender_EveryChannel(t *testing.T) {
	t.Parallel()
	data := map[string]any{"n": "x"}
	for _, c := range []struct{ in, want delivery.Body }{
		{
			&delivery.Viber{Text: "{{n}}", Image: "{{n}}", Button: &delivery.Button{Text: "{{n}}", URL: "{{n}}"}},
			&delivery.Viber{Text: "x", Image: "x", Button: &delivery.Button{Text: "x", URL: "x"}},
		},
		{&delivery.Email{Subject: "{{n}}", HTML: "{{n}}", Text: "{{n}}"}, &delivery.Email{Subject: "x", HTML: "x", Text: "x"}},
		{
			&delivery.Push{Title: "{{n}}", Body: "{{n}}", Image: "{{n}}", Link: "{{n}}"},
			&delivery.Push{Title: "x", Body: "x", Image: "x", Link: "x"},
		},
	} {
		got, err := templates.Render(c.in, data)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}
