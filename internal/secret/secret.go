// Package secret keeps passwords and keys from being printed: a String shows itself as <secret> in fmt, JSON, YAML and
// logs, and only Reveal gives the value. Settings may name a file instead of the value, in a twin field.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
)

// Hidden is what a secret prints as.
const Hidden = "<secret>"

// maxFile bounds what is read from a secret's file: larger files are none.
const maxFile = 64 << 10

// String is a value that does not print itself. The zero value is no secret at all and prints as nothing. The value
// stands behind a pointer, so that it stays hidden even where fmt reaches it as an unexported field.
type String struct{ value *string }

// New makes a secret of s; an empty s makes the zero String.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{value: &s}
}

// FromFile reads a secret from a file, without the line break at its end. An empty file is an error.
func FromFile(path string) (String, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return String{}, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return String{}, err
	}
	if len(b) > maxFile {
		return String{}, fmt.Errorf("%s: larger than %d bytes, this is no secret", path, maxFile)
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return String{}, fmt.Errorf("%s: empty", path)
	}
	return New(s), nil
}

// OneOf is the value when it is given, else what stands in the file; both together are an error, neither is the zero
// String.
func OneOf(value String, file string) (String, error) {
	switch {
	case file == "":
		return value, nil
	case !value.IsZero():
		return value, errors.New("give the value or the file, not both")
	}
	return FromFile(file)
}

// Reveal gives the value.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero says that there is no secret.
func (s String) IsZero() bool { return s.value == nil }

// Equal compares two secrets in constant time.
func (s String) Equal(o String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

func (s String) String() string {
	if s.value == nil {
		return ""
	}
	return Hidden
}

// Format prints the hidden form for every verb.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText writes the hidden form.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value. The hidden form is refused: it comes from a configuration that was printed.
func (s *String) UnmarshalText(b []byte) error {
	if string(b) == Hidden {
		return errors.New("is the placeholder " + Hidden + ", not a value")
	}
	*s = New(string(b))
	return nil
}

// MarshalYAML writes the hidden form.
func (s String) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue logs the hidden form.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// FileError says which setting's file could not be used.
type FileError struct {
	Field string // the yaml name of the twin, such as password_file
	Err   error
}

func (e *FileError) Error() string { return e.Field + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// Resolve fills in the secrets of a struct that are given as files: a field of type String with the yaml name
// "password" takes the content of the file that the string field "password_file" names. It looks at the fields of the
// struct itself, not into structs within. The error joins a *FileError for each twin that cannot be used.
func Resolve(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("resolve secrets: %T is no pointer to a struct", into)
	}
	v = v.Elem()
	files := map[string]string{}
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String {
			files[yamlName(v.Type().Field(i))] = v.Field(i).String()
		}
	}
	var errs []error
	for i := range v.NumField() {
		if !v.Field(i).CanSet() {
			continue
		}
		field, ok := reflect.TypeAssert[String](v.Field(i))
		twin := yamlName(v.Type().Field(i)) + "_file"
		if !ok || files[twin] == "" {
			continue
		}
		s, err := OneOf(field, files[twin])
		if err != nil {
			errs = append(errs, &FileError{Field: twin, Err: err})
			continue
		}
		v.Field(i).Set(reflect.ValueOf(s))
	}
	return errors.Join(errs...)
}

func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "" {
		return strings.ToLower(f.Name)
	}
	return name
}
