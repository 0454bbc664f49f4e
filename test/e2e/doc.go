// Package e2e runs whole processes of Herald against a simulated SMSC, kills and stops them, and counts what came out:
// nothing lost, nothing sent twice silently, and a ledger that always adds up.
//
// The tests are built with the tag e2e and need PostgreSQL's server binaries. HERALD_CHAOS=full runs them in full size.
// They run on the embedded broker, or on the Apache Kafka that HERALD_TEST_KAFKA names (make test-kafka); those that kill
// the broker start one for themselves.
package e2e
