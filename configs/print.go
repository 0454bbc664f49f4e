package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// YAML is the configuration as a file would give it, with secrets hidden.
func (c *Config) YAML() ([]byte, error) {
	var b strings.Builder
	err := writeSection(&b, reflect.ValueOf(c).Elem(), "", false)
	return []byte(b.String()), err
}

// Example is a file that says what the defaults say, with a comment for each setting.
func Example() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Every setting with its default. A file needs only what it changes.\n" +
		"# Variables win over the file: HERALD_KAFKA_BROKERS=a:9092,b:9092 sets kafka.brokers.\n\n")
	if err := writeSection(&b, reflect.ValueOf(Default()).Elem(), "", true); err != nil {
		return nil, err
	}
	b.WriteString(exampleEnd)
	return []byte(b.String()), nil
}

// exampleEnd shows what lists and maps look like; a test reads it as a file.
const exampleEnd = `
# For example:
#
# providers:
#   - name: mts
#     type: smpp
#     channel: sms
#     weight: 80
#     rate: 200/s
#     settings: {addr: "smsc.example:2775", system_id: shop, password_file: /run/secrets/mts, window: 100}
# policies:
#   default:
#     caps:
#       - {per: day, max: 1}
#       - {per: 7d, rolling: true, channel: sms, max: 2, on: defer}
#     quiet: {from: "21:00", to: "09:00"}
#     timezone: Europe/Moscow
#     consent: asserted
`

// writeSection writes the fields of a struct; lists and maps are left to the encoder.
func writeSection(b *strings.Builder, v reflect.Value, indent string, comments bool) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := yamlName(f)
		if name == "-" {
			continue
		}
		if comments {
			writeComment(b, indent, f.Tag.Get("doc"))
		}
		if isSection(f.Type) {
			fmt.Fprintf(b, "%s%s:\n", indent, name)
			if err := writeSection(b, v.Field(i), indent+"  ", comments); err != nil {
				return err
			}
			continue
		}
		text, err := yaml.MarshalWithOptions(printable(v.Field(i)), yaml.IndentSequence(true))
		if err != nil {
			return fmt.Errorf("print %s: %w", name, err)
		}
		s := strings.TrimRight(string(text), "\n")
		if k := f.Type.Kind(); (k == reflect.Slice || k == reflect.Map) && v.Field(i).Len() > 0 {
			if k == reflect.Map { // the encoder indents the entries of a list itself
				s = "  " + strings.ReplaceAll(s, "\n", "\n  ")
			}
			fmt.Fprintf(b, "%s%s:\n%s%s\n", indent, name, indent, strings.ReplaceAll(s, "\n", "\n"+indent))
			continue
		}
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, s)
	}
	return nil
}

// printable is a value as the encoder should see it: nothing instead of null, a text as a string.
func printable(v reflect.Value) any {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return []string{}
	}
	if t, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		if text, err := t.MarshalText(); err == nil {
			return string(text)
		}
	}
	return v.Interface()
}

// writeComment writes a comment in lines of at most 110 characters.
func writeComment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > 108 {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// Doc is the reference of all settings in Markdown.
func Doc() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\n" +
		"<!-- Written by `herald config doc`; change the doc tags in configs/types.go. -->\n\n" +
		"The later wins: defaults, the YAML file, variables, flags. Unknown keys are errors. Durations and rates carry\n" +
		"their unit (`90s`, `7d`, `200/s`). Lists are separated by commas in variables.\n\n" +
		"| setting | default | variable | meaning |\n|---|---|---|---|\n")
	root := reflect.ValueOf(Default()).Elem()
	walk(root.Type(), "", nil, func(path string, f reflect.StructField, index []int) {
		variable, def := "`"+envName(path)+"`", cell(printable(root.FieldByIndex(index)))
		switch {
		case f.Tag.Get("env") != "":
			path, variable, def = "", "`"+f.Tag.Get("env")+"`", ""
		case isSection(f.Type):
			fmt.Fprintf(&b, "| **%s** | | | %s |\n", path, f.Tag.Get("doc"))
			return
		case !simple(f.Type):
			variable, def = "", ""
		}
		if path != "" {
			path = "`" + path + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", path, def, variable, f.Tag.Get("doc"))
	})
	writeEntry(&b, "An entry of `providers`", reflect.TypeFor[Provider]())
	writeEntry(&b, "An entry of `policies`", reflect.TypeFor[Policy]())
	writeEntry(&b, "An entry of `caps`", reflect.TypeFor[Cap]())
	return b.String()
}

// writeEntry documents the entries of a list or map.
func writeEntry(b *strings.Builder, title string, t reflect.Type) {
	fmt.Fprintf(b, "\n## %s\n\n| key | default | meaning |\n|---|---|---|\n", title)
	defaults := fresh(t).Elem()
	walk(t, "", nil, func(path string, f reflect.StructField, index []int) {
		def := ""
		if simple(f.Type) {
			def = cell(printable(defaults.FieldByIndex(index)))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, def, f.Tag.Get("doc"))
	})
}

func cell(v any) string {
	s := fmt.Sprint(v)
	if s == "" || s == "[]" {
		return ""
	}
	return "`" + s + "`"
}
