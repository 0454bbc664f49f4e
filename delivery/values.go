package delivery

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span with a unit in JSON: Go's form ("90s", "1h30m") and whole days ("7d").
type Duration time.Duration

// ParseDuration reads Go's form or whole days.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 3650 {
			return 0, errDuration(s)
		}
		return Duration(time.Duration(n) * 24 * time.Hour), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errDuration(s)
	}
	return Duration(d), nil
}

func errDuration(s string) error {
	return fmt.Errorf("%s is no duration such as 90s, 1h or 7d", quoted(s))
}

// String is Go's form without the units that are zero: 1h, not 1h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

// MarshalText writes Go's form without the units that are zero.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's form or whole days.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// When is a time that a producer gave with or without an offset. Without one it is the recipient's local time.
type When struct {
	Time  time.Time // with Local, the wall clock time, in UTC
	Local bool
}

const localLayout = "2006-01-02T15:04:05.999999999"

// IsZero says that no time was given.
func (w When) IsZero() bool { return w.Time.IsZero() }

// In is the instant that w means for a recipient who lives in zone.
func (w When) In(zone *time.Location) time.Time {
	if !w.Local {
		return w.Time
	}
	t := w.Time
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
}

// MarshalText writes RFC 3339, without an offset for a local time.
func (w When) MarshalText() ([]byte, error) {
	if w.IsZero() {
		return nil, nil
	}
	if w.Local {
		return []byte(w.Time.Format(localLayout)), nil
	}
	return []byte(w.Time.Format(time.RFC3339Nano)), nil
}

// UnmarshalText reads RFC 3339 with or without an offset.
func (w *When) UnmarshalText(b []byte) (err error) {
	*w, err = ParseWhen(string(b))
	return err
}

// ParseWhen reads RFC 3339 with or without an offset.
func ParseWhen(s string) (When, error) {
	if t, err := parseTime(s); err == nil {
		return When{Time: t}, nil
	}
	t, err := parseTime(s + "Z")
	if err != nil {
		return When{}, fmt.Errorf("%s is no time such as 2026-11-22T10:00:00+03:00 or 2026-11-22T10:00:00", quoted(s))
	}
	return When{Time: t, Local: true}, nil
}

// parseTime reads RFC 3339 to the letter. The zero time stands for no time at all and is refused.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.IsZero() || !strictTime(s) {
		return t, fmt.Errorf("%s is no time such as 2026-11-22T10:00:00+03:00", quoted(s))
	}
	return t, nil
}

// strictTime refuses what the time package reads beside RFC 3339: hours of one digit, a comma before the fraction, and
// offsets of a day and more.
func strictTime(s string) bool {
	const hourEnd, fraction, offset = len("2006-01-02T15"), len("2006-01-02T15:04:05"), len("+07:00")
	if s[hourEnd] != ':' || s[fraction] == ',' {
		return false
	}
	zone := s[len(s)-offset:]
	return s[len(s)-1] == 'Z' || zone[1:3] < "24" && zone[4:] < "60"
}

// AdvanceOn says what makes a cascade go on to the next link.
type AdvanceOn uint8

// The conditions of a link; the zero value is the default, not_delivered.
const (
	NotDelivered AdvanceOn = 0
	NotRead      AdvanceOn = 1
	NotClicked   AdvanceOn = 2
)

//nolint:gochecknoglobals // a table that never changes
var advanceNames = newNames("condition of a link", map[AdvanceOn]string{
	NotDelivered: "not_delivered", NotRead: "not_read", NotClicked: "not_clicked",
})

// AdvanceOns lists the conditions of a link.
func AdvanceOns() []AdvanceOn { return advanceNames.all() }

func (a AdvanceOn) String() string { return advanceNames.byNum[a] }

// MarshalText writes the name.
func (a AdvanceOn) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the name.
func (a *AdvanceOn) UnmarshalText(b []byte) (err error) {
	*a, err = advanceNames.parse(string(b))
	return err
}

