package delivery

// Kind says what became of a message, in the past tense. The number is stored in SQL and is the message's flag bit.
type Kind uint8

// The kinds. Those up to Clicked are ranked: they decide a message's status. The others are facts beside it.
const (
	KindHeld         Kind = 1  // will be tried later
	KindSuppressed   Kind = 2  // will never be sent, with a reason
	KindUnknown      Kind = 3  // in doubt: the bytes may have left
	KindAccepted     Kind = 4  // the provider took it
	KindExpired      Kind = 5  // its time was over before it was sent or delivered
	KindFailed       Kind = 6  // was tried and is over
	KindRejected     Kind = 7  // was refused for good
	KindDelivered    Kind = 8  // the provider says it arrived
	KindBounced      Kind = 9  // e-mail came back
	KindRead         Kind = 10 // the provider says it was shown
	KindOpened       Kind = 11 // our pixel or app says it was shown
	KindClicked      Kind = 12
	KindComplained   Kind = 13
	KindUnsubscribed Kind = 14
	KindSubscribed   Kind = 15
	KindReplied      Kind = 16
	KindRedriven     Kind = 17 // is sent again knowingly
	KindConverted    Kind = 18
	KindReclassified Kind = 19 // a hit's actor was corrected afterwards
)

//nolint:gochecknoglobals // a table that never changes
var kindNames = newNames("kind", map[Kind]string{
	KindHeld: "held", KindSuppressed: "suppressed", KindUnknown: "unknown", KindAccepted: "accepted",
	KindExpired: "expired", KindFailed: "failed", KindRejected: "rejected", KindDelivered: "delivered",
	KindBounced: "bounced", KindRead: "read", KindOpened: "opened", KindClicked: "clicked",
	KindComplained: "complained", KindUnsubscribed: "unsubscribed", KindSubscribed: "subscribed",
	KindReplied: "replied", KindRedriven: "redriven", KindConverted: "converted",
	KindReclassified: "reclassified",
})

// Kinds lists the kinds in the order of their numbers.
func Kinds() []Kind { return kindNames.all() }

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) { return kindNames.parse(s) }

func (k Kind) String() string { return kindNames.byNum[k] }

// MarshalText writes the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name.
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKind(string(b))
	return err
}

// Flag is the bit that says that a message has seen this kind at least once.
func (k Kind) Flag() int32 { return 1 << k }

// Rank orders the kinds that decide a message's status; 0 means that the kind does not.
type Rank int16

// The ranks, in steps of 10 so that a later kind finds room. Read and opened are equal.
const (
	RankNone       Rank = 0
	RankHeld       Rank = 10
	RankSuppressed Rank = 20
	RankUnknown    Rank = 30
	RankAccepted   Rank = 40
	RankExpired    Rank = 50
	RankFailed     Rank = 60
	RankRejected   Rank = 70
	RankDelivered  Rank = 80
	RankBounced    Rank = 90
	RankRead       Rank = 100
	RankClicked    Rank = 110
)

// Rank is the kind's place in the order of statuses.
func (k Kind) Rank() Rank {
	switch k {
	case KindHeld:
		return RankHeld
	case KindSuppressed:
		return RankSuppressed
	case KindUnknown:
		return RankUnknown
	case KindAccepted:
		return RankAccepted
	case KindExpired:
		return RankExpired
	case KindFailed:
		return RankFailed
	case KindRejected:
		return RankRejected
	case KindDelivered:
		return RankDelivered
	case KindBounced:
		return RankBounced
	case KindRead, KindOpened:
		return RankRead
	case KindClicked:
		return RankClicked
	case KindComplained, KindUnsubscribed, KindSubscribed, KindReplied, KindRedriven, KindConverted, KindReclassified:
		return RankNone
	}
	return RankNone
}

// Status is the name of a rank as people see it. Read stands for read and opened.
func (r Rank) Status() string {
	for _, k := range Kinds() {
		if r != RankNone && k.Rank() == r {
			return k.String()
		}
	}
	return ""
}

// Reached says that the rank means that the recipient's side took the message, or is not known to have refused it.
func (r Rank) Reached() bool { return r == RankAccepted || r == RankDelivered || r >= RankRead }

// Final says that the rank is more than a hold: an outcome is recorded.
func (r Rank) Final() bool { return r > RankHeld }
