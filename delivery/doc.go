// Package delivery holds the words that every part of Herald shares: jobs, messages, events, channels, reasons and
// outcomes, their numbers and their JSON form. It is a leaf without I/O; campaign services outside this repository may
// import it to build jobs and read events.
//
// A job is one communication to one recipient; a message is the job on one link of its cascade; an event says what
// became of a message. Jobs travel on herald.jobs.transactional and herald.jobs.bulk, events on herald.events. The
// golden files in testdata are the public contract: it changes only by adding.
package delivery

//go:generate go run ./internal/schemagen -src . -out ../docs/schema