// Condition is what must have happened to a message for the next one to be unwanted.
type Condition uint8

// The conditions; the zero value is delivered.
const (
	UnlessDelivered Condition = 0
	UnlessRead      Condition = 1
	UnlessClicked   Condition = 2
)

//nolint:gochecknoglobals // a table that never changes
var conditionNames = newNames("condition", map[Condition]string{
	UnlessDelivered: "delivered", UnlessRead: "read", UnlessClicked: "clicked",
})

// Unless is the condition that stops a cascade which advances on a.
func (a AdvanceOn) Unless() Condition { return Condition(a) }

// Flags are the first-event bits any of which meets the condition: whoever clicked has read, whoever read got it.
func (c Condition) Flags() int32 {
	f := KindClicked.Flag()
	if c != UnlessClicked {
		f |= KindRead.Flag() | KindOpened.Flag()
	}
	if c == UnlessDelivered {
		f |= KindDelivered.Flag()
	}
	return f
}

// Met says that a message with these first-event bits meets the condition.
func (c Condition) Met(flags int32) bool { return flags&c.Flags() != 0 }

// Conditions lists the conditions.
func Conditions() []Condition { return conditionNames.all() }

func (c Condition) String() string { return conditionNames.byNum[c] }

// MarshalText writes the name.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name.
func (c *Condition) UnmarshalText(b []byte) (err error) {
	*c, err = conditionNames.parse(string(b))
	return err
}

// Actor says who caused an open or a click.
type Actor uint8

// The actors; the zero value means that the event is no hit.
const (
	ActorNone    Actor = 0
	ActorHuman   Actor = 1
	ActorMachine Actor = 2
	ActorUnknown Actor = 3
)

//nolint:gochecknoglobals // a table that never changes
var actorNames = newNames("actor", map[Actor]string{
	ActorNone: "", ActorHuman: "human", ActorMachine: "machine", ActorUnknown: "unknown",
})

// Actors lists the actors, ActorNone included.
func Actors() []Actor { return actorNames.all() }

func (a Actor) String() string { return actorNames.byNum[a] }

// MarshalText writes the name.
func (a Actor) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the name.
func (a *Actor) UnmarshalText(b []byte) (err error) {
	*a, err = actorNames.parse(string(b))
	return err
}

var errPhone = errors.New("a phone number is + and 7 to 15 digits")

// NormalPhone brings a phone number to E.164: spaces, dashes, dots and brackets go, a leading 00 becomes +, and the
// Russian trunk forms 8XXXXXXXXXX and 7XXXXXXXXXX become +7XXXXXXXXXX. It fails when no E.164 number remains.
func NormalPhone(s string) (string, error) {
	digits := make([]byte, 0, 16)
	plus := false
	for i, r := range strings.TrimSpace(s) {
		switch {
		case r >= '0' && r <= '9':
			digits = append(digits, byte(r))
		case r == '+' && i == 0:
			plus = true
		case r == ' ' || r == '-' || r == '(' || r == ')' || r == '.' || r == '\u00a0':
		default:
			return "", errPhone
		}
	}
	switch {
	case plus:
	case len(digits) > 2 && digits[0] == '0' && digits[1] == '0':
		digits = digits[2:]
	case len(digits) == 11 && digits[0] == '8':
		digits[0] = '7'
	}
	if len(digits) < 7 || len(digits) > 15 || digits[0] == '0' {
		return "", errPhone
	}
	return "+" + string(digits), nil
}

// NormalAddress brings an address to the form by which recipients are told apart: phones in E.164, the rest without
// surrounding space and in lower case where it holds an @.
func NormalAddress(s string) string {
	s = strings.TrimSpace(s)
	if strings.Contains(s, "@") {
		return strings.ToLower(s)
	}
	if p, err := NormalPhone(s); err == nil {
		return p
	}
	return s
}
