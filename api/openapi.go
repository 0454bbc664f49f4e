package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-gateway/herald/delivery"
)

// OpenAPI is the description of the API as it is committed in api/openapi.json.
func OpenAPI() ([]byte, error) {
	a, err := build(Config{})
	if err != nil {
		return nil, err
	}
	return a.openAPI()
}

func (a *API) openAPI() ([]byte, error) {
	doc := a.huma.OpenAPI()
	// Errors never repeat what was sent.
	if detail, ok := doc.Components.Schemas.Map()["ErrorDetail"]; ok {
		delete(detail.Properties, "value")
	}
	if problem, ok := doc.Components.Schemas.Map()["ErrorModel"]; ok {
		problem.Properties["errors"].Nullable = false
	}
	raw, err := doc.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the openapi description: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", " "); err != nil {
		return nil, fmt.Errorf("write the openapi description: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func schemaOf[T any](r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[T](), true, "") }

// messagesBody describes the body of POST /messages. The bodies themselves are read by delivery.DecodeJob, so that a job
// has the same faults here and on Kafka.
func messagesBody(r huma.Registry) *huma.RequestBody {
	job := schemaOf[delivery.Job](r)
	patchJob(r.Map())
	list := &huma.Schema{
		Type: "object", Description: "Up to 1000 jobs.", AdditionalProperties: false, Required: []string{"jobs"},
		Properties: map[string]*huma.Schema{
			"jobs":    {Type: "array", Items: job, MinItems: new(1), MaxItems: new(MaxBatch)},
			"declare": {Type: "boolean", Description: "Add the jobs that are new to the declared size of their launches."},
		},
	}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{job, list}}},
	}}
}

// patchJob adds to the schemas of a job what its Go types do not say.
func patchJob(schemas map[string]*huma.Schema) {
	property := func(schema, name string, change func(*huma.Schema)) {
		if s := schemas[schema].Properties[name]; s != nil {
			change(s)
			return
		}
		panic("api: the schema " + schema + " has no " + name) // a field of delivery was renamed
	}
	enum := func(schema, name string, values ...any) {
		property(schema, name, func(s *huma.Schema) { s.Type, s.Enum = "string", values })
	}
	delete(schemas["Job"].Properties, "herald")
	delete(schemas, "Internal")
	schemas["Job"].Description = "One communication to one recipient, as it stands on a jobs topic. Either template or " +
		"content, and profile or recipient or both."
	property("Job", "v", func(s *huma.Schema) { s.Enum = []any{delivery.Version} })
	property("Job", "key", func(s *huma.Schema) { s.MaxLength = new(delivery.MaxKeyBytes) })
	property("Job", "launch", func(s *huma.Schema) { s.MaxLength = new(delivery.MaxLabelBytes) })
	property("Job", "priority", func(s *huma.Schema) { s.Minimum, s.Maximum = new(0.0), new(float64(delivery.MaxPriority)) })
	property("Job", "not_before", func(s *huma.Schema) {
		s.Description = "RFC 3339; without an offset it is the recipient's local time."
	})
	enum("Job", "category", anyOf(delivery.Categories())...)
	enum("Link", "channel", anyOf(delivery.Channels())...)
	enum("Link", "advance_on", anyOf(delivery.AdvanceOns())...)
	property("Link", "ttl", func(s *huma.Schema) { s.Type, s.Description = "string", "Such as 90s, 1h or 7d." })
	for _, name := range []string{"Job", "Recipient"} {
		for _, s := range schemas[name].Properties {
			if s.Type == "array" {
				s.Nullable = false
			}
		}
	}
}

func anyOf[T fmt.Stringer](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}
