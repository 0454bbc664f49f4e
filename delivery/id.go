package delivery

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ID names a job or a message: 63 bits, ordered by time. The upper bits are milliseconds since the Epoch, the low 20
// bits a sequence within the millisecond; the lowest 3 bits of a job id are zero and number the messages of the job.
// JSON carries it as a decimal string, because it exceeds what a double holds exactly.
type ID int64

// MessagesPerJob is how many messages (links and manual retries) one job may have.
const MessagesPerJob = 8

const (
	sequenceBits = 20
	numberMask   = MessagesPerJob - 1
	epochMillis  = 1704067200000
	maxIDDigits  = 19
)

// Epoch is the zero of the time within an ID.
func Epoch() time.Time { return time.UnixMilli(epochMillis).UTC() }

// IDAt is the smallest ID of the millisecond that holds t: the bound between what was made before and after t.
func IDAt(t time.Time) ID { return ID(t.UnixMilli()-epochMillis) << sequenceBits }

// Job is the id of the job that the message belongs to; for a job id it is the id itself.
func (id ID) Job() ID { return id &^ numberMask }

// Number is the message's place in its job, 0 to 7.
func (id ID) Number() int { return int(id & numberMask) }

// Message is the id of message number n of the job.
func (id ID) Message(n int) ID { return id.Job() | ID(n&numberMask) }

// Time is when the id was allocated, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(id>>sequenceBits) + epochMillis).UTC()
}

// String is the decimal form, as in JSON.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText writes the decimal form.
func (id ID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText reads the decimal form; an empty text is 0.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = 0
		return nil
	}
	v, err := ParseID(string(b))
	if err == nil {
		*id = v
	}
	return err
}

var errID = errors.New("an id is a decimal number of at most 19 digits")

// ParseID reads the decimal form. Profile ids of recipients without a profile are negative.
func ParseID(s string) (ID, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] == '+' || len(strings.TrimPrefix(s, "-")) > maxIDDigits {
		return 0, errID
	}
	return ID(v), nil
}

// AnonymousProfile is the stable id of a recipient without a profile, made from a normalised address. It is negative,
// so that it never meets the id of a stored profile; caps, suppression and history work on it as on any other.
func AnonymousProfile(address string) ID {
	sum := sha256.Sum256([]byte(address))
	return ID(-1 - int64(binary.BigEndian.Uint64(sum[:8])&(1<<63-1)))
}
