package delivery

import "time"

// State is what is known of a message: its status, since when, and why. The zero State is a message of which nothing
// is known yet.
type State struct {
	Rank   Rank
	At     time.Time
	Reason Reason
}

// Merge joins two states of one message. The higher rank wins; among equal ranks the later time, then the greater
// reason number. It is commutative, associative and idempotent, so that the order and the number of times in which
// events arrive change nothing.
func (s State) Merge(o State) State {
	if o.after(s) {
		return o
	}
	return s
}

func (s State) after(o State) bool {
	if s.Rank != o.Rank {
		return s.Rank > o.Rank
	}
	if !s.At.Equal(o.At) {
		return s.At.After(o.At)
	}
	return s.Reason > o.Reason
}

// Bucket is where a job stands in the ledger of its launch. The number is stored in SQL.
type Bucket uint8

// The buckets, in the order in which they decide where a job stands. Accepted in the ledger is the sum of
// Awaiting, Delivered and Open.
const (
	BucketPending    Bucket = 0 // a later link may still be tried and nothing is accepted
	BucketHeld       Bucket = 1
	BucketSuppressed Bucket = 2
	BucketExpired    Bucket = 3
	BucketFailed     Bucket = 4
	BucketUnknown    Bucket = 5
	BucketAwaiting   Bucket = 6 // accepted, no receipt yet, no later link open
	BucketDelivered  Bucket = 7 // delivered or better, no later link open
	BucketOpen       Bucket = 8 // accepted or better, and a later link may still follow
)

//nolint:gochecknoglobals // a table that never changes
var bucketNames = newNames("bucket", map[Bucket]string{
	BucketPending: "pending", BucketHeld: "held", BucketSuppressed: "suppressed", BucketExpired: "expired",
	BucketFailed: "failed", BucketUnknown: "unknown", BucketAwaiting: "awaiting", BucketDelivered: "delivered",
	BucketOpen: "open",
})

// Buckets lists the buckets in the order of their numbers.
func Buckets() []Bucket { return bucketNames.all() }

// ParseBucket reads a bucket's name.
func ParseBucket(s string) (Bucket, error) { return bucketNames.parse(s) }

func (b Bucket) String() string { return bucketNames.byNum[b] }

// Accepted says that the bucket counts as accepted in the ledger.
func (b Bucket) Accepted() bool { return b >= BucketAwaiting }

// MessageState is what Fold needs to know of one message of a job.
type MessageState struct {
	Number int
	Rank   Rank
	Reason Reason
	Flags  int32
	Next   int       // the number of the message that follows, 0 = none
	Unless Condition // what makes the next one unwanted
}

// Fold gives the one bucket in which a job stands, from the states of its messages. The order of the messages does not
// matter. While a later link may still be tried and nothing is accepted, the job is held or pending; otherwise its best
// message decides, and of equal ones the later message's reason.
func Fold(messages []MessageState) (Bucket, Reason) {
	best, reason, number := BucketPending, ReasonNone, -1
	open, held, heldNumber, heldReason := false, false, -1, ReasonNone
	for i := range messages {
		m := &messages[i]
		if m.Next > 0 && !m.Unless.Met(m.Flags) && !has(messages, m.Next) {
			open = true
		}
		if m.Rank == RankNone { // it is on its way again, such as a manual retry
			open = true
			continue
		}
		b := bucketOf(m.Rank)
		if b == BucketHeld {
			if held = true; m.Number > heldNumber {
				heldNumber, heldReason = m.Number, m.Reason
			}
			continue
		}
		if b > best || b == best && m.Number > number {
			best, reason, number = b, m.Reason, m.Number
		}
	}
	switch {
	case best.Accepted() && (open || held):
		return BucketOpen, ReasonNone
	case best.Accepted():
		return best, ReasonNone
	case held:
		return BucketHeld, heldReason
	case open:
		return BucketPending, ReasonNone
	case best == BucketUnknown || best == BucketExpired:
		return best, ReasonNone
	}
	return best, reason
}

func has(messages []MessageState, number int) bool {
	for i := range messages {
		if messages[i].Number == number {
			return true
		}
	}
	return false
}

func bucketOf(r Rank) Bucket {
	switch r {
	case RankNone:
		return BucketPending
	case RankHeld:
		return BucketHeld
	case RankSuppressed:
		return BucketSuppressed
	case RankUnknown:
		return BucketUnknown
	case RankAccepted:
		return BucketAwaiting
	case RankExpired:
		return BucketExpired
	case RankFailed, RankRejected, RankBounced:
		return BucketFailed
	case RankDelivered, RankRead, RankClicked:
		return BucketDelivered
	}
	return BucketPending
}
