package recorder

import (
	"context"
	"errors"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

var (
	// ErrBad is wrapped by store errors that repeating cannot cure: something in the batch itself is refused.
	ErrBad = errors.New("refused by the store")
	// ErrFenced means that the stream's offset is not where the batch begins: another recorder has the partition, or the
	// database went back to an earlier state. The position is asked again.
	ErrFenced = errors.New("the offset was moved by somebody else")
	// ErrOtherCluster means that the offsets were taken from the log of another Kafka cluster: its data was lost or
	// exchanged, and nobody may go on by seeking.
	ErrOtherCluster = errors.New("the offsets belong to another kafka cluster")
)

// Place is a partition of a topic as one stream reads it.
type Place struct {
	Stream    string
	Topic     string
	Partition int
}

// Store keeps what is recorded.
type Store interface {
	// Position is the next offset of the place, -1 when nothing was read yet. It begins to keep the place when it does not
	// know it, and fails with ErrOtherCluster when the place was kept for another cluster.
	Position(ctx context.Context, p Place, cluster string) (next int64, err error)
	// Launch is the number of a launch's label; a new label gets one.
	Launch(ctx context.Context, label string, at time.Time) (int64, error)
	// Provider is the number of a provider; a new one gets one.
	Provider(ctx context.Context, name string, ch delivery.Channel) (int16, error)
	// Known reports whether messages of the id's day can be kept.
	Known(ctx context.Context, id delivery.ID) (bool, error)
	// InTx runs fn in one transaction, which is committed when fn returns nil.
	InTx(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
}

// Tx is the store within one batch's transaction.
type Tx interface {
	// Advance moves the offset of the place, or fails with ErrFenced when it is not at from.
	Advance(ctx context.Context, p Place, from, to int64) error
	// Messages reads all messages of the jobs, in the order of their ids. The jobs are in order, too.
	Messages(ctx context.Context, jobs []delivery.ID) ([]Message, error)
	// Parked takes the parked events of these messages out of the store.
	Parked(ctx context.Context, messages []delivery.ID) (bodies [][]byte, err error)
	// Save writes what a batch has changed.
	Save(ctx context.Context, c *Changes) error
}

// Changes is what a batch writes. Lists are sorted by id where they have one, and have no repeats.
type Changes struct {
	New     []Message // rows that were not there
	Updated []Update
	Lines   []Line
	Refs    []Ref
	Due     []delivery.Due
	Park    []Parked
	Rollup  []Count[Figure]
	Ledger  []Count[Entry]
}

// Update is a message that has changed, with the state by which the store recognises that nobody else changed it.
type Update struct {
	Message
	WasRank  delivery.Rank
	WasFlags int32
}

// Line is an entry in a message's timeline.
type Line struct {
	Message  delivery.ID
	ID       string // of the event
	At       time.Time
	Kind     delivery.Kind
	Reason   delivery.Reason
	Turn     int
	Attempt  int
	Late     bool // came after the cascade had gone on
	Code     string
	Detail   string
	Provider int16
}

// Ref is a provider's id of a part of a message.
type Ref struct {
	Provider int16
	Ref      string
	Message  delivery.ID
	At       time.Time // of the acceptance
	Part     int
	Parts    int
}

// Parked is an event that waits for the row of its message.
type Parked struct {
	Message delivery.ID
	ID      string
	At      time.Time
	Body    []byte
}

// Writer writes records to Kafka and returns nil when all of them are acknowledged.
type Writer interface {
	Write(ctx context.Context, records []delivery.Record) error
}
