package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span that carries its unit: Go's form ("90s", "1h30m") or whole days ("7d").
type Duration time.Duration

// The units of a Duration.
const (
	Millisecond = Duration(time.Millisecond)
	Second      = Duration(time.Second)
	Minute      = Duration(time.Minute)
	Hour        = Duration(time.Hour)
	Day         = 24 * Hour
)

// maxDays keeps a Duration from overflowing.
const maxDays = 36500

// D is the duration as the standard library knows it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is the shortest form that reads back as the same.
func (d Duration) String() string {
	if d != 0 && d%Day == 0 {
		return strconv.FormatInt(int64(d/Day), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's form or whole days.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := parseDuration(string(b))
	if err == nil {
		*d = Duration(v)
	}
	return err
}

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= maxDays {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if v, err := time.ParseDuration(s); err == nil {
		return v, nil
	}
	return 0, fmt.Errorf("must be a duration with a unit, such as 500ms, 90s, 1h30m or 7d")
}

// Rate is how many a second; 0 means no limit.
type Rate float64

// PerSecond is the rate as a number, 0 for no limit.
func (r Rate) PerSecond() float64 { return float64(r) }

// String is the rate with its unit, empty for no limit. Rates that are no whole number a second are given by the minute
// or hour.
func (r Rate) String() string {
	if r == 0 {
		return ""
	}
	for _, u := range rateUnits {
		if v := float64(r) * u.seconds; math.Abs(v-math.Round(v)) < 1e-9*v {
			return strconv.FormatFloat(math.Round(v), 'f', -1, 64) + u.suffix
		}
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
}

type rateUnit struct {
	suffix  string
	seconds float64
}

//nolint:gochecknoglobals // a table that never changes
var rateUnits = []rateUnit{{"/s", 1}, {"/m", 60}, {"/h", 3600}}

// MarshalText writes the form of String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a number by the second, minute or hour: "200/s", "90/m", "10/h"; nothing is no limit.
func (r *Rate) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "" {
		*r = 0
		return nil
	}
	for _, u := range rateUnits {
		n, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || !(v > 0) || v > 1e9 {
			break
		}
		*r = Rate(v / u.seconds)
		return nil
	}
	return fmt.Errorf("must be a rate such as 200/s, 90/m or 10/h")
}
