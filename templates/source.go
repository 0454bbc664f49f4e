package templates

import (
	"fmt"
	"slices"

	"github.com/herald-gateway/herald/templates/escape"
	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/value"
)

// Source is what a marketer writes: the named parts of one channel's content in one locale.
type Source struct {
	Parts []Part
	// Locale is the language that the parts are written in; ru when unset.
	Locale locale.Locale
	// Params are the data that a job must bring. Data that is used and not declared is a warning.
	Params []Param
	// AllowEmpty prints a missing value as nothing instead of failing.
	AllowEmpty bool
	// Schemes are schemes of urls that are allowed besides http, https, mailto, tel and sms: those of apps.
	Schemes []string
}

// Part is one text of a content. Its name is the path in the content of a job: sms.text, email.html.
type Part struct{ Name, Text string }

// Param declares a field of a job's data.
type Param struct {
	Name string
	Kind value.Kind
	// Sample is shown in previews; MaxLen, in characters, counts in the worst length. Zero is unknown.
	Sample string
	MaxLen int
}

// Field is a field of the contact, of fixed kind. Title is the name that people call it by; it becomes an alias.
type Field struct {
	Name, Title string
	Kind        value.Kind
	MaxLen      int
}

// Snippets gives the texts of snippets, from revisions that are pinned: the same name gives the same text as long as a
// template is compiled.
type Snippets interface {
	Snippet(name string) (text string, ok bool)
}

// Schema is what templates may use. The zero Schema knows the fields that every profile has, and no snippets.
type Schema struct {
	aliases  *names.Table
	fields   map[string]Field
	snippets Snippets
	open     bool
}

// NewSchema returns the schema of the built-in fields and those given. A title that is the alias of another field, and a
// field that is there already with another kind, are errors. Snippets may be nil.
func NewSchema(fields []Field, snippets Snippets) (Schema, error) {
	sc := Schema{aliases: names.New(), fields: make(map[string]Field, len(fields)), snippets: snippets}
	for _, f := range fields {
		f.Name = names.Fold(f.Name)
		if kind, ok := contactFields[f.Name]; ok && kind != f.Kind {
			return Schema{}, fmt.Errorf("field %s is a %s already", f.Name, kind)
		}
		if _, ok := sc.fields[f.Name]; ok {
			return Schema{}, fmt.Errorf("field %s is there already", f.Name)
		}
		if err := sc.aliases.Add(f.Title, f.Name); err != nil {
			return Schema{}, fmt.Errorf("field %s: %w", f.Name, err)
		}
		sc.fields[f.Name] = f
	}
	return sc, nil
}

// Open returns the schema for content that comes inside a job: fields of the contact that nobody declared are a warning
// there, because the job's data may bring them.
func (sc Schema) Open() Schema {
	sc.open = true
	return sc
}

// Aliases returns the table of the schema's aliases, for decoding job data.
func (sc Schema) Aliases() *names.Table {
	if sc.aliases == nil {
		return names.New()
	}
	return sc.aliases
}

// field returns the kind of a field of the contact.
func (sc Schema) field(name string) (value.Kind, bool) {
	if kind, ok := contactFields[name]; ok {
		return kind, true
	}
	f, ok := sc.fields[name]
	return f.Kind, ok
}

// contactFields are the fields that every profile has, client indicators included.
var contactFields = map[string]value.Kind{ //nolint:gochecknoglobals // a table that never changes
	"id": value.String, "name": value.String, "first_name": value.String, "last_name": value.String,
	"middle_name": value.String, "full_name": value.String, "greeting": value.String, "gender": value.String,
	"birth_date": value.Date, "city": value.String, "phone": value.String, "email": value.String, "card": value.String,
	"bonus": value.Decimal, "store": value.String, "locale": value.String, "timezone": value.String,
	"first_purchase_at": value.Time, "last_purchase_at": value.Time, "average_receipt": value.Money,
	"days_between_purchases": value.Decimal, "purchases": value.Int, "revenue": value.Money, "last_message_at": value.Time,
}

// closedRoots are the roots whose fields are all known.
var closedRoots = map[string]map[string]value.Kind{ //nolint:gochecknoglobals // a table that never changes
	"campaign": {"id": value.String, "name": value.String, "topic": value.String},
	"launch":   {"id": value.String, "label": value.String, "name": value.String},
	"urls":     {"unsubscribe": value.String, "preferences": value.String, "web_version": value.String},
}

// root is where a path begins.
type root uint8

const (
	rootData root = iota
	rootContact
	rootOrder
	rootItems
	rootCoupon
	rootShop
	rootCampaign
	rootLaunch
	rootVariant
	rootChannel
	rootNow
	rootURLs
)

// rootNames in the order of their numbers.
func rootNames() []string {
	return []string{
		"data", "contact", "order", "items", "coupon", "shop", "campaign", "launch", "variant", "channel", "now", "urls",
	}
}

func rootOf(name string) (root, bool) {
	i := slices.Index(rootNames(), name)
	return root(max(i, 0)), i >= 0 //nolint:gosec // twelve roots
}

// partKind is how a part is written and what it may cost.
type partKind uint8

const (
	plainPart partKind = iota
	smsPart
	headerPart
	htmlPart
	urlPart
)

// partKinds are the parts of all channels, by their path in the content of a job.
func partOf(name string) (partKind, bool) {
	switch name {
	case "sms.text":
		return smsPart, true
	case "viber.text", "viber.button.text", "push.title", "push.body", "email.text":
		return plainPart, true
	case "viber.image", "viber.button.url", "push.image", "push.link":
		return urlPart, true
	case "email.subject", "email.preheader", "email.from":
		return headerPart, true
	case "email.html":
		return htmlPart, true
	}
	return 0, false
}

// limits are the budgets of one part.
type limits struct {
	source, nodes, steps, output, value, assigned int
}

const (
	maxItems    = 500 // of a loop, a range and the list that split makes
	maxNesting  = 20
	maxIncludes = 50
	maxIncluded = 3 // depth
	kib         = 1 << 10
)

func (k partKind) limits() limits {
	switch k {
	case htmlPart:
		return limits{
			source: 512 * kib, nodes: 20_000, steps: 20_000, output: kib * kib, value: 256 * kib, assigned: kib * kib,
		}
	case headerPart:
		return limits{source: 64 * kib, nodes: 2_000, steps: 2_000, output: kib, value: 64 * kib, assigned: 256 * kib}
	default:
		return limits{source: 64 * kib, nodes: 2_000, steps: 2_000, output: 16 * kib, value: 64 * kib, assigned: 256 * kib}
	}
}

// style is how the part writes numbers.
func (k partKind) style(l locale.Locale) locale.Style {
	return locale.Style{Locale: l, SMS: k == smsPart}
}

// scanner returns what finds the places of the part, nil when it has but one.
func (k partKind) scanner() *escape.Scanner {
	switch k {
	case htmlPart:
		return &escape.Scanner{}
	case urlPart:
		return escape.URLPart()
	default:
		return nil
	}
}
