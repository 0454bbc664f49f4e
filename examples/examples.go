// Package examples carries the jobs that `herald up --demo` sends: jobs.ndjson, the invented messages of a retail chain.
// They are made by examples/generate, always the same ones.
package examples

import _ "embed" // for the jobs

//go:generate go run ./generate -o jobs.ndjson

//go:embed jobs.ndjson
var jobs []byte

// Jobs is the content of jobs.ndjson: one job a line, as Kafka and the API take them, without launch. The caller must not
// change it.
func Jobs() []byte { return jobs }
