package templates

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Code classifies a diagnostic or an error of rendering. The codes of syntax faults are those of package syntax.
type Code string

// What compiling finds.
const (
	CodeUnknownPart    Code = "unknown_part"
	CodeUnknownField   Code = "unknown_field"
	CodeUndeclared     Code = "undeclared_data" // a warning
	CodeUnknownFilter  Code = "unknown_filter"
	CodeUnknownSnippet Code = "unknown_snippet"
	CodeIncludeCycle   Code = "include_cycle"
	CodeIncludes       Code = "too_many_includes"
	CodeArguments      Code = "arguments"
	CodeNumber         Code = "number"
	CodePlace          Code = "forbidden_place"
	CodeBranches       Code = "unbalanced_html"
	CodeElement        Code = "forbidden_element"
	CodeHost           Code = "macro_in_host"   // a warning
	CodeFallback       Code = "fallback_filter" // a warning
)

// What rendering finds. Kind and items are found at save too, where they are certain.
const (
	CodeMissing  Code = "missing"
	CodeKind     Code = "kind"
	CodeCompute  Code = "compute"
	CodeUnsafe   Code = "unsafe_style"
	CodeSteps    Code = "budget_steps"
	CodeOutput   Code = "budget_output"
	CodeValue    Code = "budget_value"
	CodeItems    Code = "budget_items"
	CodeDataFold Code = "data"
)

// Diag is what compiling has to say about one place of a source. Lines and columns count from 1, columns in characters.
type Diag struct {
	Part      string
	Line, Col int
	Code      Code
	// Text says what is wrong and what to write instead; Macro is the macro or tag that it is about.
	Text, Macro string
	// Warn: the template can be used as it is.
	Warn bool
}

// String returns the diagnostic on one line.
func (d Diag) String() string {
	s := fmt.Sprintf("%s %d:%d: %s", d.Part, d.Line, d.Col, d.Text)
	if d.Macro != "" {
		s += fmt.Sprintf(" (%s)", d.Macro)
	}
	return s
}

// Error is why a message could not be rendered. It names the macro and its place and never a value.
type Error struct {
	Code      Code
	Part      string
	Line, Col int
	Macro     string
	Text      string
}

// Error returns the error on one line.
func (e *Error) Error() string {
	if e.Macro == "" {
		return fmt.Sprintf("%s %d:%d: %s", e.Part, e.Line, e.Col, e.Text)
	}
	return fmt.Sprintf("%s %d:%d: macro %q: %s", e.Part, e.Line, e.Col, e.Macro, e.Text)
}

// Is lets errors.Is find ErrMissing in an error about a macro without a value.
func (e *Error) Is(target error) bool { return target == ErrMissing && e.Code == CodeMissing }

// file is a source of nodes: a part, or a snippet that was included in one.
type file struct {
	part, snippet, text string
}

// pos is a place in one of the files of a template.
type pos struct {
	file, offset int32
}

// position returns line and column of an offset.
func (f *file) position(offset int) (line, col int) {
	before := f.text[:min(offset, len(f.text))]
	line = strings.Count(before, "\n") + 1
	return line, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// in says that a text is about a snippet, whose lines are not those of the part.
func (f *file) in(text string) string {
	if f.snippet == "" {
		return text
	}
	return fmt.Sprintf("snippet %q: %s", f.snippet, text)
}

// sorted puts diagnostics in the order of parts and places, each once.
func sorted(list []Diag, parts []Part) []Diag {
	order := map[string]int{}
	for i, p := range parts {
		order[p.Name] = i
	}
	slices.SortStableFunc(list, func(a, b Diag) int {
		return cmp.Or(cmp.Compare(order[a.Part], order[b.Part]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(list)
}
