package names

import (
	"fmt"
	"slices"
	"strings"
)

// Table turns aliases into canonical paths. A table is built once and only read afterwards.
type Table struct {
	roots  map[string]string // first segment when more follow
	whole  map[string]string // a path of one segment
	fields map[string]string // the segment after contact or data; a target with a dot replaces the whole path
}

// New returns the table of the built-in aliases.
func New() *Table {
	t := &Table{
		roots: map[string]string{
			"адресат": "contact", "контакт": "contact", "клиент": "contact", "получатель": "contact", "recipient": "contact",
			"заказ": "order", "товары": "items", "магазин": "shop", "промокод": "coupon", "купон": "coupon",
			"кампания": "campaign", "данные": "data",
		},
		fields: map[string]string{
			"приветствие": "greeting", "имя": "name", "фамилия": "last_name", "отчество": "middle_name", "фио": "full_name",
			"пол": "gender", "дата_рождения": "birth_date", "город": "city", "телефон": "phone", "почта": "email",
			"карта": "card", "бонусы": "bonus", "баланс": "bonus", "промокод": "coupon.code", "купон": "coupon.code",
			"магазин": "shop.name", "отписка": "urls.unsubscribe",
		},
		whole: map[string]string{"заказ": "order", "товары": "items", "кампания": "campaign"},
	}
	return t
}

// Add makes the title of a contact's attribute an alias of its field. An alias that means another field already is an
// error.
func (t *Table) Add(title, field string) error {
	key := Fold(title)
	if key == field || key == "" {
		return nil
	}
	if old, ok := t.fields[key]; ok && old != field {
		return fmt.Errorf("%q means %s already", title, old)
	}
	t.fields[key] = field
	return nil
}

// Resolve returns the canonical path of a folded one. The argument is not kept; it may be returned.
func (t *Table) Resolve(path []string) []string {
	if len(path) == 1 {
		if to, ok := t.whole[path[0]]; ok {
			return []string{to}
		}
		if to, ok := t.fields[path[0]]; ok {
			return strings.Split(to, ".")
		}
		if to, ok := t.roots[path[0]]; ok {
			return []string{to}
		}
		return path
	}
	if to, ok := t.roots[path[0]]; ok {
		path = slices.Concat([]string{to}, path[1:])
	}
	if path[0] != "contact" && path[0] != "data" {
		return path
	}
	to, ok := t.fields[path[1]]
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
	if to, ok := t.fields[key]; ok {
		return strings.Split(to, ".")
	}
	if to, ok := t.whole[key]; ok {
		return []string{to}
	}
	return []string{key}
}
