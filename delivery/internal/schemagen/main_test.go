package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestSchemas_AreFresh(t *testing.T) {
	t.Parallel()
	schemas, err := generate("../..")
	require.NoError(t, err)
	require.Len(t, schemas, 2)
	for name, want := range schemas {
		got, err := os.ReadFile(filepath.Join("../../../docs/schema", name))
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(string(want), string(got)), "%s is stale: run go generate ./delivery", name)
	}
	dir := t.TempDir()
	require.NoError(t, write("../..", dir))
	written, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, written, 2)
	require.Error(t, write("../..", filepath.Join(dir, "no such directory")))
	require.Error(t, write(dir, dir))
}

// Every golden file keeps to its schema, and what the decoders refuse by name, type or range the schemas refuse too.
func TestSchemas_AgreeWithTheGoldenFiles(t *testing.T) {
	t.Parallel()
	schemas, err := generate("../..")
	require.NoError(t, err)
	dir := os.DirFS("../../testdata")
	check := func(name string) []string {
		var schema map[string]any
		contract, _, _ := strings.Cut(filepath.Base(name), ".")
		require.NoError(t, json.Unmarshal(schemas[contract+".v1.schema.json"], &schema))
		b, err := fs.ReadFile(dir, name)
		require.NoError(t, err)
		var v any
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		if dec.Decode(&v) != nil || dec.More() {
			return []string{"no JSON"}
		}
		c := checker{root: schema}
		c.value(schema, v, "")
		return c.faults
	}
	good, err := fs.Glob(dir, "*.json")
	require.NoError(t, err)
	require.Greater(t, len(good), 20)
	for _, name := range good {
		require.Empty(t, check(name), name)
	}
	bad, err := fs.Glob(dir, "bad/*.json")
	require.NoError(t, err)
	visible := regexp.MustCompile(`no field of|is no (channel|kind|category|reason)|must be|is required\n$|is empty`)
	for _, name := range bad {
		faults, err := fs.ReadFile(dir, strings.TrimSuffix(name, ".json")+".faults")
		require.NoError(t, err)
		if visible.Match(faults) {
			require.NotEmpty(t, check(name), "%s: %s", name, faults)
		}
	}
}

// checker knows the keywords that the two schemas use, and fails on any other.
type checker struct {
	root   map[string]any
	faults []string
}

func (c *checker) fault(path, format string, args ...any) {
	c.faults = append(c.faults, path+": "+fmt.Sprintf(format, args...))
}

func (c *checker) valid(schema, v any) bool {
	sub := checker{root: c.root}
	sub.value(schema.(map[string]any), v, "")
	return len(sub.faults) == 0
}

func (c *checker) value(schema map[string]any, v any, path string) {
	if ref, ok := schema["$ref"].(string); ok {
		c.value(c.root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), v, path)
	}
	for keyword, want := range schema {
		switch keyword {
		case "$schema", "$id", "$ref", "$defs", "title", "description", "properties", "additionalProperties":
		case "type":
			if got := typeOf(v); got != want && (want != "number" || got != "integer") {
				c.fault(path, "is %s, not %s", got, want)
			}
		case "oneOf", "anyOf":
			n := 0
			for _, s := range want.([]any) {
				if c.valid(s, v) {
					n++
				}
			}
			if n == 0 || keyword == "oneOf" && n > 1 {
				c.fault(path, "%s fits %d", keyword, n)
			}
		case "const":
			if fmt.Sprint(v) != fmt.Sprint(want) {
				c.fault(path, "is not %v", want)
			}
		case "enum":
			if !slices.Contains(want.([]any), v) {
				c.fault(path, "%v is none of %v", v, want)
			}
		default:
			switch v := v.(type) {
			case map[string]any:
				c.object(keyword, want, v, path)
			case []any:
				c.array(keyword, want, v, path)
			case string:
				c.text(keyword, want, v, path)
			case json.Number:
				c.number(keyword, want, v, path)
			}
		}
	}
	if m, ok := v.(map[string]any); ok {
		c.members(schema, m, path)
	}
}

func (c *checker) members(schema, v map[string]any, path string) {
	known, _ := schema["properties"].(map[string]any)
	for name, x := range v {
		if s, ok := known[name].(map[string]any); ok {
			c.value(s, x, path+"."+name)
			continue
		}
		switch more := schema["additionalProperties"].(type) {
		case bool:
			c.fault(path, "%s is unknown", name)
		case map[string]any:
			c.value(more, x, path+"."+name)
		}
	}
}

func (c *checker) object(keyword string, want any, v map[string]any, path string) {
	switch keyword {
	case "required":
		for _, name := range want.([]any) {
			if _, ok := v[name.(string)]; !ok {
				c.fault(path, "%s is missing", name)
			}
		}
	case "minProperties":
		if float64(len(v)) < want.(float64) {
			c.fault(path, "has too few members")
		}
	case "propertyNames":
		for name := range v {
			if !c.valid(want, name) {
				c.fault(path, "%s is no name", name)
			}
		}
	default:
		c.other(keyword, path)
	}
}

func (c *checker) array(keyword string, want any, v []any, path string) {
	n, _ := want.(float64)
	switch keyword {
	case "items":
		for i, x := range v {
			c.value(want.(map[string]any), x, fmt.Sprintf("%s[%d]", path, i))
		}
	case "minItems", "maxItems":
		if l := float64(len(v)); keyword == "minItems" && l < n || keyword == "maxItems" && l > n {
			c.fault(path, "has %v items, %s is %v", l, keyword, n)
		}
	default:
		c.other(keyword, path)
	}
}

func (c *checker) text(keyword string, want any, v, path string) {
	n, _ := want.(float64)
	switch keyword {
	case "pattern":
		if !regexp.MustCompile(want.(string)).MatchString(v) {
			c.fault(path, "%q does not match %s", v, want)
		}
	case "format":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			c.fault(path, "%q is no %s", v, want)
		}
	case "minLength", "maxLength":
		l := float64(utf8.RuneCountInString(v))
		if keyword == "minLength" && l < n || keyword == "maxLength" && l > n {
			c.fault(path, "has %v characters, %s is %v", l, keyword, n)
		}
	default:
		c.other(keyword, path)
	}
}

func (c *checker) number(keyword string, want any, v json.Number, path string) {
	n, _ := v.Float64()
	limit, _ := want.(float64)
	switch keyword {
	case "minimum", "maximum":
		if keyword == "minimum" && n < limit || keyword == "maximum" && n > limit {
			c.fault(path, "%v is beyond %s %v", v, keyword, want)
		}
	default:
		c.other(keyword, path)
	}
}

// other passes over a keyword that says nothing of the type that the value has.
func (c *checker) other(keyword, path string) {
	known := "required minProperties propertyNames items minItems maxItems pattern format minLength maxLength minimum maximum"
	if !slices.Contains(strings.Fields(known), keyword) {
		c.fault(path, "unknown keyword %s", keyword)
	}
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}
