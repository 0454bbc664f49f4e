// Package recorder turns the log of events into what is known: the state of every message, the timeline, the ledger of
// every launch, the figures that reports read, and the rows that bring the next link of a cascade.
//
// # One transaction per batch
//
// A batch is some records of one partition, in order. Its transaction first moves the stream's offset, comparing it with
// the offset that the batch begins at; so a member of an older generation, which would do the same work again, changes
// nothing. Then the rows of the messages in the batch are read, the events are merged into them, and what has changed is
// written: messages, timeline, provider references, due rows, and last the counters, sorted, so that recorders of
// different partitions never wait for each other in a circle.
//
// All events of a job share a partition, and whoever holds the offset's row is alone with it: nobody else writes the
// messages of the batch between reading and writing. The writes compare the state that was read nevertheless, and a
// difference fails the batch.
//
// # Order does not matter
//
// What is kept of a message is the maximum or the minimum of what its events say, and the counters are functions of what
// is kept: each message stands in the figure of its status and in the first-event figures of its flags, each job in the
// one bucket of the ledger that delivery.Fold names. A batch moves counters by the difference of before and after. So
// repeats, late and early events change nothing, and a replay of the log into empty tables gives the same figures.
//
// A message row is made only by the dispatcher's events, which say whose message it is. Whatever else comes before is
// parked and applied in the batch that makes the row.
//
// # What cannot be recorded
//
// A record that cannot be read goes to the dead letters before its batch commits. A batch that the store refuses for
// what is in it is halved until the culprit stands alone, and that goes there too. Everything else fails the batch, which
// is read again: the store may be away.
package recorder
