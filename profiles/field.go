package profiles

import (
	"slices"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/fold"
)

// Field is one of the fields that every profile has: a typed column, or the contact points of a channel.
type Field uint8

// The columns, and after them the channels.
const (
	FirstName Field = iota
	LastName
	MiddleName
	Sex
	BirthDate
	City
	Store
	Locale
	Timezone
	Phone
	Viber
	Email
	Push

	fieldCount
)

// ColumnCount is how many of the fields are columns: all before Phone.
const ColumnCount = int(Phone)

// Columns are the values of the columns, by Field.
type Columns [ColumnCount]Value

// fieldInfo is what the names and forms of a field are.
type fieldInfo struct {
	name   string
	titles []string // further names, which headings of CSV and macros may use
	doc    string
}

//nolint:gochecknoglobals // a table that never changes
var fieldTable = [fieldCount]fieldInfo{
	FirstName:  {"first_name", []string{"Имя"}, "First name."},
	LastName:   {"last_name", []string{"Фамилия"}, "Last name."},
	MiddleName: {"middle_name", []string{"Отчество"}, "Middle name or patronymic."},
	Sex:        {"sex", []string{"gender", "Пол"}, "female or male."},
	BirthDate:  {"birth_date", []string{"Дата рождения"}, "Day of birth: 1990-02-28 or 28.02.1990."},
	City:       {"city", []string{"Город"}, "City."},
	Store:      {"store", []string{"Магазин"}, "Store that the client visits."},
	Locale:     {"locale", []string{"Язык", "language"}, "Language, such as ru or en-GB."},
	Timezone:   {"timezone", []string{"zone", "Часовой пояс"}, "Name of a time zone, such as Europe/Moscow."},
	Phone:      {"phone", []string{"Телефон"}, "Phone for SMS; it becomes E.164."},
	Viber:      {"viber", []string{"Вайбер"}, "Phone for Viber, when it is another one."},
	Email:      {"email", []string{"e-mail", "Почта"}, "E-mail address."},
	Push:       {"push", []string{"Токены"}, "Push tokens, the preferred one first; in CSV parted by spaces."},
}

// idNames head the column of external ids.
//
//nolint:gochecknoglobals // a table that never changes
var idNames = []string{externalName, "external_id", "profile", "ид"}

// Name is the field's name in rows and macros.
func (f Field) Name() string { return fieldTable[f].name }

// Doc says in a sentence what the field holds.
func (f Field) Doc() string { return fieldTable[f].doc }

// Fields lists all fields.
func Fields() []Field {
	list := make([]Field, fieldCount)
	for i := range list {
		list[i] = Field(i)
	}
	return list
}

// Channel is the channel whose contact points the field holds; false for a column.
func (f Field) Channel() (delivery.Channel, bool) {
	switch f {
	case Phone:
		return delivery.ChannelSMS, true
	case Viber:
		return delivery.ChannelViber, true
	case Email:
		return delivery.ChannelEmail, true
	case Push:
		return delivery.ChannelPush, true
	default:
		return 0, false
	}
}

// fieldByName finds a field by its one true name.
func fieldByName(name string) (Field, bool) {
	for f := range fieldCount {
		if fieldTable[f].name == name {
			return f, true
		}
	}
	return 0, false
}

// fieldOfMacro finds the field that a macro means.
func fieldOfMacro(name string) (Field, bool) {
	switch name {
	case "gender":
		return Sex, true
	case "zone":
		return Timezone, true
	}
	return fieldByName(name)
}

// aliases are names that macros give to what is no field: derived names, attributes that most shops have, and what belongs
// to other parts of Herald.
//
//nolint:gochecknoglobals // a table that never changes
var aliases = map[string]string{
	"name": "name", "full_name": "full_name", "фио": "full_name", "greeting": "greeting", "приветствие": "greeting",
	"card": "card", "карта": "card", "bonus": "bonus", "бонусы": "bonus", "баланс": "bonus",
	"промокод": "coupon.code", "купон": "coupon.code", "отписка": "urls.unsubscribe",
}

