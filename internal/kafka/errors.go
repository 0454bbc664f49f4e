package kafka

import (
	"errors"
	"fmt"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
)

var (
	// ErrLost says that the log is not the one that positions were taken from: another cluster, or shorter than it was.
	// Nobody may go on by seeking: records would be missed or taken for others.
	ErrLost = errors.New("the broker's log is not the one that was read before")
	// ErrClosed is returned by the calls of a Producer that was closed.
	ErrClosed = errors.New("the producer is closed")
	// ErrTooLarge says that a record is larger than MaxRecordBytes.
	ErrTooLarge = errors.New("the record is too large")
	// ErrUnknownTopic says that the broker does not know the topic.
	ErrUnknownTopic = errors.New("the topic does not exist")
	// ErrNotFound says that there is no record at a position: not yet, not any more, or never.
	ErrNotFound = errors.New("there is no record at this position")
)

// GapError says that records were deleted by retention before they were read.
type GapError struct {
	Topic     string
	Partition int
	From, To  int64 // the offsets From to To-1 are gone
}

func (e *GapError) Error() string {
	return fmt.Sprintf("%s/%d: %d records from offset %d were deleted before they were read", e.Topic, e.Partition,
		e.To-e.From, e.From)
}

// RecordError says why one record of a Write was refused for good.
type RecordError struct {
	Index int // in the slice given to Write
	Err   error
}

// RecordErrors is returned by Write when some records were refused for good. All others are acknowledged.
type RecordErrors []RecordError

func (e RecordErrors) Error() string {
	list := make([]string, 0, len(e))
	for _, x := range e {
		list = append(list, fmt.Sprintf("record %d: %v", x.Index, x.Err))
	}
	return strings.Join(list, "; ")
}

// Unwrap lists the reasons, so that errors.Is finds ErrTooLarge and others.
func (e RecordErrors) Unwrap() []error {
	list := make([]error, 0, len(e))
	for _, x := range e {
		list = append(list, x.Err)
	}
	return list
}

// permanent says that writing the same record again cannot help.
func permanent(err error) bool {
	for _, e := range []kafkago.Error{
		kafkago.InvalidRecord, kafkago.InvalidTopic,
		kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.InvalidTimestamp,
		kafkago.UnsupportedForMessageFormat, kafkago.InvalidRequiredAcks,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// named gives an error of the library that callers act on its name here.
func named(err error) error {
	if errors.Is(err, kafkago.UnknownTopicOrPartition) {
		return fmt.Errorf("%w (%w)", ErrUnknownTopic, err)
	}
	return err
}
