package dispatcher

import (
	"errors"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Config holds the settings of a dispatcher. The zero value of a field means its default.
type Config struct {
	Lanes map[delivery.Lane]LaneConfig

	RetryMax   int           // Submits of one message before it is rejected{transport}; default 6
	RetryFirst time.Duration // the first pause after a temporary refusal; it grows fourfold; default 5 s
	RetryMost  time.Duration // the longest pause between tries; default 15 min
	RedriveMax int           // how often a transactional message in doubt is sent again; default 2

	HoldAfter time.Duration // how long a job waits in memory for a provider that is down; default 20 s
	HoldFor   time.Duration // how long it is then held before the next try; default 30 s
	Patience  time.Duration // how long a job is held for providers that are down, in all; default 12 h

	Zone *time.Location // zone of recipients of whom no zone is known; default UTC

	EventsTopic, DeadTopic string
}

// LaneConfig holds the budget of one lane.
type LaneConfig struct {
	Batch   int           // jobs in one run through the stages; default 500
	Wait    time.Duration // how long a batch waits to fill; 0: not at all
	Workers int           // batches in the stages at once; default 3
}

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	setDefault(&c.RetryMax, 6)
	setDefault(&c.RetryFirst, 5*time.Second)
	setDefault(&c.RetryMost, 15*time.Minute)
	setDefault(&c.RedriveMax, 2)
	setDefault(&c.HoldAfter, 20*time.Second)
	setDefault(&c.HoldFor, 30*time.Second)
	setDefault(&c.Patience, 12*time.Hour)
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	lanes := map[delivery.Lane]LaneConfig{}
	for _, lane := range delivery.Lanes() {
		l := c.Lanes[lane]
		setDefault(&l.Batch, 500)
		setDefault(&l.Workers, 3)
		lanes[lane] = l
	}
	c.Lanes = lanes
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.EventsTopic == "" || c.DeadTopic == "" {
		errs = append(errs, errors.New("the topics of events and of dead letters are required"))
	}
	for name, n := range map[string]int{"retry_max": c.RetryMax, "redrive_max": c.RedriveMax} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", name))
		}
	}
	return errors.Join(errs...)
}
