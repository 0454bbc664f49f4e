package profiles

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/fold"
)

// Type is what the values of an attribute are.
type Type string

// The types of attributes.
const (
	TypeString Type = "string"
	TypeNumber Type = "number" // at most 9 digits after the point
	TypeMoney  Type = "money"  // an amount with its currency
	TypeBool   Type = "bool"
	TypeDate   Type = "date" // a day without a zone
	TypeTime   Type = "time" // a moment
)

// Types lists the types of attributes.
func Types() []Type { return []Type{TypeString, TypeNumber, TypeMoney, TypeBool, TypeDate, TypeTime} }

// Attribute is something that this shop knows of its clients, declared once. It never changes.
type Attribute struct {
	Name      string    `json:"name" doc:"Name in rows and macros."`
	Type      Type      `json:"type" enum:"string,number,money,bool,date,time" doc:"What its values are."`
	Title     string    `json:"title" doc:"Name for people, which macros and headings of CSV may use too."`
	CreatedAt time.Time `json:"created_at" doc:"When it was declared."`
}

// CollisionError means that people could not tell an attribute from another field.
type CollisionError struct {
	Place string // name or title
	Taken string // the field or attribute to which it belongs
}

func (e *CollisionError) Error() string { return "this " + e.Place + " belongs to " + e.Taken }

// ErrTooManyAttributes means that there is no room for another one.
var ErrTooManyAttributes = errors.New("there are as many attributes as there may be")

const (
	maxAttributes = 1000
	maxNameBytes  = 63
	maxTitle      = 64 // characters
)

// Faults is what is wrong with the attribute itself.
func (a *Attribute) Faults() delivery.Faults {
	var f faults
	if !isAttributeName(a.Name) {
		f.add("name", "must be 1 to %d small Latin letters, digits and underscores, and begin with a letter", maxNameBytes)
	}
	if !slices.Contains(Types(), a.Type) {
		f.add("type", "must be string, number, money, bool, date or time")
	}
	switch title := strings.TrimSpace(a.Title); {
	case title == "" || title != a.Title:
		f.add("title", "is required, without space around it")
	case utf8.RuneCountInString(title) > maxTitle:
		f.add("title", "is longer than %d characters", maxTitle)
	case unprintable(title) || strings.ContainsAny(title, ".|#[]{}"):
		f.add("title", "holds a character that is not possible in a macro")
	case fold.Name(title) == "":
		f.add("title", "holds no letter or digit")
	}
	return delivery.Faults(f)
}

func isAttributeName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= maxNameBytes
}

// Schema is the set of the attributes that are declared. It never changes and is safe for concurrent use.
type Schema struct {
	attributes map[string]Attribute
	names      map[string]string // folded name or title -> name of an attribute
}

// NewSchema makes the set of the given attributes.
func NewSchema(list []Attribute) *Schema {
	s := &Schema{attributes: make(map[string]Attribute, len(list)), names: make(map[string]string, 2*len(list))}
	for _, a := range list {
		s.attributes[a.Name] = a
		s.names[fold.Name(a.Name)], s.names[fold.Name(a.Title)] = a.Name, a.Name
	}
	return s
}

// Attribute finds an attribute by its name.
func (s *Schema) Attribute(name string) (a Attribute, ok bool) {
	a, ok = s.attributes[name]
	return a, ok
}

// Attributes lists the attributes by name.
func (s *Schema) Attributes() []Attribute {
	list := make([]Attribute, 0, len(s.attributes))
	for _, a := range s.attributes {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// reserved are names, as they are compared, that mean something else where attributes are named.
//
//nolint:gochecknoglobals // a table that never changes
var reserved = []string{
	derivedName, derivedFullName, externalName, "external_id", "profile", "profile_id", "attributes", "created_at", "updated_at",
	// what macros know of a client's purchases and messages
	"first_purchase_at", "last_purchase_at", "average_receipt", "days_between_purchases", "purchases", "revenue", "last_message_at",
}

// CanAdd says whether the attribute can be declared besides these. It fails with a CollisionError when its name or title,
// as people read them, is taken by another field or attribute, and with ErrTooManyAttributes.
func (s *Schema) CanAdd(a Attribute) error {
	if len(s.attributes) >= maxAttributes {
		return ErrTooManyAttributes
	}
	if _, ok := fieldByName(a.Name); ok {
		return &CollisionError{"name", a.Name}
	}
	if t, ok := wellKnown[a.Name]; ok && t != a.Type {
		return &CollisionError{"name", a.Name + ", which is a " + string(t)}
	}
	for _, place := range []struct{ what, text string }{{"name", a.Name}, {"title", a.Title}} {
		folded := fold.Name(place.text)
		if slices.Contains(reserved, folded) {
			return &CollisionError{place.what, folded}
		}
		if taken, ok := builtin(folded); ok && taken != a.Name {
			return &CollisionError{place.what, taken}
		}
		if taken, ok := s.names[folded]; ok {
			return &CollisionError{place.what, taken}
		}
	}
	return nil
}
