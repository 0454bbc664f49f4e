// Package smpp sends SMS to an SMSC over SMPP 3.4: one provider is one account with several binds.
//
// # Concurrency
//
// Each bind is kept by a goroutine that dials, binds, runs a session and dials again. A session has one goroutine that
// reads, one that writes and one that keeps time. Submit encodes outside of all locks, takes a slot of a session's
// window and appends the PDU to its output; the writer takes all that is there in one call. The reader handles every
// complete PDU of a read in wire order. Answers are told from those goroutines, never under a lock.
//
// # What may be in doubt
//
// A session remembers where in the output each PDU ended. When the connection fails, what is known not to have left is
// told as not sent (temporary, no attempt), everything else without an answer as unknown. A message whose answer does
// not come in time is unknown too; if the answer comes later after all, its id is told to the sink as a late acceptance.
//
// # Receipts
//
// Receipts and replies are facts that are told at least once: a deliver_sm is acknowledged only after the sink took it,
// and refused as temporary otherwise, so that the SMSC sends it again. They never hold up the reader, which answers to
// messages depend on.
package smpp
