package templates

import (
	"slices"

	"github.com/herald-gateway/herald/templates/names"
	"github.com/herald-gateway/herald/templates/value"
)

// listFilters are the filters over lists.
func listFilters() map[string]*filter {
	return map[string]*filter{
		"join":    {run: join, max: 1, gives: value.String, known: true},
		"first":   {run: first},
		"last":    {run: last},
		"reverse": {run: reverse, gives: value.List, known: true},
		"sort":    {run: sortBy, max: 1, gives: value.List, known: true},
		"map":     {run: mapBy, min: 1, max: 1, gives: value.List, known: true},
		"where":   {run: where, min: 1, max: 2, gives: value.List, known: true},
		"uniq":    {run: uniq, gives: value.List, known: true},
	}
}

// itemsOf returns the items of a list, and takes a step for each.
func (e *env) itemsOf(v value.Value) ([]value.Value, error) {
	if v.Kind() != value.List {
		return nil, errList
	}
	if e.steps -= v.Len(); e.steps < 0 {
		return nil, errSteps
	}
	return v.Items(), nil
}

func join(e *env, v value.Value, args []value.Value) (value.Value, error) {
	items, err := e.itemsOf(v)
	if err != nil {
		return value.Value{}, err
	}
	separator := " "
	if len(args) > 0 {
		s, ok := e.text(args[0])
		if !ok && args[0].Kind() != value.Nil {
			return value.Value{}, errArgument
		}
		separator = s
	}
	var out []byte
	for i, item := range items {
		s, ok := e.text(item)
		if !ok && item.Kind() != value.Nil {
			return value.Value{}, errText
		}
		if err := e.fits(len(out) + len(s) + len(separator)); err != nil {
			return value.Value{}, err
		}
		if i > 0 {
			out = append(out, separator...)
		}
		out = append(out, s...)
	}
	return value.OfString(e.keep(out)), nil
}

func first(_ *env, v value.Value, _ []value.Value) (value.Value, error) {
	if v.Kind() != value.List {
		return value.Value{}, errList
	}
	return v.At(0), nil
}

func last(_ *env, v value.Value, _ []value.Value) (value.Value, error) {
	if v.Kind() != value.List {
		return value.Value{}, errList
	}
	return v.At(-1), nil
}

func reverse(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	items, err := e.itemsOf(v)
	if err != nil {
		return value.Value{}, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	return value.OfList(items), nil
}

// keyOf reads the name of a field, "" when it was not given.
func keyOf(args []value.Value) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	if args[0].Kind() != value.String {
		return "", errArgument
	}
	return names.Fold(args[0].Str()), nil
}

func by(v value.Value, key string) value.Value {
	if key == "" {
		return v
	}
	return v.Get(key)
}

// sortBy orders numbers by size, texts by letter, times by time; what is of another kind goes by kind, what is missing
// comes last. Equal items keep their order.
func sortBy(e *env, v value.Value, args []value.Value) (value.Value, error) {
	items, err := e.itemsOf(v)
	if err != nil {
		return value.Value{}, err
	}
	key, err := keyOf(args)
	if err != nil {
		return value.Value{}, err
	}
	if e.steps -= len(items); e.steps < 0 { // sorting is dearer than reading
		return value.Value{}, errSteps
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b value.Value) int { return order(by(a, key), by(b, key)) })
	return value.OfList(items), nil
}

func order(a, b value.Value) int {
	if o, ok := value.Compare(a, b); ok {
		return o
	}
	rank := func(v value.Value) int {
		if v.Kind() == value.Nil {
			return 1 << 8
		}
		return int(v.Kind())
	}
	return rank(a) - rank(b)
}

func mapBy(e *env, v value.Value, args []value.Value) (value.Value, error) {
	items, err := e.itemsOf(v)
	if err != nil {
		return value.Value{}, err
	}
	key, err := keyOf(args)
	if err != nil {
		return value.Value{}, err
	}
	out := make([]value.Value, len(items))
	for i, item := range items {
		out[i] = by(item, key)
	}
	return value.OfList(out), nil
}

// where keeps the items whose field has a value, or is true when none is given.
func where(e *env, v value.Value, args []value.Value) (value.Value, error) {
	items, err := e.itemsOf(v)
	if err != nil {
		return value.Value{}, err
	}
	key, err := keyOf(args)
	if err != nil {
		return value.Value{}, err
	}
	var out []value.Value
	for _, item := range items {
		f := by(item, key)
		if len(args) > 1 && value.Equal(f, args[1]) || len(args) == 1 && f.Truthy() {
			out = append(out, item)
		}
	}
	return value.OfList(out), nil
}

// uniq keeps the first of equal items.
func uniq(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	items, err := e.itemsOf(v)
	if err != nil {
		return value.Value{}, err
	}
	var out []value.Value
	for _, item := range items {
		if e.steps -= len(out) / 64; e.steps < 0 {
			return value.Value{}, errSteps
		}
		if !slices.ContainsFunc(out, func(o value.Value) bool { return value.Equal(o, item) }) {
			out = append(out, item)
		}
	}
	return value.OfList(out), nil
}
