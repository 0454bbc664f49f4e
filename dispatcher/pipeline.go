package dispatcher

import (
	"context"
	"time"
)

// stage does one step for a batch. It returns the tasks that go on; what it decided for the others is in their verdict,
// or they were given to somebody else. An error means that nothing was done and the batch may come again.
type stage struct {
	name string
	run  func(d *Dispatcher, ctx context.Context, tasks []*task, now time.Time) ([]*task, error)
}

// intake is what happens to a record once: it becomes a job, and the job becomes ours.
func intake() []stage {
	return []stage{
		{"decode", (*Dispatcher).decode}, // bytes → job; what cannot be read goes to the dead letters
		{"claim", (*Dispatcher).claim},   // job → id and owner; repeats end here
	}
}

// onLink is what happens to a job on each link of its cascade until one can be used. Consent comes before rendering,
// because it is cheap and drops most; caps come after it, so that a broken template eats nobody's cap.
func onLink() []stage {
	return []stage{
		{"when", (*Dispatcher).when},       // not too early, not too late
		{"contact", (*Dispatcher).contact}, // the address on this link's channel
		// consent and suppression take their place here
		{"render", (*Dispatcher).render}, // template or content → what is sent
		// caps and quiet hours take their place here
		{"route", (*Dispatcher).route}, // which account sends it
	}
}

// What follows the stages: the queue of the account, where window, rate, mark and Submit have their place (sender.go),
// and the report of what became of it (report.go).

// pipeline takes a batch of records through the stages, to the queues of the accounts or to the reporters.
func (d *Dispatcher) pipeline(ctx context.Context, tasks []*task) error {
	for _, s := range intake() {
		var err error
		if tasks, err = d.runStage(ctx, s, tasks); err != nil {
			return err
		}
	}
	return d.links(ctx, tasks)
}

// links takes claimed tasks through the stages of their link. Those whose link cannot be used go on to their next one
// at once; that a link was skipped is written to the log before anything of the next one may leave.
func (d *Dispatcher) links(ctx context.Context, tasks []*task) error {
	for len(tasks) > 0 {
		for _, t := range tasks {
			t.verdict = nil // a task whose claim was lost and taken back may have one from before
		}
		ready := tasks
		for _, s := range onLink() {
			var err error
			if ready, err = d.runStage(ctx, s, ready); err != nil {
				return err
			}
		}
		again, err := d.conclude(ctx, tasks)
		if err != nil {
			return err
		}
		d.enqueue(ready)
		tasks = again
	}
	return nil
}

// conclude reports the tasks that have a verdict, and returns those that go on to their next link.
func (d *Dispatcher) conclude(ctx context.Context, tasks []*task) (again []*task, err error) {
	var decided []*task
	for _, t := range tasks {
		switch {
		case t.verdict == nil:
		case t.skips():
			again = append(again, t)
		default:
			decided = append(decided, t)
		}
	}
	if err := d.writeSkips(ctx, again); err != nil {
		return nil, err
	}
	d.decide(decided)
	return again, nil
}

func (d *Dispatcher) runStage(ctx context.Context, s stage, tasks []*task) ([]*task, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	began := time.Now()
	next, err := s.run(d, ctx, tasks, d.now())
	d.metrics.stage.WithLabelValues(s.name).Observe(time.Since(began).Seconds())
	return next, err
}
