// Package kafka moves records between Herald and Kafka, and is the only one that knows the client library. What it
// gives out and takes are delivery.Record and delivery.Received.
//
// # Producing
//
// A Producer writes synchronously: Write returns nil when every record is acknowledged by all replicas, and repeats the
// ones that are not until its context ends. There is no idempotent producer, so a repeat may put a record into the log
// twice: every reader of Herald's topics is idempotent by id.
//
// # Consuming jobs
//
// A Consumer is a member of a group. For each partition that it is assigned, one goroutine fetches and calls the
// Handler with slices of records; a handler that blocks holds up its partition and nothing else. Records finish in
// any order: each partition has a Watermark, and what is committed is the lowest offset that is not finished. The
// rules:
//
//   - A watermark belongs to one generation of the group. A Done that comes after the generation ended frees its slots
//     and can no longer commit anything.
//   - All commits of a generation come from one goroutine; one that failed is repeated with the next.
//   - When a generation ends, fetching stops at once, handlers get DrainTimeout to finish what they have, and the last
//     commit is made while the member still belongs to the generation. When the process stops, the same happens with
//     StopTimeout, and heartbeats go on meanwhile. Only then the handlers' context ends.
//   - MaxPerPart bounds the records between the last committed offset and the highest handed out, so it bounds what is
//     read again after a crash. MaxInFlight bounds the unfinished ones of all partitions.
//   - A record that never finishes stops its partition for good: Stats tells the age of the oldest.
//   - A committed offset above the end of the log means that the broker lost data: Run ends with ErrLost.
//
// # Following events
//
// A Follower reads its partitions in order and hands out batches; where it stands is the business of the Handle
// function, which keeps the position in its own transaction. Kafka's committed offsets are written for lag displays
// only.
//
// # Broker
//
// Foreign producers may use transactions, but Herald reads all that they wrote: the client library does not filter what
// belongs to an aborted one. The marks that end a transaction are passed over.
//
// The broker is an external Kafka of version 3 or 4, or the one in package embedded. Names of topics begin with a
// prefix.
package kafka
