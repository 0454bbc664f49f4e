// Package bench measures Herald as it runs in production: the gateway, PostgreSQL, the broker and a provider's simulator are
// processes of their own, everything is durable, and a message counts when its last receipt is in the database.
//
// A scenario is a function from Options to a Result, listed in Scenarios. Rates say little on a machine that others use as
// well; CPU time per message, by process, is the figure to compare. Every result carries the raw limits of the parts, measured
// in the same run.
package bench
