package profiles

import (
	"encoding/json"
	"fmt"
	"strings"
)

// What follows walks over JSON that is known to be valid, so that it need not look for mistakes. It exists because
// encoding/json cannot tell a field that is left out from one that is null, and what can takes ten times as long.

// members calls each with the name and the JSON text of every member of an object.
func members(object string, each func(name, value string)) {
	i := skipSpace(object, 1)
	for object[i] != '}' {
		end := stringEnd(object, i)
		name := unquote(object[i:end])
		from := skipSpace(object, skipSpace(object, end)+1) // over the colon
		end = valueEnd(object, from)
		each(name, object[from:end])
		if i = skipSpace(object, end); object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
}

// elements calls each with the JSON text of every element of a list.
func elements(list string, each func(i int, value string)) {
	i := skipSpace(list, 1)
	for n := 0; list[i] != ']'; n++ {
		end := valueEnd(list, i)
		each(n, list[i:end])
		if i = skipSpace(list, end); list[i] == ',' {
			i = skipSpace(list, i+1)
		}
	}
}

// cellOf is a JSON value as a cell of a row.
func cellOf(value string) cell {
	switch value[0] {
	case 'n':
		return cell{formNull, value}
	case 't', 'f':
		return cell{formBool, value}
	case '"':
		return cell{formString, unquote(value)}
	case '[':
		return cell{formList, value}
	case '{':
		return cell{formObject, value}
	}
	return cell{formNumber, value}
}

func skipSpace(s string, i int) int {
	for s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r' {
		i++
	}
	return i
}

// stringEnd is where the string that begins at i ends.
func stringEnd(s string, i int) int {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is where the value that begins at i ends.
func valueEnd(s string, i int) int {
	for depth := 0; i < len(s); {
		switch s[i] {
		case '"':
			i = stringEnd(s, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		default:
			if depth > 0 {
				i++
				continue
			}
			n := strings.IndexAny(s[i:], ",]} \t\r\n")
			if n < 0 {
				return len(s)
			}
			i += n
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// unquote is what a JSON string says.
func unquote(quoted string) string {
	if !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // it is valid
	return s
}

// ReadAttributes reads attributes in the form of AttributesJSON. It leaves out those that are not declared here: they were
// after this schema was read.
func (s *Schema) ReadAttributes(text string) (map[string]Value, error) {
	if text == "" || text == "{}" {
		return nil, nil
	}
	all := map[string]Value{}
	var failed error
	members(text, func(name, value string) {
		if _, ok := s.attributes[name]; !ok {
			return
		}
		v, err := s.ReadAttribute(name, value)
		if err != nil {
			failed = err
			return
		}
		all[name] = v
	})
	return all, failed
}

// ReadAttribute reads the value of an attribute as it is stored.
func (s *Schema) ReadAttribute(name, text string) (Value, error) {
	v, fault := s.attributes[name].Type.read(cellOf(text))
	if fault != "" || s.attributes[name].Name == "" {
		return Value{}, fmt.Errorf("the stored attribute %s is no %s", name, s.attributes[name].Type)
	}
	return v, nil
}
