package templates

import (
	"slices"
	"strings"
)

// FieldSet is what a template uses, so that only that is loaded.
type FieldSet struct {
	// Paths are the canonical paths, sorted: contact.first_name, coupon.code, data.size, urls.unsubscribe.
	Paths []string
}

// Under returns the fields of one root without it: those of the contact are the columns to load.
func (f FieldSet) Under(root string) []string {
	var out []string
	for _, p := range f.Paths {
		if rest, ok := strings.CutPrefix(p, root+"."); ok {
			out = append(out, rest)
		}
	}
	return out
}

// Uses reports whether a root, or something in it, is used.
func (f FieldSet) Uses(root string) bool {
	return slices.ContainsFunc(f.Paths, func(p string) bool { return p == root || strings.HasPrefix(p, root+".") })
}

// URL is a place of a template where a url stands: the value of an attribute in HTML, a part that is a url, or a web
// address in a text.
type URL struct {
	Part      string
	Line, Col int
	// Tag and Attr are empty outside of HTML.
	Tag, Attr string
	// Literal is the url as it stands in the source, without its macros; Macros says that there are some.
	Literal string
	Macros  bool
}
