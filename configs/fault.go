package configs

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Path    string // such as providers[0].settings.addr
	Source  string // the file, the variable or "flag" that it came from; empty for a default
	Line    int    // of the file, 0 when it came from elsewhere
	Message string // never holds the value: it may be a secret
}

func (f Fault) String() string {
	var b strings.Builder
	if f.Source != "" {
		b.WriteString(f.Source)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
	}
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults is everything that is wrong with the configuration; as an error it has one line for each.
type Faults []Fault //nolint:errname // a list of faults, as in delivery

func (f Faults) Error() string {
	list := make([]string, len(f))
	for i := range f {
		list[i] = f[i].String()
	}
	return strings.Join(list, "\n")
}

// err is f as an error, nil when there is none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// origin is where a setting came from.
type origin struct {
	source string
	line   int
}

// origins knows where the settings came from, by path.
type origins map[string]origin

// annotate tells each fault where its setting came from; a setting that is nowhere has the place of what it belongs to.
func (o origins) annotate(faults Faults) {
	for i := range faults {
		for path := faults[i].Path; path != ""; path = parent(path) {
			if at, ok := o[path]; ok {
				faults[i].Source, faults[i].Line = at.source, at.line
				break
			}
		}
	}
}

func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }
