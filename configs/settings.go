package configs

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/herald-gateway/herald/internal/secret"
)

// Settings are a provider's settings as they were written. The zero value holds none.
type Settings struct {
	node   ast.Node
	path   string
	source string
}

// ParseSettings reads settings from YAML, for tests and for tools that make a provider without a file.
func ParseSettings(text string) (Settings, error) {
	d := &decoder{source: "settings", origins: origins{}}
	n := d.parse([]byte(text))
	return Settings{node: n, path: "settings", source: d.source}, d.faults.err()
}

// Decode fills a struct with yaml tags; what the settings do not name stays as it is. Unknown keys, wrong types and
// files of secrets that cannot be read are Faults, all at once and with their paths, such as
// providers[0].settings.addr. A field of type secret.String named x takes the content of the file that x_file names.
func (s Settings) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode settings: %T is no pointer to a struct", into)
	}
	d := &decoder{source: s.source, origins: origins{}}
	d.decode(s.path, s.node, v.Elem(), 0)
	before := len(d.faults)
	d.resolve(s.path, v.Elem())
	d.origins.annotate(d.faults[before:])
	return d.faults.err()
}

// Fault is a fault of one setting, for a check that the provider's package makes after Decode.
func (s Settings) Fault(key, message string) error {
	return Faults{{Path: join(s.path, key), Source: s.source, Line: lineOf(s.node), Message: message}}
}

// IsZero says that no settings were given.
func (s Settings) IsZero() bool { return s.node == nil }

// MarshalYAML writes the settings with what looks like a secret hidden: the type alone knows which are.
func (s Settings) MarshalYAML() (any, error) { return shown(s.node, ""), nil }

// shown is a node as values to print.
func shown(n ast.Node, key string) any {
	switch x := n.(type) {
	case nil:
		return yaml.MapSlice{}
	case *ast.MappingValueNode:
		return shownMapping([]*ast.MappingValueNode{x})
	case *ast.MappingNode:
		return shownMapping(x.Values)
	case *ast.SequenceNode:
		list := make([]any, len(x.Values))
		for i, value := range x.Values {
			list[i] = shown(value, key)
		}
		return list
	case *ast.StringNode, *ast.LiteralNode:
		text, _ := scalarText(n)
		if secretKey(key) && text != "" || holdsLogin(text) {
			return secret.Hidden
		}
		return text
	case ast.ScalarNode:
		if secretKey(key) {
			return secret.Hidden
		}
		return x.GetValue()
	}
	return secret.Hidden
}

func shownMapping(values []*ast.MappingValueNode) yaml.MapSlice {
	list := yaml.MapSlice{}
	for _, kv := range values {
		key, _ := scalarText(kv.Key)
		list = append(list, yaml.MapItem{Key: key, Value: shown(kv.Value, key)})
	}
	return list
}

// secretKey says by its name that a setting holds a secret itself rather than the file of one.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "_file") {
		return false
	}
	for _, word := range []string{"pass", "secret", "token", "key", "credential", "auth"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

// holdsLogin says that a text is a URL with a password in it.
func holdsLogin(text string) bool {
	_, rest, ok := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	return ok && strings.Contains(host, "@")
}
