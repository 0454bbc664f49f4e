package delivery

import (
	"strconv"
	"strings"
	"time"
)

// Event says what became of a message, as it stands on herald.events. Record key: the job id, without a job the
// profile id.
type Event struct {
	V            int       `json:"v"`
	ID           string    `json:"id"` // the same fact has the same id, so that a repeat is a no-op
	Kind         Kind      `json:"kind"`
	At           time.Time `json:"at"`
	Job          ID        `json:"job,omitzero"`
	Message      ID        `json:"message,omitzero"`
	Link         int       `json:"link,omitempty"` // position in the cascade
	Key          string    `json:"key,omitempty"`
	Channel      Channel   `json:"channel"`
	Provider     string    `json:"provider,omitempty"`
	ProviderRefs []string  `json:"provider_refs,omitempty"` // canonical, one per part, in order
	Profile      string    `json:"profile,omitempty"`
	ProfileID    ID        `json:"profile_id,omitzero"`
	Campaign     string    `json:"campaign,omitempty"`
	Launch       string    `json:"launch,omitempty"`
	Variant      string    `json:"variant,omitempty"`
	Revision     int       `json:"revision,omitempty"`
	Turn         int       `json:"turn,omitempty"`
	Attempt      int       `json:"attempt,omitempty"`
	Next         *Next     `json:"next,omitempty"`
	Reason       Reason    `json:"reason,omitzero"`
	Code         string    `json:"code,omitempty"`   // the provider's own code
	Detail       string    `json:"detail,omitempty"` // for people; never an address or a text
	Parts        int       `json:"parts,omitempty"`
	Cost         string    `json:"cost,omitempty"` // "6.40 RUB"
	Late         bool      `json:"late,omitempty"`
	URLID        int       `json:"url_id,omitempty"`
	Actor        Actor     `json:"actor,omitzero"`
	ActorReason  string    `json:"actor_reason,omitempty"`
}

// Next is the link that follows, when, and what makes it unwanted. Without At the dispatcher itself goes on.
type Next struct {
	Link   int       `json:"link"`
	At     time.Time `json:"at,omitzero"`
	Unless Condition `json:"unless"`
}

// RecordKey is the key of the event's Kafka record: all events of a job share a partition.
func (e *Event) RecordKey() []byte {
	id := e.Job
	if id == 0 {
		id = e.ProfileID
	}
	return strconv.AppendInt(nil, int64(id), 10)
}

// State is what the event says of its message. Hits of machines and unranked kinds say nothing.
func (e *Event) State() State {
	if e.Actor == ActorMachine || e.Kind.Rank() == RankNone {
		return State{}
	}
	return State{Rank: e.Kind.Rank(), At: e.At, Reason: e.Reason}
}

// DispatchEventID is the id of an event that the dispatcher writes: the same message, kind, turn and attempt are the
// same fact.
func DispatchEventID(message ID, k Kind, turn, attempt int) string {
	b := make([]byte, 0, 40)
	b = strconv.AppendInt(b, int64(message), 10)
	b = append(b, '-')
	b = append(b, k.String()...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(turn), 10)
	b = append(b, '-')
	return string(strconv.AppendInt(b, int64(attempt), 10))
}

// ReceiptEventID is the id of an event made from receipts: the same message, kind, parts that it rests on and the
// provider's state are the same fact.
func ReceiptEventID(message ID, k Kind, parts uint64, state string) string {
	var b strings.Builder
	b.WriteString(message.String())
	b.WriteByte('-')
	b.WriteString(k.String())
	b.WriteString("-p")
	b.WriteString(strconv.FormatUint(parts, 16))
	b.WriteByte('-')
	b.WriteString(state)
	return b.String()
}

// HitEventID is the id of an event made from a hit or from what a provider tells of one: the same message, kind, url
// and mark are the same fact. The mark is the provider's own id of the hit, or else the millisecond in which it came.
func HitEventID(message ID, k Kind, url int, mark string) string {
	return message.String() + "-" + k.String() + "-u" + strconv.Itoa(url) + "-" + mark
}
