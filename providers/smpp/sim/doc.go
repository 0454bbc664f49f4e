// Package sim is an SMSC to test against: it speaks SMPP 3.4 over TCP, accepts short messages, answers as it is told
// to and sends delivery receipts. The binary ships it as "herald simulate smsc" and runs it inside "herald up"; tests
// use it as a library.
//
// # What happens to a message
//
// The last five digits of the destination choose:
//
//	90001 refused with 0x0b                   90007 accepted, connection cut before the answer
//	90002 0x58 for the first attempt, then OK 90008 receipt REJECTD
//	90003 never answered, not accepted        90009 0x14 for the first attempt, then OK
//	90004 receipt UNDELIV                     90010 receipt twice
//	90005 receipt EXPIRED                     90011 receipt before the response
//	90006 no receipt                          other accepted, receipt DELIVRD
//
// Each of them is a Fault, and FaultNames lists many more. SetFault makes one strike for a suffix, for a share of all
// messages or for a number of times; faults of a connection (it stops reading, refuses binds, answers nothing) work
// the same way. What the server saw is in Stats, Messages, Counts and Texts, and a few of these are served over HTTP
// for other processes.
//
// # Receipts
//
// Receipts are stored and forwarded: they wait for their system_id in the server, go to any of its connections that is
// bound as receiver or transceiver, at most a window of them unacknowledged, and come again after a refusal, a timeout
// or a lost connection. Deliver puts an ordinary message from a handset on the same way.
//
// # Concurrency
//
// Each connection has a goroutine that reads and one that writes; what all PDUs of one read cause is decided under one
// lock and leaves in one write. One more goroutine holds everything that is due later: delayed answers, receipts,
// repeats. No socket or file is touched under the lock. A connection whose peer does not read is not read either.
// All methods of Server may be called from any goroutine.
package sim
