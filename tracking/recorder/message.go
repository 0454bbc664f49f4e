package recorder

import (
	"strconv"
	"strings"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Message is what is recorded of one message. Times that are zero are not known. The zero LaunchID is that of jobs
// without a launch, the zero Provider that of messages that never reached one.
type Message struct {
	ID        delivery.ID
	ProfileID delivery.ID
	LaunchID  int64
	Variant   int16
	Channel   delivery.Channel
	Link      int // position in the cascade

	State delivery.State
	Flags int32 // one bit per kind that was seen

	Provider  int16
	Turn      int
	Attempt   int
	Parts     int
	Revision  int
	CostMinor int // in hundredths of the currency

	Next delivery.Next // the link that follows; Link 0: none

	SentAt, DeliveredAt, ReadAt, OpenedAt, ClickedAt time.Time
}

// negative says that the message is definitely not delivered, as far as is known.
func (m *Message) negative() bool {
	switch m.State.Rank {
	case delivery.RankExpired, delivery.RankFailed, delivery.RankRejected, delivery.RankBounced:
		return true
	default:
		return false
	}
}

// folded is what the ledger needs to know of the message.
func (m *Message) folded() delivery.MessageState {
	s := delivery.MessageState{
		Number: m.ID.Number(), Rank: m.State.Rank, Reason: m.State.Reason, Flags: m.Flags, Unless: m.Next.Unless,
	}
	if m.Next.Link > 0 && s.Number+1 < delivery.MessagesPerJob {
		s.Next = s.Number + 1
	}
	return s
}

// fact is an event with the numbers of its names.
type fact struct {
	*delivery.Event
	origin   bool // of the dispatcher: it says whose message it is
	provider int16
	launch   int64
	body     []byte
}

// isOrigin says that the event may make a message row: it comes from a dispatcher, which alone names the profile.
func isOrigin(e *delivery.Event) bool {
	if e.ProfileID == 0 {
		return false
	}
	switch e.Kind {
	case delivery.KindHeld, delivery.KindSuppressed, delivery.KindUnknown, delivery.KindAccepted, delivery.KindExpired,
		delivery.KindFailed, delivery.KindRejected:
		return true
	default:
		return false
	}
}

// newMessage is the message of an origin, before it is applied.
func newMessage(f *fact) Message {
	return Message{
		ID: f.Message, ProfileID: f.ProfileID, LaunchID: f.launch, Variant: delivery.VariantNumber(f.Variant),
		Channel: f.Channel, Link: f.Link,
	}
}

// apply merges an event into the message. Every field is a maximum, a minimum or a union, so that neither order nor
// repetition of events matters.
func (m *Message) apply(f *fact) {
	m.applyProvider(f)
	m.State = m.State.Merge(f.State())
	if marks(f.Event) {
		m.Flags |= f.Kind.Flag()
	}
	m.Parts = max(m.Parts, f.Parts)
	m.Revision = max(m.Revision, f.Revision)
	m.CostMinor = max(m.CostMinor, minor(f.Cost))
	if f.origin {
		m.applyOrigin(f)
	}
	if f.Actor == delivery.ActorMachine {
		return
	}
	switch f.Kind {
	case delivery.KindAccepted:
		m.SentAt = first(m.SentAt, f.At)
	case delivery.KindDelivered:
		m.DeliveredAt = first(m.DeliveredAt, f.At)
	case delivery.KindRead:
		m.ReadAt = first(m.ReadAt, f.At)
	case delivery.KindOpened:
		m.OpenedAt = first(m.OpenedAt, f.At)
	case delivery.KindClicked:
		m.ClickedAt = first(m.ClickedAt, f.At)
	default:
	}
}

// applyProvider keeps the account that took the message; while none did, one of those that were tried.
func (m *Message) applyProvider(f *fact) {
	was, is := m.Flags&delivery.KindAccepted.Flag() != 0, f.Kind == delivery.KindAccepted
	switch {
	case is && !was && f.provider != 0:
		m.Provider = f.provider
	case is == was:
		m.Provider = max(m.Provider, f.provider)
	}
}

// applyOrigin takes what only the dispatcher knows. A hold-out gets nothing on any link.
func (m *Message) applyOrigin(f *fact) {
	if f.Turn > m.Turn || f.Turn == m.Turn && f.Attempt > m.Attempt {
		m.Turn, m.Attempt = f.Turn, f.Attempt
	}
	if f.Next != nil && f.Reason != delivery.ReasonHoldout && laterNext(*f.Next, m.Next) {
		m.Next = *f.Next
	}
}

func laterNext(a, b delivery.Next) bool {
	if a.Link != b.Link {
		return a.Link > b.Link
	}
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	return a.Unless > b.Unless
}

// marks says that the event sets its kind's bit. Hits of machines are no reaction of the recipient.
func marks(e *delivery.Event) bool {
	return e.Actor != delivery.ActorMachine && e.Kind != delivery.KindRedriven && e.Kind != delivery.KindReclassified
}

func first(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// minor reads the amount of a cost such as "6.40 RUB" in hundredths; what cannot be read costs nothing.
func minor(cost string) int {
	if cost == "" {
		return 0
	}
	amount, _, _ := strings.Cut(cost, " ")
	v, err := strconv.ParseFloat(amount, 64)
	if err != nil || v < 0 || v > 1e6 {
		return 0
	}
	return int(v*100 + 0.5)
}
