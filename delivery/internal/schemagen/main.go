// Command schemagen writes the JSON Schemas (draft 2020-12) of the job and the event contract from the Go types of
// package delivery: names and types by reflection, descriptions from the comments in the source, and the bounds that
// types cannot say from the table in rules.go.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/herald-gateway/herald/delivery"
)

func main() {
	src := flag.String("src", ".", "directory of package delivery")
	out := flag.String("out", "docs/schema", "directory to write to")
	flag.Parse()
	if err := write(*src, *out); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func write(src, out string) error {
	files, err := generate(src)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil { //nolint:gosec // public documents
			return fmt.Errorf("write schema: %w", err)
		}
	}
	return nil
}

// generate gives the schemas by file name.
func generate(src string) (map[string][]byte, error) {
	docs, err := readDocs(src)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for name, root := range map[string]reflect.Type{
		"job.v1.schema.json":   reflect.TypeFor[delivery.Job](),
		"event.v1.schema.json": reflect.TypeFor[delivery.Event](),
	} {
		g := generator{docs: docs}
		schema := object{
			{"$schema", "https://json-schema.org/draft/2020-12/schema"},
			{"$id", "https://github.com/herald-gateway/herald/blob/main/docs/schema/" + name},
			{"title", "Herald " + strings.ToLower(root.Name()) + ", version 1"},
		}
		schema = append(schema, g.structure(root)...)
		schema = append(schema, member{"$defs", g.defs})
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(schema); err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		files[name] = b.Bytes()
	}
	return files, nil
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", m.name)
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o object) has(name string) bool {
	return slices.ContainsFunc(o, func(m member) bool { return m.name == name })
}

// with is o with the members of more, which replace those of the same name.
func (o object) with(more object) object {
	for _, m := range more {
		if i := slices.IndexFunc(o, func(x member) bool { return x.name == m.name }); i >= 0 {
			o[i] = m
			continue
		}
		o = append(o, m)
	}
	return o
}

// generator gathers the definitions of the structures that it meets.
type generator struct {
	docs map[string]string
	defs object
}

// structure is the schema of a structure: what it has, what it must have, and nothing else.
func (g *generator) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		key := t.Name() + "." + f.Name
		s := object{}
		if doc := g.docs[key]; doc != "" {
			s = append(s, member{"description", doc})
		}
		s = append(s, g.schema(f.Type)...)
		s = s.with(rules()[key])
		properties = append(properties, member{name, s})
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	s := object{{"type", "object"}, {"additionalProperties", false}, {"properties", properties}}
	if doc := g.docs[t.Name()]; doc != "" {
		s = append(object{{"description", doc}}, s...)
	}
	if len(required) > 0 {
		s = append(s, member{"required", required})
	}
	return append(s, rules()[t.Name()]...)
}

// schema is the schema of a type within a structure.
func (g *generator) schema(t reflect.Type) object {
	if s, ok := texts()[t]; ok {
		return s
	}
	switch t.Kind() { //nolint:exhaustive // the contract uses no others
	case reflect.Pointer:
		return g.schema(t.Elem())
	case reflect.Struct:
		if !g.defs.has(t.Name()) {
			g.defs = append(g.defs, member{t.Name(), nil})
			at := len(g.defs) - 1
			g.defs[at].value = g.structure(t)
		}
		return object{{"$ref", "#/$defs/" + t.Name()}}
	case reflect.Slice:
		return object{{"type", "array"}, {"items", g.schema(t.Elem())}}
	case reflect.Map:
		if names, ok := texts()[t.Key()]; ok {
			return object{{"type", "object"}, {"propertyNames", names}, {"additionalProperties", g.schema(t.Elem())}}
		}
		return object{{"type", "object"}}
	case reflect.Int:
		return object{{"type", "integer"}}
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.String:
		return object{{"type", "string"}}
	}
	panic("the contract has no type " + t.String())
}
