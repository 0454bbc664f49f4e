package api

import (
	"bytes"
	_ "embed" // the page's template
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsTemplate string

// docsPage renders the description as one page that needs nothing else: no script, no style sheet, no foreign host.
func docsPage(doc *huma.OpenAPI) ([]byte, error) {
	page, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("read the template of the api page: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, docsOf(doc)); err != nil {
		return nil, fmt.Errorf("render the api page: %w", err)
	}
	return b.Bytes(), nil
}

type docsData struct {
	Title, Version, Description string
	Groups                      []docsGroup
	Schemas                     []docsSchema
}

type docsGroup struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description, Scope string
	Parameters                                    []docsField
	Body                                          docsType
	Answers                                       []docsAnswer
}

type docsField struct {
	Name, In, Description, Limits string
	Type                          docsType
	Required                      bool
}

type docsAnswer struct {
	Status, Description string
	Type                docsType
}

type docsSchema struct {
	Name, Description string
	Fields            []docsField
}

// docsType is a type in words, with the schemas that it names.
type docsType struct {
	Text  string
	Links []string
}

func docsOf(doc *huma.OpenAPI) docsData {
	d := docsData{Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description}
	groups := map[string]*docsGroup{}
	var order []string
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			tag := op.Tags[0]
			if groups[tag] == nil {
				groups[tag] = &docsGroup{Name: tag}
				order = append(order, tag)
			}
			groups[tag].Operations = append(groups[tag].Operations, docsOperationOf(op))
		}
	}
	slices.Sort(order)
	for _, tag := range order {
		d.Groups = append(d.Groups, *groups[tag])
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		d.Schemas = append(d.Schemas, docsSchema{Name: name, Description: schemas[name].Description, Fields: fieldsOf(schemas[name])})
	}
	return d
}

func docsOperationOf(op *huma.Operation) docsOperation {
	o := docsOperation{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary,
		Description: op.Description, Scope: string(scopeOf(op)),
	}
	for _, p := range op.Parameters {
		o.Parameters = append(o.Parameters, docsField{
			Name: p.Name, In: p.In, Description: p.Description,
			Required: p.Required, Type: typeOf(p.Schema), Limits: limitsOf(p.Schema),
		})
	}
	if op.RequestBody != nil {
		o.Body = contentOf(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		o.Answers = append(o.Answers, docsAnswer{Status: status, Description: r.Description, Type: contentOf(r.Content)})
	}
	return o
}

func contentOf(content map[string]*huma.MediaType) docsType {
	for _, name := range slices.Sorted(maps.Keys(content)) {
		return typeOf(content[name].Schema)
	}
	return docsType{}
}

func fieldsOf(s *huma.Schema) []docsField {
	var list []docsField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		list = append(list, docsField{
			Name: name, Description: p.Description, Type: typeOf(p), Limits: limitsOf(p),
			Required: slices.Contains(s.Required, name),
		})
	}
	return list
}

func typeOf(s *huma.Schema) docsType {
	switch {
	case s == nil:
		return docsType{}
	case s.Ref != "":
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return docsType{Text: name, Links: []string{name}}
	case len(s.OneOf) > 0:
		return joined(" or ", s.OneOf)
	case s.Type == "array":
		t := typeOf(s.Items)
		t.Text = "list of " + t.Text
		return t
	case s.Type == "object" && len(s.Properties) > 0:
		var t docsType
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			p := typeOf(s.Properties[name])
			t.Text += ", " + name + ": " + p.Text
			t.Links = append(t.Links, p.Links...)
		}
		t.Text = "{" + strings.TrimPrefix(t.Text, ", ") + "}"
		return t
	case s.Type == "":
		return docsType{Text: "any"}
	case s.Format != "":
		return docsType{Text: s.Type + " (" + s.Format + ")"}
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return docsType{Text: "map of " + typeOf(values).Text}
	}
	return docsType{Text: s.Type}
}

func joined(word string, list []*huma.Schema) docsType {
	var t docsType
	for i, s := range list {
		one := typeOf(s)
		if i > 0 {
			t.Text += word
		}
		t.Text += one.Text
		t.Links = append(t.Links, one.Links...)
	}
	slices.Sort(t.Links)
	t.Links = slices.Compact(t.Links)
	return t
}

// limitsOf is what a schema demands, in words.
func limitsOf(s *huma.Schema) string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(v)
		}
		add("one of %s", strings.Join(values, ", "))
	}
	if s.Minimum != nil {
		add("at least %v", *s.Minimum)
	}
	if s.Maximum != nil {
		add("at most %.0f", *s.Maximum)
	}
	if s.MaxLength != nil {
		add("at most %d characters", *s.MaxLength)
	}
	if s.Pattern != "" {
		add("form %s", s.Pattern)
	}
	if s.Default != nil {
		if b, err := json.Marshal(s.Default); err == nil {
			add("default %s", b)
		}
	}
	return strings.Join(list, "; ")
}
