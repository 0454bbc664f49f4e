// Package pgtest gives tests a database that is theirs alone.
//
// Tx is a transaction that is rolled back: use it by default, it costs a fraction of a millisecond. DB and URL are a
// whole database, for tests that commit, take locks or need several connections: it is a clone of a migrated template,
// taken from a pool that all test processes share, and emptied before it is used.
//
// The databases live on the server that HERALD_TEST_DATABASE_URL names. A missing server fails the test; nothing is
// skipped. Every database has the partitions of yesterday to the day after tomorrow.
package pgtest

// DatabaseVariable is the environment variable with the connection string of the test server. Its user must be allowed
// to create databases and to set session_replication_role, as a superuser is.
const DatabaseVariable = "HERALD_TEST_DATABASE_URL"
