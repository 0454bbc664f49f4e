// Package embedded is the broker of an installation that has no Kafka of its own: one node inside the process, for
// development and small installations. It speaks the Kafka protocol (franz-go's kfake) and keeps its data in a
// directory, so that what it acknowledged survives a kill of the process, and with SyncWrites a loss of power as
// well.
//
// The directory belongs to one process at a time: two would destroy each other's data. A lock on the file "lock" in it
// sees to that; the lock ends with the process, however it ends.
//
// It listens on a loopback address: whoever needs a second host needs an external Kafka.
package embedded
