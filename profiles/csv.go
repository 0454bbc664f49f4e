package profiles

import (
	"strings"
	"unicode/utf8"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/fold"
)

// clearing is the cell of CSV that clears a field; an empty cell leaves it as it is.
const clearing = `\N`

// maxColumns is more than there can be fields and attributes.
const maxColumns = maxAttributes + 100

// notClosed is the fault of a line that a cell goes beyond.
const notClosed = "has a quote that is not closed on its line"

// table reads the lines of a CSV file into updates. A row is one line: a cell that goes over several lines is a fault of
// them all, and a quote which somebody forgot to close spoils one row and not the rest of the file.
type table struct {
	decoder *Decoder
	comma   byte // between the cells
	columns []column
	cells   []string // of the current line
	open    bool     // a cell of the current line does not end on it
}

// column says what the cells of a column are.
type column struct {
	name  string // as it is headed by the rules of JSON, for faults
	id    bool
	field Field
	// attribute counts when it has a name.
	attribute Attribute
}

// newTable reads the heading: names of fields, titles, names and titles of attributes, in any case. The cells are parted
// by what the heading has most of: comma, semicolon or tab.
func newTable(d *Decoder, heading string) (*table, delivery.Faults) {
	var f faults
	if !utf8.ValidString(heading) {
		f.add("", "the heading is not UTF-8")
		return nil, delivery.Faults(f)
	}
	t := &table{decoder: d, comma: ','}
	for _, c := range []byte{';', '\t'} {
		if strings.Count(heading, string(c)) > strings.Count(heading, string(t.comma)) {
			t.comma = c
		}
	}
	if fault := t.split(heading); fault != "" {
		f.add("", "the heading %s", fault)
		return nil, delivery.Faults(f)
	}
	if len(t.cells) > maxColumns {
		f.add("", "the heading has %d columns, at most %d are possible", len(t.cells), maxColumns)
		return nil, delivery.Faults(f)
	}
	taken := map[string]bool{}
	for i, title := range t.cells {
		c, ok := d.schema.column(title)
		switch {
		case !ok:
			f.add("", "column %d of the heading is neither a field of profiles nor a declared attribute", i+1)
		case taken[c.name]:
			f.add("", "column %d of the heading is there twice: %s", i+1, c.name)
		}
		taken[c.name] = true
		t.columns = append(t.columns, c)
	}
	if !taken[externalName] {
		f.add("", "the heading has no column id")
	}
	if len(f) > 0 {
		return nil, delivery.Faults(f)
	}
	return t, nil
}

// column finds what a heading means.
func (s *Schema) column(title string) (column, bool) {
	folded := fold.Name(title)
	if f, ok := fieldByFolded(folded); ok {
		return column{name: f.Name(), field: f}, true
	}
	if name, ok := s.names[folded]; ok {
		return column{name: "attributes." + name, attribute: s.attributes[name]}, true
	}
	if name, _ := builtin(folded); name == externalName {
		return column{name: externalName, id: true}, true
	}
	return column{}, false
}

// update reads a row.
func (t *table) update(line string) (*Update, delivery.Faults) {
	var f faults
	fault := t.split(line)
	t.open = fault == notClosed
	if !utf8.ValidString(line) {
		fault = "is not UTF-8"
	}
	if fault != "" {
		f.add("", "%s", fault)
		return nil, delivery.Faults(f)
	}
	if len(t.cells) != len(t.columns) {
		f.add("", "has %d cells, the heading has %d", len(t.cells), len(t.columns))
		return nil, delivery.Faults(f)
	}
	u := &Update{}
	for i, col := range t.columns {
		t.cell(u, &col, t.cells[i], &f)
	}
	if len(f) > 0 {
		return nil, delivery.Faults(f)
	}
	return u, nil
}

func (t *table) cell(u *Update, col *column, text string, f *faults) {
	c := cell{formCell, text}
	switch trimmed := strings.TrimSpace(text); {
	case col.id:
		if trimmed == clearing {
			c.text = "" // nothing names the client
		}
		t.decoder.external(u, c, f)
		return
	case trimmed == "":
		return
	case trimmed == clearing:
		c = cell{form: formNull}
	case t.comma == ';' && (col.attribute.Type == TypeNumber || col.attribute.Type == TypeMoney):
		c.text = strings.Replace(text, ",", ".", 1) // where cells are parted by semicolons, the comma is a decimal point
	}
	if col.attribute.Name != "" {
		t.decoder.attribute(u, col.name, col.attribute, c, f)
	} else {
		t.decoder.field(u, col.field, c, f)
	}
}

// split cuts a line into its cells (RFC 4180): a cell that begins with a quote ends with one, and two quotes within it are
// one. A quote elsewhere is just a quote.
func (t *table) split(line string) (fault string) {
	t.cells = t.cells[:0]
	for {
		if !strings.HasPrefix(line, `"`) {
			end := strings.IndexByte(line, t.comma)
			if end < 0 {
				t.cells = append(t.cells, line)
				return ""
			}
			t.cells = append(t.cells, line[:end])
			line = line[end+1:]
			continue
		}
		text, rest, ok := quotedCell(line[1:])
		t.cells = append(t.cells, text)
		switch {
		case !ok:
			return notClosed
		case rest == "":
			return ""
		case rest[0] != t.comma:
			return "has text after a quote that closes a cell"
		}
		line = rest[1:]
	}
}

// quotedCell reads a cell after its opening quote, and gives what follows the closing one.
func quotedCell(s string) (text, rest string, ok bool) {
	end := strings.IndexByte(s, '"')
	for from := 0; end >= 0; {
		if !strings.HasPrefix(s[end+1:], `"`) {
			text = s[:end]
			if from > 0 {
				text = strings.ReplaceAll(text, `""`, `"`)
			}
			return text, s[end+1:], true
		}
		from = end + 2
		next := strings.IndexByte(s[from:], '"')
		if next < 0 {
			break
		}
		end = from + next
	}
	return "", "", false
}
