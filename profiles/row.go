package profiles

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/herald-gateway/herald/delivery"
)

// Limits of a row.
const (
	MaxRowBytes      = 256 << 10
	maxExternalBytes = 256 // as the field profile of a job
	maxColumn        = 255 // characters
	maxText          = 2000
	maxTokens        = 100
	maxTokenBytes    = 4096
	maxEmailBytes    = 254
	maxRowFaults     = 20
	firstBirth       = 1900 // nobody is older, but years of two digits are
)

// tooLong is the fault of a row of more than MaxRowBytes.
const tooLong = "has more than %d bytes"

// faults collects what is wrong with a row.
type faults delivery.Faults

func (f *faults) add(field, format string, args ...any) {
	if len(*f) < maxRowFaults {
		*f = append(*f, delivery.Fault{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// unknown notes a field that does not exist. Its name is shown when it looks like one: it may be anything.
func (f *faults) unknown(place, name string) {
	if isAttributeName(name) {
		f.add(place+name, "is neither a field of profiles nor a declared attribute")
		return
	}
	f.add(strings.TrimSuffix(place, "."), "has a field that is neither a field of profiles nor a declared attribute")
}

// form is how a value of a row is written.
type form uint8

const (
	formNull form = iota
	formString
	formNumber
	formBool
	formList
	formObject
	formCell // of CSV: anything but null
)

func (f form) String() string {
	return [...]string{"null", "a string", "a number", "a boolean", "a list", "an object", "a cell"}[f]
}

// cell is a value of a row: the JSON text of a list or object, else what is written.
type cell struct {
	form form
	text string
}

// is says that the cell may be read as a want; the cells of CSV may be anything.
func (c cell) is(want form) bool { return c.form == want || c.form == formCell }

// Decoder reads rows into updates. It is not safe for concurrent use.
type Decoder struct {
	schema *Schema
	zones  map[string]bool // names of time zones that are known to be good
}

// NewDecoder reads rows whose attributes are those of the schema.
func NewDecoder(schema *Schema) *Decoder { return &Decoder{schema: schema, zones: map[string]bool{}} }

// JSON reads an object of JSON: the fields of profiles by their names, and attributes within "attributes". It reports all
// faults of the row.
func (d *Decoder) JSON(text string) (*Update, delivery.Faults) {
	var f faults
	switch trimmed := strings.Trim(text, " \t\r\n"); {
	case len(text) > MaxRowBytes:
		f.add("", tooLong, MaxRowBytes)
	case !utf8.ValidString(text):
		f.add("", "is not UTF-8")
	case !json.Valid([]byte(text)):
		f.add("", "is no JSON")
	case trimmed[0] != '{':
		f.add("", "must be an object, not %s", cellOf(trimmed).form)
	default:
		u := &Update{}
		d.object(u, trimmed, &f)
		if len(f) == 0 {
			return u, nil
		}
	}
	return nil, delivery.Faults(f)
}

func (d *Decoder) object(u *Update, text string, f *faults) {
	// What a row has beside the fields.
	const id, attributes = fieldCount, fieldCount + 1
	var seen fieldBits
	members(text, func(name, value string) {
		field, known := fieldByName(name)
		switch name {
		case externalName:
			field, known = id, true
		case "attributes":
			field, known = attributes, true
		}
		switch {
		case !known:
			f.unknown("", name)
			return
		case seen&bitOf(field) != 0:
			f.add(name, "is given twice")
			return
		}
		seen |= bitOf(field)
		switch c := cellOf(value); field {
		case id:
			d.external(u, c, f)
		case attributes:
			d.attributes(u, c, f)
		default:
			d.field(u, field, c, f)
		}
	})
	if seen&bitOf(id) == 0 {
		f.add(externalName, "is required")
	}
}

func (d *Decoder) attributes(u *Update, c cell, f *faults) {
	if c.form != formObject {
		f.add("attributes", "must be an object, not %s", c.form)
		return
	}
	u.Attributes = map[string]Value{}
	members(c.text, func(name, value string) {
		a, ok := d.schema.Attribute(name)
		if !ok {
			f.unknown("attributes.", name)
			return
		}
		if _, twice := u.Attributes[name]; twice {
			f.add("attributes."+name, "is given twice")
			return
		}
		d.attribute(u, "attributes."+name, a, cellOf(value), f)
	})
}

// external reads the id by which the shop names the client.
func (d *Decoder) external(u *Update, c cell, f *faults) {
	if !c.is(formString) {
		f.add(externalName, "must be a string, not %s", c.form)
		return
	}
	switch id := strings.TrimSpace(c.text); {
	case id == "":
		f.add(externalName, "is required")
	case len(id) > maxExternalBytes:
		f.add(externalName, "has %d bytes, at most %d are possible", len(id), maxExternalBytes)
	case unprintable(id) || strings.ContainsFunc(id, func(c rune) bool { return c != ' ' && !unicode.IsPrint(c) }):
		// No job could name the client.
		f.add(externalName, "holds a character that cannot be printed")
	default:
		u.External = id
	}
}

// field reads a column or the contact points of a channel.
func (d *Decoder) field(u *Update, field Field, c cell, f *faults) {
	ch, contact := field.Channel()
	if !contact {
		u.Set(field, d.column(field, c, f))
		return
	}
	if u.Contacts == nil {
		u.Contacts = make(map[delivery.Channel][]string, 2)
	}
	if field == Push {
		u.Contacts[ch] = tokens(c, f)
		return
	}
	u.Contacts[ch] = nil
	v := text(field.Name(), c, maxColumn, f)
	if v.IsNil() {
		return
	}
	var address, fault string
	if field == Email {
		address, fault = normalEmail(v.Text())
	} else if phone, err := delivery.NormalPhone(v.Text()); err == nil {
		address = phone
	} else {
		fault = err.Error()
	}
	if fault != "" {
		f.add(field.Name(), "%s", fault)
		return
	}
	u.Contacts[ch] = []string{address}
}

func (d *Decoder) column(field Field, c cell, f *faults) Value {
	v := text(field.Name(), c, maxColumn, f)
	if v.IsNil() {
		return v
	}
	switch field {
	case Sex:
		sex := sexOf(v.Text())
		if sex.IsNil() {
			f.add(field.Name(), "must be female or male")
		}
		return sex
	case BirthDate:
		date, ok := parseDate(v.Text())
		if !ok || date.Time().Year() < firstBirth {
			f.add(field.Name(), "is no day since %d such as 1990-02-28 or 28.02.1990", firstBirth)
		}
		return date
	case Locale:
		if !delivery.IsLocale(v.Text()) {
			f.add(field.Name(), "is no locale such as ru or en-GB")
		}
	case Timezone:
		if !d.isZone(v.Text()) {
			f.add(field.Name(), "is no name of a time zone such as Europe/Moscow")
		}
	default:
	}
	return v
}

func sexOf(s string) Value {
	switch strings.ToLower(s) {
	case "female", "f", "ж", "жен", "женский":
		return StringValue("female")
	case "male", "m", "м", "муж", "мужской":
		return StringValue("male")
	}
	return Value{}
}

func (d *Decoder) isZone(name string) bool {
	if d.zones[name] {
		return true
	}
	if !delivery.IsZone(name) {
		return false
	}
	_, err := time.LoadLocation(name)
	if err == nil && name != "Local" {
		d.zones[name] = true
	}
	return d.zones[name]
}

// attribute reads the value of an attribute by its type.
func (d *Decoder) attribute(u *Update, place string, a Attribute, c cell, f *faults) {
	if u.Attributes == nil {
		u.Attributes = map[string]Value{}
	}
	u.Attributes[a.Name] = Value{}
	if c.form == formNull {
		return
	}
	v, fault := a.Type.read(c)
	if fault != "" {
		f.add(place, "%s", fault)
		return
	}
	u.Attributes[a.Name] = v
}

// read reads a cell as a value of the type, or says what is wrong with it.
func (t Type) read(c cell) (v Value, fault string) {
	want, what, ok := formString, "", true
	switch t {
	case TypeString:
		what = fmt.Sprintf("must be text of at most %d characters that can be printed", maxText)
		if c.is(want) {
			v, ok = cleanText(c.text, maxText)
		}
	case TypeDate:
		what = "is no day such as 1990-02-28 or 28.02.1990"
		if c.is(want) {
			v, ok = parseDate(strings.TrimSpace(c.text))
		}
	case TypeTime:
		what = "is no time such as 2026-11-22T10:00:00+03:00"
		if c.is(want) {
			v, ok = parseMoment(strings.TrimSpace(c.text))
		}
	case TypeBool:
		want, what = formBool, "is neither true nor false"
		if c.is(want) {
			v, ok = parseBool(c.text)
		}
	case TypeNumber:
		want, what = formNumber, fmt.Sprintf("must be a number without exponent and with at most %d digits after the point", maxScale)
		if c.is(want) {
			var n int64
			var scale int
			n, scale, ok = parseDecimal(strings.TrimSpace(c.text))
			v = DecimalValue(n, scale)
		}
	case TypeMoney:
		want, what = formObject, "is no money: amount, a number with no more digits than the currency has, and currency, such as RUB"
		if c.is(want) {
			v, ok = readMoney(c)
		}
	}
	switch {
	case !c.is(want):
		return Value{}, "must be " + want.String() + ", not " + c.form.String()
	case !ok:
		return Value{}, what
	}
	return v, ""
}

func parseBool(s string) (Value, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1", "да", "yes":
		return BoolValue(true), true
	case "false", "0", "нет", "no":
		return BoolValue(false), true
	}
	return Value{}, false
}

// readMoney reads {"amount":1250.5,"currency":"RUB"}, or 1250.50 RUB in a cell of CSV.
func readMoney(c cell) (Value, bool) {
	if c.form == formCell {
		amount, currency, _ := strings.Cut(strings.TrimSpace(c.text), " ")
		return parseMoney(amount, strings.TrimSpace(currency))
	}
	var amount, currency cell
	good := true
	members(c.text, func(name, value string) {
		switch {
		case name == "amount" && amount.text == "":
			amount = cellOf(value)
		case name == "currency" && currency.text == "":
			currency = cellOf(value)
		default:
			good = false
		}
	})
	if !good || amount.form != formNumber || currency.form != formString {
		return Value{}, false
	}
	return parseMoney(amount.text, currency.text)
}

// text reads a cell as a text; null and blank are nil.
func text(place string, c cell, most int, f *faults) Value {
	switch {
	case c.form == formNull:
	case !c.is(formString):
		f.add(place, "must be a string, not %s", c.form)
	default:
		v, ok := cleanText(c.text, most)
		if !ok {
			f.add(place, "must be text of at most %d characters that can be printed", most)
		}
		return v
	}
	return Value{}
}

// cleanText takes away the space around s and brings it to NFC. ok is false when it is too long or cannot be printed.
func cleanText(s string, most int) (v Value, ok bool) {
	if s = strings.TrimSpace(s); unprintable(s) {
		return Value{}, false
	}
	s = norm.NFC.String(s)
	if len(s) > most && utf8.RuneCountInString(s) > most {
		return Value{}, false
	}
	return StringValue(s), true
}

// unprintable says that s holds a control character, or the mark of one that was broken on its way.
func unprintable(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c == utf8.RuneError || unicode.IsControl(c) })
}

// normalEmail brings an address to lower case, or says what is wrong with it. Whether the mailbox exists only a mail to it
// can tell, so that this refuses no more than what cannot be one.
func normalEmail(s string) (address, fault string) {
	const none = "is no e-mail address"
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case !ok || local == "" || len(local) > 64 || len(s) > maxEmailBytes,
		strings.ContainsAny(s, " ,;:<>()[]\\\"\u00a0"),
		strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(s, ".."):
		return "", none
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.ContainsFunc(label, func(c rune) bool { return c != '-' && !unicode.In(c, unicode.L, unicode.M, unicode.N) }) {
			return "", none
		}
	}
	if len(labels) < 2 {
		return "", none
	}
	return strings.ToLower(s), ""
}

// tokens reads a list of push tokens; those that are there already are left out.
func tokens(c cell, f *faults) []string {
	var list []string
	add := func(place, token string) {
		switch {
		case token == "" || len(token) > maxTokenBytes || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
			f.add(place, "must be a token of at most %d printable ASCII characters", maxTokenBytes)
		case len(list) <= maxTokens && !slices.Contains(list, token): // one too many is enough to know
			list = append(list, token)
		}
	}
	switch c.form {
	case formNull:
	case formCell:
		for token := range strings.FieldsSeq(c.text) {
			add("push", token)
		}
	case formList:
		elements(c.text, func(i int, value string) {
			place := fmt.Sprintf("push[%d]", i)
			if e := cellOf(value); e.form == formString {
				add(place, e.text)
			} else {
				f.add(place, "must be a string, not %s", e.form)
			}
		})
	default:
		f.add("push", "must be a list, not %s", c.form)
	}
	if len(list) > maxTokens {
		f.add("push", "has more than %d tokens", maxTokens)
	}
	return list
}
