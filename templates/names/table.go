package names

import (
	"fmt"
	"slices"
	"strings"
)

// Table turns aliases into canonical paths. A table is built once and only read afterwards. The zero Table knows the
// built-in aliases.
type Table struct {
	titles map[string]string
}

// New returns the table of the built-in aliases.
func New() *Table { return &Table{} }

// The built-in aliases.
var (
	// rootAliases stand before a dot.
	rootAliases = map[string]string{ //nolint:gochecknoglobals // a table that never changes
		"адресат": "contact", "контакт": "contact", "клиент": "contact", "получатель": "contact", "recipient": "contact",
		"заказ": "order", "товары": "items", "магазин": "shop", "промокод": "coupon", "купон": "coupon",
		"кампания": "campaign", "данные": "data",
	}
	// wholeAliases stand alone.
	wholeAliases = map[string]string{ //nolint:gochecknoglobals // a table that never changes
		"заказ": "order", "товары": "items", "кампания": "campaign",
	}
	// fieldAliases stand after contact or data, or alone; a target with a dot replaces the whole path.
	fieldAliases = map[string]string{ //nolint:gochecknoglobals // a table that never changes
		"приветствие": "greeting", "имя": "name", "фамилия": "last_name", "отчество": "middle_name", "фио": "full_name",
		"пол": "gender", "дата_рождения": "birth_date", "город": "city", "телефон": "phone", "почта": "email",
		"карта": "card", "бонусы": "bonus", "баланс": "bonus", "промокод": "coupon.code", "купон": "coupon.code",
		"магазин": "shop.name", "отписка": "urls.unsubscribe",
	}
)

// field returns what an alias stands for after contact or data.
func (t *Table) field(key string) (string, bool) {
	if to, ok := fieldAliases[key]; ok {
		return to, true
	}
	to, ok := t.titles[key]
	return to, ok
}

// Add makes the title of a contact's attribute an alias of its field. An alias that means another field already is an
// error.
func (t *Table) Add(title, field string) error {
	key := Fold(title)
	if key == field || key == "" {
		return nil
	}
	if old, ok := t.field(key); ok && old != field {
		return fmt.Errorf("%q means %s already", title, old)
	}
	if t.titles == nil {
		t.titles = map[string]string{}
	}
	t.titles[key] = field
	return nil
}

// Resolve returns the canonical path of a folded one. The argument is not kept; it may be returned.
func (t *Table) Resolve(path []string) []string {
	if len(path) == 1 {
		if to, ok := wholeAliases[path[0]]; ok {
			return []string{to}
		}
		if to, ok := t.field(path[0]); ok {
			return strings.Split(to, ".")
		}
		if to, ok := rootAliases[path[0]]; ok {
			return []string{to}
		}
		return path
	}
	if to, ok := rootAliases[path[0]]; ok {
		path = slices.Concat([]string{to}, path[1:])
	}
	if path[0] != "contact" && path[0] != "data" {
		return path
	}
	to, ok := t.field(path[1])
	switch {
	case !ok:
		return path
	case strings.Contains(to, "."):
		return slices.Concat(strings.Split(to, "."), path[2:])
	}
	return slices.Concat([]string{path[0], to}, path[2:])
}

// Key returns the canonical path of a key of job data: usually one segment, two for names like Промокод (coupon.code).
func (t *Table) Key(name string) []string {
	key := Fold(name)
	if to, ok := t.field(key); ok {
		return strings.Split(to, ".")
	}
	if to, ok := wholeAliases[key]; ok {
		return []string{to}
	}
	return []string{key}
}