// wellKnown are the attributes that macros know by themselves, which are of one type in every shop.
//
//nolint:gochecknoglobals // a table that never changes
var wellKnown = map[string]Type{"greeting": TypeString, "card": TypeString, "bonus": TypeNumber}

// builtin is the field or attribute to which a folded name belongs, whatever is declared.
func builtin(folded string) (name string, ok bool) {
	if f, ok := fieldByFolded(folded); ok {
		return f.Name(), true
	}
	if slices.Contains(idNames, folded) {
		return externalName, true
	}
	name, ok = aliases[folded]
	return name, ok
}

func fieldByFolded(folded string) (Field, bool) {
	f, ok := foldedFields[folded]
	return f, ok
}

// foldedFields are the fields by their names and titles as these are compared.
var foldedFields = foldFields() //nolint:gochecknoglobals // a table that never changes

func foldFields() map[string]Field {
	all := map[string]Field{}
	for f, info := range fieldTable {
		all[fold.Name(info.name)] = Field(f)
		for _, title := range info.titles {
			all[fold.Name(title)] = Field(f)
		}
	}
	return all
}

// Names of values that are no fields.
const (
	externalName    = "id"
	derivedName     = "name"      // the first name, else the full one
	derivedFullName = "full_name" // last, first and middle name
)

// FieldSet says which fields of a profile are wanted. The zero FieldSet wants nothing but the ids.
type FieldSet struct {
	fields     fieldBits
	attributes []string // sorted, each once
	all        bool     // attributes are all that are declared
}

type fieldBits uint32

func bitOf(f Field) fieldBits { return 1 << f }

// NewFieldSet wants the fields with these names, as macros use them. name and full_name stand for the names they are made
// of; what is no field of every profile is an attribute, and it does no harm if it is not declared.
func NewFieldSet(names ...string) FieldSet {
	var s FieldSet
	for _, name := range names {
		f, ok := fieldOfMacro(name)
		switch {
		case ok:
			s.fields |= bitOf(f)
		case name == derivedName, name == derivedFullName:
			s.fields |= bitOf(FirstName) | bitOf(LastName) | bitOf(MiddleName)
		case name != externalName && isAttributeName(name):
			s.attributes = append(s.attributes, name)
		}
	}
	slices.Sort(s.attributes)
	s.attributes = slices.Compact(s.attributes)
	return s
}

// AllFields wants everything that a profile of this schema can have.
func AllFields(schema *Schema) FieldSet {
	s := FieldSet{fields: 1<<fieldCount - 1, all: true}
	for _, a := range schema.Attributes() {
		s.attributes = append(s.attributes, a.Name)
	}
	return s
}

// With wants besides what sending on these channels needs: the addresses, the locale and the time zone.
func (s FieldSet) With(channels ...delivery.Channel) FieldSet {
	s.fields |= bitOf(Locale) | bitOf(Timezone)
	for _, ch := range channels {
		switch ch {
		case delivery.ChannelSMS:
			s.fields |= bitOf(Phone)
		case delivery.ChannelViber:
			s.fields |= bitOf(Viber) | bitOf(Phone) // a client without a Viber number of their own has it on the phone
		case delivery.ChannelEmail:
			s.fields |= bitOf(Email)
		case delivery.ChannelPush:
			s.fields |= bitOf(Push)
		}
	}
	return s
}

// And wants what either set wants.
func (s FieldSet) And(other FieldSet) FieldSet {
	all := slices.Concat(s.attributes, other.attributes)
	slices.Sort(all)
	return FieldSet{fields: s.fields | other.fields, attributes: slices.Compact(all), all: s.all || other.all}
}

// Has says that the field is wanted.
func (s FieldSet) Has(f Field) bool { return s.fields&bitOf(f) != 0 }

// Attributes are the attributes that are wanted, sorted. The caller must not change the list.
func (s FieldSet) Attributes() []string { return s.attributes }

// AllAttributes says that all attributes are wanted.
func (s FieldSet) AllAttributes() bool { return s.all }
