package delivery

import "time"

// ReceiptState is the state of a message at the provider, as a receipt tells it. Later ones win over earlier ones by
// rank, not by time.
type ReceiptState uint8

// The states that receipts tell.
const (
	ReceiptSent        ReceiptState = 1 // on its way: no event
	ReceiptDelivered   ReceiptState = 2
	ReceiptUndelivered ReceiptState = 3
	ReceiptRejected    ReceiptState = 4
	ReceiptExpired     ReceiptState = 5
	ReceiptRead        ReceiptState = 6
	ReceiptAccepted    ReceiptState = 7 // a late answer to Submit
)

// Receipt is what a provider tells about a message after it took it.
type Receipt struct {
	Provider string // account name
	Ref      string // the provider's id in canonical form
	// AltRef is the other form of the id, when the provider gives two; it is tried when Ref is not known.
	AltRef string
	State  ReceiptState
	At     time.Time // the provider's time, or when it arrived
	Reason Reason
	Code   string // the provider's own code
	Detail string
	// Message and Part are set when the provider itself knows which message it is; else 0. A late acceptance has them:
	// the answer came after the message was given up as in doubt, State is ReceiptAccepted and Ref the id of the part.
	Message     ID
	Part, Parts int
	Raw         []byte // as received, kept when it has to be parked
}

// Reply is a message that a recipient sent to us.
type Reply struct {
	Provider string
	From, To string
	Text     string
	At       time.Time
	ID       string // stable, so that a repeat is a no-op
}

// The kinds of rows in due.
const (
	DueAgain int16 = 1 // a hold or a retry
	DueLink  int16 = 2 // the next link of a cascade
)

// Due is a job that comes back later: a hold, a retry, or the next link of a cascade. Rows are never cancelled; when
// one comes due, the flags of the message Skip and the job's claim say whether it is still wanted.
type Due struct {
	At        time.Time
	Kind      int16
	Message   ID // the message that is sent then
	ProfileID ID
	LaunchID  int64
	Link      int
	Turn      int
	Attempt   int
	Priority  int
	Lane      Lane
	Skip      ID    // the message whose flags are looked at; 0: none
	SkipFlags int32 // the row fires only when Skip has none of these
}
