package bench

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Options are what a run can be told.
type Options struct {
	Jobs                  int
	Brokers               []string // of an external Kafka; none: an embedded broker in a process of its own
	Binary                string   // the herald to measure
	Version               string
	Dir                   string        // where data goes; empty: the system's directory for temporary files
	Keys                  bool          // jobs carry keys of their producer
	Window                int           // unanswered messages of each of the two connections
	Latency, ReceiptDelay time.Duration // of the simulated SMSC
	Profile               string        // directory for profiles of the gateway; empty: none
	Progress              io.Writer     // what is going on, for a person
}

// Scenario is one thing to measure.
type Scenario struct {
	Name, Short string
	Jobs        int // by default
	Run         func(context.Context, Options) (*Result, error)
}

// Scenarios are all that can be measured.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "sms", Short: "SMS jobs that wait in Kafka, until the last receipt is recorded", Jobs: 200_000, Run: SMS},
		{Name: "lanes", Short: "Codes while bulk runs at full rate", Jobs: 1_000_000, Run: Lanes},
		{Name: "growth", Short: "The same load on a store that grows to 10 M messages", Jobs: 100_000, Run: Growth},
		{Name: "memory", Short: "Ten minutes at half the rate: whether memory is flat", Jobs: 4_200_000, Run: Memory},
		{Name: "recovery", Short: "Stops, kills and starts under load", Jobs: 400_000, Run: Recovery},
	}
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}
