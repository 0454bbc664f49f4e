package configs

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/herald-gateway/herald/internal/secret"
)

// maxDepth bounds how deep a file may be nested.
const maxDepth = 32

// decoder fills structs from YAML nodes. It goes on after a fault, so that all are found in one run.
type decoder struct {
	source  string
	origins origins
	faults  Faults
}

// parse reads one YAML document; an empty one is nil.
func (d *decoder) parse(b []byte) ast.Node {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		f := Fault{Source: d.source, Message: "is no YAML"}
		if at, ok := errors.AsType[yaml.Error](err); ok {
			f.Message = at.GetMessage()
			if t := at.GetToken(); t != nil && t.Position != nil {
				f.Line = t.Position.Line
			}
		}
		d.faults = append(d.faults, f)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			d.fault("", doc.Body, "only one document is read")
			return nil
		}
		body = doc.Body
	}
	return body
}

func (d *decoder) fault(path string, n ast.Node, format string, args ...any) {
	d.faults = append(d.faults, Fault{
		Path: path, Source: d.source, Line: lineOf(n), Message: fmt.Sprintf(format, args...),
	})
}

func lineOf(n ast.Node) int {
	switch x := n.(type) {
	case nil:
		return 0
	case *ast.MappingNode: // its own token is the first colon or the brace
		if len(x.Values) > 0 {
			return lineOf(x.Values[0])
		}
	case *ast.MappingValueNode:
		return lineOf(x.Key)
	case *ast.SequenceNode:
		if len(x.Values) > 0 {
			return lineOf(x.Values[0])
		}
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// defaulter is a value that is not empty before its file is read, such as an entry of a list.
type defaulter interface{ SetDefaults() }

// decode fills v, which can be set, from n. Nothing (null) leaves v as it is.
func (d *decoder) decode(path string, n ast.Node, v reflect.Value, depth int) {
	if depth > maxDepth {
		d.fault(path, n, "is nested too deep")
		return
	}
	if path != "" {
		d.origins[path] = origin{d.source, lineOf(n)}
	}
	switch n.(type) {
	case nil, *ast.NullNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		d.fault(path, n, "anchors, aliases and tags are not read here: write the value out")
		return
	}
	if raw, ok := reflect.TypeAssert[*Settings](v.Addr()); ok {
		*raw = Settings{node: n, path: path, source: d.source}
		return
	}
	if isText(v) {
		d.scalar(path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(fresh(v.Type().Elem()))
		}
		d.decode(path, n, v.Elem(), depth)
	case reflect.Struct:
		d.mapping(path, n, "a mapping of settings", func(key string, kn, value ast.Node) {
			field := fieldByName(v, key)
			if !field.IsValid() {
				d.fault(join(path, key), kn, "%s", unknown(v.Type(), key))
				return
			}
			d.decode(join(path, key), value, field, depth+1)
		})
	case reflect.Map:
		d.mapOf(path, n, v, depth)
	case reflect.Slice:
		d.list(path, n, v, depth)
	default:
		d.scalar(path, n, v)
	}
}

// mapOf adds the entries of n to a map; one that is there already is changed, not replaced.
func (d *decoder) mapOf(path string, n ast.Node, v reflect.Value, depth int) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.mapping(path, n, "a mapping", func(key string, kn, value ast.Node) {
		name := reflect.New(v.Type().Key()).Elem()
		if err := setText(name, key); err != nil {
			d.fault(join(path, key), kn, "%s", err)
			return
		}
		entry := fresh(v.Type().Elem()).Elem()
		if old := v.MapIndex(name); old.IsValid() {
			entry.Set(old)
		}
		d.decode(join(path, key), value, entry, depth+1)
		v.SetMapIndex(name, entry)
	})
}

func (d *decoder) list(path string, n ast.Node, v reflect.Value, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fault(path, n, "must be a list")
		return
	}
	list := reflect.Zero(v.Type())
	for i, value := range seq.Values {
		entry := fresh(v.Type().Elem()).Elem()
		d.decode(fmt.Sprintf("%s[%d]", path, i), value, entry, depth+1)
		list = reflect.Append(list, entry)
	}
	v.Set(list)
}

// fresh is a pointer to a new value with its defaults.
func fresh(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if d, ok := reflect.TypeAssert[defaulter](p); ok {
		d.SetDefaults()
	}
	return p
}

// mapping calls each for every key of n.
func (d *decoder) mapping(path string, n ast.Node, what string, each func(key string, kn, value ast.Node)) {
	var values []*ast.MappingValueNode
	switch x := n.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		d.fault(path, n, "must be %s", what)
		return
	}
	seen := make(map[string]bool, len(values))
	for _, kv := range values {
		key, ok := scalarText(kv.Key)
		switch {
		case !ok:
			d.fault(path, kv.Key, "a key must be a plain name; anchors and aliases are not read here")
		case seen[key]:
			d.fault(join(path, key), kv.Key, "is given twice")
		default:
			seen[key] = true
			each(key, kv.Key, kv.Value)
		}
	}
}

