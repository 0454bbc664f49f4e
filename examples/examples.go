// Package examples carries what `herald up --demo` shows. jobs.ndjson holds the invented messages of a retail chain, made
// by examples/generate, always the same ones; profiles.ndjson a few of its clients, who do not exist. profiles.csv is such
// a file as marketers have it, and changes one of them.
package examples

import _ "embed" // for the files

//go:generate go run ./generate -o jobs.ndjson

//go:embed jobs.ndjson
var jobs []byte

// Jobs is the content of jobs.ndjson: one job a line, as Kafka and the API take them, without launch. The caller must not
// change it.
func Jobs() []byte { return jobs }

//go:embed profiles.ndjson
var profiles []byte

// Profiles is the content of profiles.ndjson: one client a line. Their attributes are those of Attributes. The caller must
// not change it.
func Profiles() []byte { return profiles }

// Attribute is an attribute of the clients.
type Attribute struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Title string `json:"title"`
}

// Attributes lists the attributes that the clients have.
func Attributes() []Attribute {
	return []Attribute{
		{"bonus", "number", "Бонусы"},
		{"level", "string", "Уровень"},
		{"spent", "money", "Потрачено"},
		{"joined", "date", "Дата вступления"},
	}
}
