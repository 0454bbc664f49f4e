package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Keys remembers producers' keys and gives ids to jobs that arrive by the API.
type Keys interface {
	// Admit gives every job an id: the remembered one when its key is known. With declare, the jobs that are new are
	// added to the declared size of their launch, in the same transaction.
	Admit(ctx context.Context, jobs []*delivery.Job, declare bool, now time.Time) ([]delivery.Accepted, error)
}

// Intake takes jobs from the API: each gets its id, then all of them are put on Kafka, those too whose key was known,
// because an earlier call may have ended before that. The claim drops what comes twice.
type Intake struct {
	Keys   Keys
	Writer map[delivery.Lane]Writer
	Topics map[delivery.Lane]string
	// Timeout is how long a call may wait for the store and the broker. Nothing is kept in memory beyond it.
	Timeout time.Duration
	Now     func() time.Time
}

// Accept returns when every job is durable. An error that wraps delivery.ErrUnavailable means that some of them may be:
// the caller repeats the call, and jobs with a key get the same id again.
func (in *Intake) Accept(ctx context.Context, jobs []*delivery.Job, declare bool) ([]delivery.Accepted, error) {
	ctx, cancel := context.WithTimeout(ctx, in.Timeout)
	defer cancel()
	accepted, err := in.Keys.Admit(ctx, jobs, declare, in.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	records := map[delivery.Lane][]delivery.Record{}
	for i, j := range jobs {
		admitted := *j
		admitted.Herald = &delivery.Internal{ID: accepted[i].ID}
		lane := j.Category.Lane()
		rec, err := delivery.JobRecord(in.Topics[lane], &admitted)
		if err != nil {
			return nil, err
		}
		records[lane] = append(records[lane], rec)
	}
	for _, lane := range delivery.Lanes() {
		if len(records[lane]) == 0 {
			continue
		}
		if err := in.Writer[lane].Write(ctx, records[lane]); err != nil {
			return nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
		}
	}
	return accepted, nil
}