func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		d.fault(path, n, "must be a single value")
		return
	}
	if _, quoted := n.(*ast.StringNode); quoted && v.Kind() != reflect.String && !isText(v) {
		d.fault(path, n, "%s", wanted(v.Kind()))
		return
	}
	if err := setText(v, text); err != nil {
		d.fault(path, n, "%s", err)
	}
}

// scalarText is a scalar as it is written, so that a password 0123 stays one.
func scalarText(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.NullNode:
		return x.GetToken().Value, true
	}
	return "", false
}

// isText says that a value is one scalar, however many fields it has.
func isText(v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	switch v.Addr().Interface().(type) {
	case *time.Duration, encoding.TextUnmarshaler:
		return true
	}
	return false
}

// setText sets a scalar from its text. Errors do not repeat the text: it may be a secret.
func setText(v reflect.Value, text string) error {
	switch x := v.Addr().Interface().(type) {
	case *time.Duration:
		var err error
		*x, err = parseDuration(text)
		return err
	case encoding.TextUnmarshaler:
		return x.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		if text == "true" || text == "false" {
			v.SetBool(text == "true")
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n, err := strconv.ParseInt(text, 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
			return nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n, err := strconv.ParseUint(text, 10, v.Type().Bits()); err == nil {
			v.SetUint(n)
			return nil
		}
	case reflect.Float32, reflect.Float64:
		if f, err := strconv.ParseFloat(text, v.Type().Bits()); err == nil {
			v.SetFloat(f)
			return nil
		}
	case reflect.Slice:
		return setList(v, text)
	default:
		return fmt.Errorf("cannot be set by a text")
	}
	return errors.New(wanted(v.Kind()))
}

// setList reads values that commas separate, as variables and flags give them.
func setList(v reflect.Value, text string) error {
	list := reflect.Zero(v.Type())
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		entry := reflect.New(v.Type().Elem()).Elem()
		if err := setText(entry, part); err != nil {
			return err
		}
		list = reflect.Append(list, entry)
	}
	v.Set(list)
	return nil
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "must be true or false"
	case reflect.Float32, reflect.Float64:
		return "must be a number"
	default:
		return "must be a whole number"
	}
}

// fieldByName finds the field with a yaml name, also in structs that are inlined.
func fieldByName(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if inlined(f) {
			if found := fieldByName(v.Field(i), name); found.IsValid() {
				return found
			}
			continue
		}
		if f.IsExported() && name != "-" && yamlName(f) == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func inlined(f reflect.StructField) bool {
	_, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return f.Type.Kind() == reflect.Struct && (options == "inline" || f.Anonymous && f.Tag.Get("yaml") == "")
}

// yamlName is the key of a field; "-" is a field that files do not set.
func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "" {
		return strings.ToLower(f.Name)
	}
	return name
}

// unknown says that a struct has no such key, and which one may have been meant.
func unknown(t reflect.Type, key string) string {
	best, least := "", 3
	for f := range t.Fields() {
		if name := yamlName(f); name != "-" {
			if d := distance(name, key); d < least {
				best, least = name, d
			}
		}
	}
	if best == "" {
		return "is no setting"
	}
	return "is no setting; perhaps " + best + " is meant"
}

// distance is how many letters must be changed, added or removed to make one short name of the other.
func distance(a, b string) int {
	if len(b) > len(a)+2 {
		return len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(last+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// join makes a path. A key that is no simple name is quoted, so that the path stays readable.
func join(path, key string) string {
	if strings.ContainsAny(key, ".[]\" \n\t") || key == "" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// resolve reads the files of the secrets of a struct and of the structs in it.
func (d *decoder) resolve(path string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || !v.CanInterface() || isText(v) || v.Type() == reflect.TypeFor[Settings]() {
		return
	}
	for _, err := range split(secret.Resolve(v.Addr().Interface())) {
		f := Fault{Path: path, Message: err.Error()}
		if file, ok := errors.AsType[*secret.FileError](err); ok {
			f = Fault{Path: join(path, file.Field), Message: file.Err.Error()}
		}
		d.faults = append(d.faults, f)
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); inlined(f) {
			d.resolve(path, v.Field(i))
		} else if f.IsExported() && yamlName(f) != "-" {
			d.resolve(join(path, yamlName(f)), v.Field(i))
		}
	}
}

func split(err error) []error {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		return list.Unwrap()
	}
	return nil
}
