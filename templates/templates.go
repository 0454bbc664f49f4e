// Package templates turns what marketers write into what is sent.
//
// The language is a dialect of Liquid, {{ contact.name | default: "клиент" }}, together with the macros that retailers know,
// [#Контакт.Имя|клиент#]; docs/templates.md describes it for those who write it. Compile reads and checks the parts of a
// content once and reports everything that can go wrong with its place. A Compiled never changes and serves any number of
// goroutines; each of them renders into a Rendered of its own, which keeps the memory for the next message.
//
//	c, diags := templates.Compile(source, schema)
//	err := c.Render(&rendered, &input)
//	text := rendered.Part("sms.text")
//
// What is promised:
//   - Rendering depends on its input only: no clock, no network, no chance. The same input gives the same bytes or the same
//     error, on every machine.
//   - It ends. Steps, output, texts, loops and nesting have limits that are counted, not timed.
//   - A value never becomes anything but a value: it is written as its place asks (HTML, attribute, url, header), which is
//     decided at compile, and it is never read as template again.
//   - A macro without a value and without a fallback is an error that names it, never an empty string: a message that greets
//     nobody is worse than one that is not sent. Errors never carry values, which are personal.
//
// The rooms: syntax reads the source into a tree, names knows when two spellings are one field, value computes, locale
// writes numbers, money and dates, escape knows places; this package compiles and renders.
//
// The function Render replaces plain macros in content that comes inside of a job, without compiling.
package templates

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/herald-gateway/herald/delivery"
)

// ErrMissing is wrapped by errors about macros that have no value.
var ErrMissing = errors.New("no value")

// Render returns the content with every macro replaced by its value from data. The input is not changed. The error names
// the field and the macro.
func Render(body delivery.Body, data map[string]any) (delivery.Body, error) {
	r := renderer{data: data}
	switch c := body.(type) {
	case *delivery.SMS:
		return &delivery.SMS{Text: r.text("sms.text", c.Text)}, r.err
	case *delivery.Viber:
		out := &delivery.Viber{Text: r.text("viber.text", c.Text), Image: r.text("viber.image", c.Image)}
		if c.Button != nil {
			out.Button = &delivery.Button{
				Text: r.text("viber.button.text", c.Button.Text), URL: r.text("viber.button.url", c.Button.URL),
			}
		}
		return out, r.err
	case *delivery.Email:
		return &delivery.Email{
			Subject: r.text("email.subject", c.Subject), HTML: r.text("email.html", c.HTML),
			Text: r.text("email.text", c.Text),
		}, r.err
	case *delivery.Push:
		return &delivery.Push{
			Title: r.text("push.title", c.Title), Body: r.text("push.body", c.Body),
			Image: r.text("push.image", c.Image), Link: r.text("push.link", c.Link),
		}, r.err
	}
	return nil, fmt.Errorf("content of channel %s cannot be rendered", body.Channel())
}

type renderer struct {
	data map[string]any
	err  error
}

// text replaces the macros of one field. The first error wins, so that callers need no checks in between.
func (r *renderer) text(field, s string) string {
	i := macroStart(s)
	if i < 0 || r.err != nil {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 64)
	for i >= 0 {
		b.WriteString(s[:i])
		closing := "}}"
		if s[i] == '[' {
			closing = "#]"
		}
		inside, rest, ok := strings.Cut(s[i+2:], closing)
		if !ok {
			r.err = fmt.Errorf("%s: %q is not closed by %s", field, s[i:i+2], closing)
			return ""
		}
		name := strings.TrimSpace(inside)
		v, err := r.value(name)
		if err != nil {
			r.err = fmt.Errorf("%s: macro %q: %w", field, name, err)
			return ""
		}
		b.WriteString(v)
		s = rest
		i = macroStart(s)
	}
	b.WriteString(s)
	return b.String()
}

// macroStart is where the next {{ or [# stands, -1 when there is none.
func macroStart(s string) int {
	a, b := strings.Index(s, "{{"), strings.Index(s, "[#")
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// value looks a macro up: by its whole name, else Contact.Name as name (also "Contact . Name").
func (r *renderer) value(name string) (string, error) {
	v, ok := r.data[name]
	if !ok {
		if root, path, found := strings.Cut(name, "."); found && strings.TrimSpace(root) == "Contact" {
			v, ok = r.data[strings.ToLower(strings.TrimSpace(path))]
		}
	}
	if !ok || v == nil {
		return "", ErrMissing
	}
	switch x := v.(type) {
	case string:
		if x == "" {
			return "", ErrMissing
		}
		return x, nil
	case json.Number:
		return x.String(), nil
	case bool, float64, int, int64:
		return fmt.Sprint(x), nil
	}
	return "", errors.New("is no text or number")
}
