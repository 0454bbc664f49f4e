package recorder

import (
	"cmp"
	"slices"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// StatusFigure is the kind under which rollup counts the messages that have this status now, in the hour in which they
// got it. Below 32, rollup counts the first accepted, delivered, read, opened and clicked event of each message under the
// kind's own number. Figures for delivered, bounced and failed messages are read from the former.
func StatusFigure(r delivery.Rank) int16 { return 32 + int16(r)/10 }

// PartsFigure is the kind under which rollup sums the parts of accepted messages.
const PartsFigure int16 = 64

// Figure names a counter of rollup.
type Figure struct {
	LaunchID int64
	Variant  int16
	Channel  delivery.Channel
	Kind     int16
	Hour     time.Time // UTC
}

// Entry names a counter of the ledger.
type Entry struct {
	LaunchID int64
	Variant  int16
	Bucket   delivery.Bucket
	Reason   delivery.Reason
}

// Figures calls yield for every counter of rollup that the message stands in, with what it adds there.
func (m *Message) Figures(yield func(f Figure, n int64)) {
	count := func(kind int16, at time.Time, n int) {
		if !at.IsZero() && n > 0 {
			yield(Figure{m.LaunchID, m.Variant, m.Channel, kind, at.UTC().Truncate(time.Hour)}, int64(n))
		}
	}
	if m.State.Rank != delivery.RankNone {
		count(StatusFigure(m.State.Rank), m.State.At, 1)
	}
	count(int16(delivery.KindAccepted), m.SentAt, 1)
	count(PartsFigure, m.SentAt, m.Parts)
	count(int16(delivery.KindDelivered), m.DeliveredAt, 1)
	count(int16(delivery.KindRead), m.ReadAt, 1)
	count(int16(delivery.KindOpened), m.OpenedAt, 1)
	count(int16(delivery.KindClicked), m.ClickedAt, 1)
}

// EntryOf gives the ledger's entry of the job whose messages these are. A job without a message has none.
func EntryOf(messages []Message) (Entry, bool) {
	if len(messages) == 0 {
		return Entry{}, false
	}
	var states [delivery.MessagesPerJob]delivery.MessageState
	for i := range messages {
		states[i] = messages[i].folded()
	}
	bucket, reason := delivery.Fold(states[:len(messages)])
	return Entry{messages[0].LaunchID, messages[0].Variant, bucket, reason}, true
}

// Count is by how much a counter moves.
type Count[K any] struct {
	Of K
	N  int64
}

// moves gathers changes of counters.
type moves[K comparable] map[K]int64

func (m moves[K]) add(k K, n int64) { m[k] += n }

// sorted lists the counters that moved, in the order in which every recorder locks them.
func (m moves[K]) sorted(compare func(a, b K) int) []Count[K] {
	list := make([]Count[K], 0, len(m))
	for k, n := range m {
		if n != 0 {
			list = append(list, Count[K]{k, n})
		}
	}
	slices.SortFunc(list, func(a, b Count[K]) int { return compare(a.Of, b.Of) })
	return list
}

func compareFigures(a, b Figure) int {
	return cmp.Or(cmp.Compare(a.LaunchID, b.LaunchID), cmp.Compare(a.Variant, b.Variant),
		cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Kind, b.Kind), a.Hour.Compare(b.Hour))
}

func compareEntries(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.LaunchID, b.LaunchID), cmp.Compare(a.Variant, b.Variant),
		cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Reason, b.Reason))
}
