// Package postgres is Herald's way to its durable state: connection pools, transactions, migrations, the partitions of
// a day, small numbers for names, and locks that end with the process.
//
// # Pools
//
// A DB has two pools. Hot serves the statements that handle messages by the batch: they name the day's partition, are
// prepared once per connection and are planned without looking at their parameters, so that stale statistics on a fresh
// partition cannot turn a plan around. General serves everything else with normal planning. Both speak UTC and give up
// on a statement after a time. SQL code takes a DBTX, never a pool, so that a test can hand it a transaction.
//
// # When Postgres is away
//
// Open does not wait for the server and no error of this package means "stop": Away tells a server that is away from a
// statement that is wrong. Whoever meets the former waits and repeats; WaitReady does so at the start.
//
// # Partitions
//
// Ids of jobs and messages are ordered by time, so the UTC day of an id names its partition: TableFor("claim", id) is
// claim_20261121. Days are made ahead by EnsurePartitions and removed by DropPartitions. Statements of the hot path
// name the partition themselves, because "id = any($1)" on the parent looks into every day.
package postgres
