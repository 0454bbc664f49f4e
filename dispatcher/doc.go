// Package dispatcher takes jobs from Kafka to a provider and reports what became of them.
//
// The way of a job is the list of stages in pipeline.go. Stages take batches. A job is claimed in Postgres before
// anything else happens to it, and marked as handed over just before its bytes may leave; so after a crash a claim is
// either not handed over, and simply goes on, or in doubt (doubt.go). Its record counts as done only when its fate is
// durable: the event is acknowledged by Kafka, or the row that brings it back is committed.
//
// # Concurrency
//
// Each lane has its own workers, which collect a batch and run the stages (lane.go). What is to be sent waits in a queue
// per account and lane; one sender for each takes window slots and rate tokens, writes the mark and submits (sender.go).
// Answers arrive on the provider's goroutines and only go into a queue; reporters write their events in batches
// (report.go). Claims that somebody else holds are looked at again every half second (doubt.go). The table of jobs in
// work (flight.go) makes sure that two records of one job share one fate.
//
// Every queue is bounded by the number of records that the lane's consumer lets into this process.
package dispatcher
