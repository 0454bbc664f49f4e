package delivery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is one Kafka record, free of any client library.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time
}

// Header is one header of a Record.
type Header struct {
	Key   string
	Value []byte
}

// Finisher learns that the record at an offset of its partition needs nothing more. Any order, any goroutine; a second
// call for the same offset is harmless.
type Finisher interface {
	Finish(offset int64)
}

// Received is a record that waits for its fate. Done is called when the fate is durable, never earlier.
type Received struct {
	Record
	From Finisher
}

// Done says that the record's fate is durable: it may be committed and is not read again.
func (r *Received) Done() { r.From.Finish(r.Offset) }

// The headers of Herald's records. Those of events follow the binary mode of CloudEvents 1.0; the rest is written by
// DeadRecord.
const (
	HeaderContentType     = "content-type"
	HeaderEventID         = "ce_id"
	HeaderEventType       = "ce_type" // herald.<kind>
	HeaderEventSource     = "ce_source"
	HeaderSpecVersion     = "ce_specversion"
	HeaderEventTime       = "ce_time"
	HeaderErrorClass      = "x-error-class" // a word, such as invalid
	HeaderError           = "x-error"       // for people
	HeaderErrorField      = "x-error-field" // the field's path, when there is one
	HeaderOriginTopic     = "x-origin-topic"
	HeaderOriginPartition = "x-origin-partition"
	HeaderOriginOffset    = "x-origin-offset"
	HeaderAttempts        = "x-attempts"
	HeaderFirstAt         = "x-first-at"  // when the record failed first
	HeaderLastAt          = "x-last-at"   // when it failed last
	HeaderReplayOf        = "x-replay-of" // topic/partition/offset of the dead letter's original, on its replay
)

const (
	contentType   = "application/json"
	maxErrorBytes = 1000 // of a header
)

// Header is the value of the record's first header of this name, nil when there is none.
func (r *Record) Header(key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}

// JobRecord makes the record of a job. Its key is the profile, else the recipient's first address, so that the jobs of
// one client share a partition. It fails when the job cannot be written or is too large for DecodeJob.
func JobRecord(topic string, j *Job) (Record, error) {
	value, err := EncodeJob(j)
	if err != nil {
		return Record{}, fmt.Errorf("encode job: %w", err)
	}
	room := MaxJobBytes
	if j.Herald != nil {
		room += internalBytes
	}
	if len(value) > room {
		return Record{}, tooLarge(len(value))
	}
	return Record{
		Topic: topic, Key: []byte(orDefault(j.Profile, j.Recipient.First())), Value: value,
		Headers: []Header{header(HeaderContentType, contentType)},
	}, nil
}

// EventRecord makes the record of an event. It fails when the event cannot be written, or when DecodeEvent would
// refuse it.
func EventRecord(topic string, e *Event) (Record, error) {
	if err := e.faults().err(); err != nil {
		return Record{}, fmt.Errorf("event %s: %w", e.ID, err)
	}
	value, err := AppendEvent(make([]byte, 0, 512), e)
	if err != nil {
		return Record{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return Record{
		Topic: topic, Key: e.RecordKey(), Value: value,
		Headers: []Header{
			{HeaderContentType, constants.contentType},
			header(HeaderEventID, e.ID),
			{HeaderEventType, constants.types[e.Kind]},
			{HeaderEventSource, constants.source},
			{HeaderSpecVersion, constants.version},
			header(HeaderEventTime, stamp(e.At)),
		},
	}, nil
}

// constants are the values of headers that are the same in many records. Nobody writes to them.
var constants = newHeaderConstants() //nolint:gochecknoglobals // constants that Go has no way to write

type headerConstants struct {
	contentType, source, version []byte
	types                        map[Kind][]byte
}

func newHeaderConstants() headerConstants {
	c := headerConstants{
		contentType: []byte(contentType), source: []byte("herald"), version: []byte("1.0"), types: map[Kind][]byte{},
	}
	for _, k := range Kinds() {
		c.types[k] = []byte("herald." + k.String())
	}
	return c
}

// DeadRecord makes the dead letter of a record that cannot be handled: its key, value and headers as they were, and
// headers that say why (class for programs, detail for people, field the path of the faulty field or empty), where it
// stood, how often it was tried and when. A record that is a dead letter already keeps the time of its first failure.
func DeadRecord(topic string, original Record, class, detail, field string, at time.Time, attempts int) Record {
	first := []byte(stamp(at))
	if b := original.Header(HeaderFirstAt); b != nil {
		first = b
	}
	added := []Header{
		header(HeaderErrorClass, class),
		header(HeaderError, cut(detail, maxErrorBytes)),
		header(HeaderErrorField, cut(field, maxErrorBytes)),
		header(HeaderOriginTopic, original.Topic),
		header(HeaderOriginPartition, strconv.Itoa(original.Partition)),
		header(HeaderOriginOffset, strconv.FormatInt(original.Offset, 10)),
		header(HeaderAttempts, strconv.Itoa(attempts)),
		{Key: HeaderFirstAt, Value: first},
		header(HeaderLastAt, stamp(at)),
	}
	if field == "" {
		added = slices.DeleteFunc(added, func(h Header) bool { return h.Key == HeaderErrorField })
	}
	return Record{
		Topic: topic, Key: original.Key, Value: original.Value,
		Headers: append(WithoutDeadHeaders(original.Headers), added...),
	}
}

// WithoutDeadHeaders is a copy of a dead letter's headers as they were before it became one: what a replay writes.
func WithoutDeadHeaders(headers []Header) []Header {
	kept := make([]Header, 0, len(headers)+9)
	for _, h := range headers {
		switch h.Key {
		case HeaderErrorClass, HeaderError, HeaderErrorField, HeaderOriginTopic, HeaderOriginPartition,
			HeaderOriginOffset, HeaderAttempts, HeaderFirstAt, HeaderLastAt:
		default:
			kept = append(kept, h)
		}
	}
	return kept
}

func header(key, value string) Header { return Header{Key: key, Value: []byte(value)} }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func cut(s string, bytes int) string {
	if len(s) > bytes {
		s = s[:bytes]
	}
	return strings.ToValidUTF8(s, "")
}
