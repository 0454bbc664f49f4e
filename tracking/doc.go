// Package tracking takes in what providers tell after they took a message, and makes events of it.
//
// A receipt names a message by the provider's id. Receipts finds the message in the memory of recent acceptances, which
// the dispatcher feeds before any receipt can come, then among the recorded references of the last 15 days. What is found
// becomes an event on the log; what is not found is parked durably, and looked for again each second: receipts overtake
// the acceptance, and a provider whose ids are configured in the wrong form can still be corrected within 72 hours.
//
// Receipts returns nil only when every event is acknowledged and every parked receipt is committed; until then the
// provider does not get its acknowledgement and repeats. The ids of the events are functions of what they say, so a
// repeat changes nothing. Receipts that come before the recorder knows the message are the recorder's business.
//
// A long SMS has a receipt for each part. The parts' states are kept as bits: the message is delivered when all parts
// are, and failed as soon as one part definitely is not.
package tracking
