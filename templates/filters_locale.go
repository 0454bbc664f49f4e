package templates

import (
	"fmt"
	"strings"

	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/value"
)

func number(e *env, v value.Value, args []value.Value) (value.Value, error) {
	n, err := v.Number()
	if err != nil {
		return value.Value{}, err
	}
	digits, err := digitsOf(args, -1)
	if err != nil {
		return value.Value{}, err
	}
	b, err := e.style.AppendNumber(e.scratch[:0], n, digits)
	return e.kept(b, err)
}

// kept makes a value of what a printer made in scratch.
func (e *env) kept(b []byte, err error) (value.Value, error) {
	if err != nil {
		return value.Value{}, err
	}
	e.scratch = b
	return value.OfString(e.keep(b)), nil
}

// money prints an amount. The currency is the argument's, else the value's own.
func money(e *env, v value.Value, args []value.Value) (value.Value, error) {
	n, err := v.Number()
	if err != nil {
		return value.Value{}, err
	}
	currency := ""
	if n.Kind() == value.Money {
		currency = n.Str()
	}
	if len(args) > 0 && args[0].Kind() != value.Nil {
		given := args[0].Str()
		if currency != "" && given != currency {
			return value.Value{}, value.ErrCurrency
		}
		currency = given
	}
	if !locale.Known(currency) {
		return value.Value{}, &failure{CodeKind, "the currency is not known"}
	}
	b, err := e.style.AppendMoney(e.scratch[:0], n, currency)
	return e.kept(b, err)
}

func checkMoney(_ *compiler, args []value.Value, literal bool) string {
	switch {
	case !literal || len(args) == 0 || args[0].Kind() == value.Nil:
		return ""
	case args[0].Kind() != value.String || !locale.Known(args[0].Str()):
		return "the currency is not known; there are " + strings.Join(locale.Currencies(), ", ")
	}
	return ""
}

// date prints a day or time. A day is never moved by a zone.
func date(e *env, v value.Value, args []value.Value) (value.Value, error) {
	if v.Kind() == value.String || v.Kind() == value.HTML {
		t, ok := value.ParseTime(v.Str())
		if !ok {
			return value.Value{}, errDate
		}
		v = t
	}
	if v.Kind() != value.Time && v.Kind() != value.Date {
		return value.Value{}, errDate
	}
	format := e.style.Locale.DateFormat()
	if len(args) > 0 && args[0].Kind() != value.Nil {
		if format = args[0].Str(); locale.CheckDate(format) != nil {
			return value.Value{}, &failure{CodeKind, locale.CheckDate(format).Error()}
		}
	}
	const longest = 16 // bytes for one directive
	if err := e.fits(longest * len(format)); err != nil {
		return value.Value{}, err
	}
	return e.kept(e.style.Locale.AppendDate(e.scratch[:0], v.Instant(e.in.Zone), format), nil)
}

func checkDate(_ *compiler, args []value.Value, literal bool) string {
	if !literal || len(args) == 0 || args[0].Kind() == value.Nil {
		return ""
	}
	if args[0].Kind() != value.String {
		return `a date format is a text such as "%d.%m.%Y"`
	}
	if err := locale.CheckDate(args[0].Str()); err != nil {
		return err.Error()
	}
	return ""
}

// plural prints the form of a noun that goes with a number. The words are in the language of the template, so its rule
// is taken when the recipient's language has another number of forms.
func plural(e *env, v value.Value, args []value.Value) (value.Value, error) {
	n, err := v.Number()
	if err != nil {
		return value.Value{}, err
	}
	l := e.style.Locale
	if l.Forms() != len(args) {
		l = e.c.locale
	}
	if l.Forms() != len(args) {
		return value.Value{}, errForms
	}
	return args[l.Plural(n)], nil
}

func checkPlural(c *compiler, args []value.Value, _ bool) string {
	if want := c.out.locale.Forms(); len(args) != want {
		return fmt.Sprintf("in %s a counted noun has %d forms, here are %d", c.out.locale, want, len(args))
	}
	return ""
}

func phone(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	s, ok := e.text(v)
	if !ok {
		return value.Value{}, errText
	}
	if s == "" {
		return v, nil
	}
	if err := e.fits(len(s)); err != nil {
		return value.Value{}, err
	}
	return e.kept(locale.AppendPhone(e.scratch[:0], s), nil)
}
