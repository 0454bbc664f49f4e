package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// maxFile bounds the size of a configuration file.
const maxFile = 1 << 20

// Override is a setting given by a flag.
type Override struct {
	path, value string
}

// Set overrides the setting at a path, such as http.private; lists are separated by commas.
func Set(path, value string) Override { return Override{path, value} }

// Load reads the configuration: the defaults, then the file at path (none when it is empty), then the variables of env
// ("NAME=value", as os.Environ gives them), then overrides. What is wrong in any of them is one error of type Faults. A
// file that cannot be read is an error of its own.
func Load(path string, env []string, overrides ...Override) (*Config, error) {
	var b []byte
	if path != "" {
		var err error
		if b, err = readFile(path); err != nil {
			return nil, err
		}
	}
	return parse(filepath.Base(path), b, env, overrides)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read the configuration: %s is larger than %d bytes", path, maxFile)
	}
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return b, nil
}

// Parse is Load for a file that is already read; source is how faults name it.
func Parse(source string, b []byte, env []string, overrides ...Override) (*Config, error) {
	return parse(source, b, env, overrides)
}

func parse(source string, b []byte, env []string, overrides []Override) (*Config, error) {
	c := Default()
	d := &decoder{source: source, origins: origins{}}
	root := reflect.ValueOf(c).Elem()
	if n := d.parse(b); n != nil {
		d.decode("", n, root, 0)
	}
	d.environment(root, env)
	for _, o := range overrides {
		d.set(root, o.path, o.value, "flag")
	}
	before := len(d.faults)
	d.resolve("", root)
	// Faults of decoding leave zero or default values behind, so that the checks may follow at once.
	d.faults = append(d.faults, c.check()...)
	d.origins.annotate(d.faults[before:])
	d.faults = firstOfEach(d.faults)
	if err := d.faults.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// firstOfEach keeps one fault for each setting: a value that could not be read is not also out of range.
func firstOfEach(faults Faults) Faults {
	seen := make(map[string]bool, len(faults))
	kept := faults[:0]
	for _, f := range faults {
		if f.Path == "" || !seen[f.Path] {
			kept = append(kept, f)
		}
		seen[f.Path] = true
	}
	return kept
}

// set sets one setting by its path.
func (d *decoder) set(root reflect.Value, path, value, source string) {
	d.origins[path] = origin{source: source}
	v := root
	for key := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Struct && !isText(v) {
			v = fieldByName(v, key)
		} else {
			v = reflect.Value{}
		}
		if !v.IsValid() {
			d.faults = append(d.faults, Fault{Path: path, Source: source, Message: "is no setting"})
			return
		}
	}
	if err := setText(v, value); err != nil {
		d.faults = append(d.faults, Fault{Path: path, Source: source, Message: err.Error()})
	}
}

const envPrefix = "HERALD_"

// environment sets what variables give. A variable that begins like a section and names none of its settings is a fault;
// others with the prefix may belong to tools or to the platform and are let be.
func (d *decoder) environment(root reflect.Value, env []string) {
	known := map[string]setting{}
	sections := map[string]bool{}
	for _, s := range settings(root.Type()) {
		known[s.env] = s
		if section, _, nested := strings.Cut(s.path, "."); nested {
			sections[envName(section)+"_"] = true
		}
	}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		if s, ok := known[name]; ok {
			d.setVariable(root, s, value)
			continue
		}
		for section := range sections {
			if strings.HasPrefix(name, section) && !fromPlatform(name) {
				d.faults = append(d.faults, Fault{Source: name, Message: "is a variable of no setting"})
			}
		}
	}
}

func (d *decoder) setVariable(root reflect.Value, s setting, value string) {
	if s.path != "" {
		d.set(root, s.path, value, s.env)
		return
	}
	if err := setText(root.FieldByIndex(s.index), value); err != nil {
		d.faults = append(d.faults, Fault{Source: s.env, Message: err.Error()})
	}
}

// fromPlatform knows the variables that Kubernetes makes for a service whose name begins with herald.
func fromPlatform(name string) bool {
	return strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT_") || strings.HasSuffix(name, "_PORT")
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// setting is one scalar of the configuration that variables and flags can set.
type setting struct {
	path  string // empty when only a variable sets it
	env   string
	index []int
	field reflect.StructField
}

// settings lists the scalars, and the lists of scalars, in their order.
func settings(t reflect.Type) []setting {
	var list []setting
	walk(t, "", nil, func(path string, f reflect.StructField, index []int) {
		if env := f.Tag.Get("env"); env != "" {
			list = append(list, setting{env: env, index: index, field: f})
		} else if simple(f.Type) {
			list = append(list, setting{path: path, env: envName(path), index: index, field: f})
		}
	})
	return list
}

// walk visits the fields of a struct and of the structs in it, parents first.
func walk(t reflect.Type, path string, index []int, visit func(string, reflect.StructField, []int)) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := join(path, yamlName(f))
		deep := append(append([]int(nil), index...), i)
		visit(at, f, deep)
		if isSection(f.Type) {
			walk(f.Type, at, deep, visit)
		}
	}
}

// isSection says that a field groups settings rather than being one.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !isText(reflect.New(t).Elem()) && t != reflect.TypeFor[Settings]()
}

func simple(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		return isText(reflect.New(t).Elem())
	case reflect.Slice:
		return simple(t.Elem())
	case reflect.Map, reflect.Pointer:
		return false
	default:
		return true
	}
}
