package templates

import (
	"errors"
	"maps"
	"slices"

	"github.com/herald-gateway/herald/templates/value"
)

// filter is one of the filters that templates may use.
type filter struct {
	// run computes. Arguments that were left out are missing at the end.
	run func(e *env, v value.Value, args []value.Value) (value.Value, error)
	// min and max are how many arguments it takes; named are those given as name: value, in the order that follows the
	// others.
	min, max int
	named    []string
	// takes is what it works on; gives is the kind of its result, when all results are of one kind.
	takes takes
	gives value.Kind
	known bool
	// takesNil: it has something to say about a missing value, which otherwise passes untouched.
	takesNil bool
	// check looks at the arguments at save; literal says that it knows the values of all.
	check func(c *compiler, args []value.Value, literal bool) string
}

// takes is what a filter works on.
type takes uint8

const (
	takesAny takes = iota
	takesText
	takesNumber
	takesList
)

var (
	errSteps    = &failure{CodeSteps, "the template takes too many steps"}
	errValue    = &failure{CodeValue, "the text becomes too long"}
	errItems    = &failure{CodeItems, "the list has too many items"}
	errText     = &failure{CodeKind, "is not a text"}
	errList     = &failure{CodeKind, "is not a list"}
	errDate     = &failure{CodeKind, "is not a date"}
	errArgument = &failure{CodeKind, "a filter has an argument of the wrong kind"}
	errForms    = errors.New("a counted noun needs as many forms as the language has")
)

// filterNames are all filters, sorted.
func filterNames() []string { return slices.Sorted(maps.Keys(filters)) }

// filters is the table of all filters.
var filters = newFilters() //nolint:gochecknoglobals // a table that never changes

func newFilters() map[string]*filter {
	m := map[string]*filter{
		"default": {run: defaultTo, min: 1, max: 1, named: []string{"allow_false"}, takesNil: true},
		"size":    {run: size, takesNil: true, gives: value.Int, known: true},
		"json":    {run: toJSON, takesNil: true, gives: value.String, known: true},
		"slice":   {run: slice, min: 1, max: 2},
		"date":    {run: date, max: 1, gives: value.String, known: true, check: checkDate},
		"phone":   {run: phone, takes: takesText, gives: value.String, known: true},
		"number":  {run: number, max: 1, takes: takesNumber, gives: value.String, known: true},
		"money":   {run: money, max: 1, takes: takesNumber, gives: value.String, known: true, check: checkMoney},
		"plural":  {run: plural, min: 2, max: 3, takes: takesNumber, gives: value.String, known: true, check: checkPlural},
	}
	for name, run := range textFilters() {
		m[name] = &filter{run: run, takes: takesText, gives: value.String, known: true}
	}
	for name, counts := range map[string][2]int{
		"append": {1, 1}, "prepend": {1, 1}, "replace": {2, 2}, "replace_first": {2, 2}, "remove": {1, 1}, "truncate": {0, 2},
		"truncatewords": {0, 2}, "split": {1, 1},
	} {
		m[name].min, m[name].max = counts[0], counts[1]
	}
	m["split"].gives = value.List
	for _, name := range []string{"escape", "escape_once", "newline_to_br"} {
		m[name].gives = value.HTML
	}
	for name, f := range listFilters() {
		f.takes = takesList
		m[name] = f
	}
	for name, run := range numberFilters() {
		m[name] = &filter{run: run, min: 1, max: 1, takes: takesNumber}
	}
	for _, name := range []string{"round", "floor", "ceil", "abs"} {
		m[name].min, m[name].max = 0, 0
	}
	m["round"].max = 1
	return m
}

func defaultTo(_ *env, v value.Value, args []value.Value) (value.Value, error) {
	if v.Kind() == value.Bool && len(args) > 1 && args[1].Truthy() {
		return v, nil
	}
	if v.Blank() {
		return args[0], nil
	}
	return v, nil
}

func size(e *env, v value.Value, _ []value.Value) (value.Value, error) {
	switch v.Kind() {
	case value.Nil:
		return value.OfInt(0), nil
	case value.List, value.Object:
		return value.OfInt(int64(v.Len())), nil
	case value.String, value.HTML:
		s, _ := e.text(v)
		return value.OfInt(int64(runes(s))), nil
	default:
		return value.Value{}, errList
	}
}

// numberFilters compute. An argument that is missing gives a missing result.
func numberFilters() map[string]func(*env, value.Value, []value.Value) (value.Value, error) {
	two := func(op func(a, b value.Value) (value.Value, error)) func(*env, value.Value, []value.Value) (value.Value, error) {
		return func(_ *env, v value.Value, args []value.Value) (value.Value, error) {
			if args[0].Kind() == value.Nil {
				return value.Value{}, nil
			}
			a, err := v.Number()
			if err != nil {
				return value.Value{}, err
			}
			b, err := args[0].Number()
			if err != nil {
				return value.Value{}, err
			}
			return op(a, b)
		}
	}
	one := func(op func(value.Value) (value.Value, error)) func(*env, value.Value, []value.Value) (value.Value, error) {
		return func(_ *env, v value.Value, _ []value.Value) (value.Value, error) {
			n, err := v.Number()
			if err != nil {
				return value.Value{}, err
			}
			return op(n)
		}
	}
	return map[string]func(*env, value.Value, []value.Value) (value.Value, error){
		"plus": two(value.Add), "minus": two(value.Sub), "times": two(value.Mul), "divided_by": two(value.Div),
		"modulo": two(value.Mod), "at_least": two(atLeast), "at_most": two(atMost),
		"floor": one(value.Floor), "ceil": one(value.Ceil), "abs": one(value.Abs), "round": round,
	}
}

func round(_ *env, v value.Value, args []value.Value) (value.Value, error) {
	n, err := v.Number()
	if err != nil {
		return value.Value{}, err
	}
	digits, err := digitsOf(args, 0)
	if err != nil {
		return value.Value{}, err
	}
	return value.Round(n, digits)
}

// digitsOf reads the argument that says how many fraction digits.
func digitsOf(args []value.Value, otherwise int) (int, error) {
	if len(args) == 0 || args[0].Kind() == value.Nil {
		return otherwise, nil
	}
	const most = 9
	if args[0].Kind() != value.Int || args[0].Int() < 0 || args[0].Int() > most {
		return 0, errArgument
	}
	return int(args[0].Int()), nil
}

func atLeast(a, b value.Value) (value.Value, error) {
	order, ok := value.Compare(a, b)
	if !ok {
		return value.Value{}, value.ErrCurrency
	}
	if order < 0 {
		return b, nil
	}
	return a, nil
}

func atMost(a, b value.Value) (value.Value, error) {
	order, ok := value.Compare(a, b)
	if !ok {
		return value.Value{}, value.ErrCurrency
	}
	if order > 0 {
		return b, nil
	}
	return a, nil
}
