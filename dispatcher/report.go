package dispatcher

import (
	"context"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/backoff"
	"github.com/herald-gateway/herald/providers"
)

const (
	// reporters is how many batches of events a lane has on their way to Kafka at once.
	reporters = 4
	// reportBatch is how many events are written at once.
	reportBatch = 500
)

// report is a task with what became of it and what follows when that is on the log.
type report struct {
	task  *task
	event delivery.Event
	then  then
	until time.Time // of comeBack
}

// then is what follows a report.
type then uint8

const (
	finish   then = iota // the job's fate is durable
	comeBack             // the job returns by a row in due
	sendMore             // the message is sent again
)

// decide reports tasks that a stage has given a verdict.
func (d *Dispatcher) decide(tasks []*task) {
	now := d.now()
	for _, t := range tasks {
		v := t.verdict
		e := t.event(v.kind, now)
		e.Reason, e.Detail = v.reason, v.detail
		r := report{task: t, event: e, until: v.until}
		if v.kind == delivery.KindHeld {
			r.then = comeBack
		} // no link follows what ends here: hold-outs get nothing, and whose time is over has none for another link
		d.lanes[t.lane].reports.push(r)
	}
}

// skips says that the verdict only means that this link cannot be used and another follows. Hold-outs and jobs whose
// time is over do not go on.
func (t *task) skips() bool {
	return t.verdict.kind == delivery.KindSuppressed && t.verdict.reason != delivery.ReasonHoldout && t.hasNext()
}

// writeSkips puts skipped links on the log and moves the tasks to their next link.
func (d *Dispatcher) writeSkips(ctx context.Context, tasks []*task) error {
	if len(tasks) == 0 {
		return nil
	}
	now := d.now()
	records := make([]delivery.Record, 0, len(tasks))
	for _, t := range tasks {
		e := t.event(delivery.KindSuppressed, now)
		e.Reason, e.Detail, e.Next = t.verdict.reason, t.verdict.detail, t.next(now, true)
		rec, err := delivery.EventRecord(d.cfg.EventsTopic, &e)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	if err := d.write(ctx, records); err != nil {
		return err
	}
	for _, t := range tasks {
		t.advance()
	}
	return nil
}

// answered turns a provider's answer into a report. It runs on the provider's goroutine and must not block.
func (d *Dispatcher) answered(a *account, t *task, r providers.Result, began time.Time) {
	now := d.now()
	a.window.Release(t.size)
	d.metrics.answers.WithLabelValues(a.Name(), r.Outcome.String()).Inc()
	d.metrics.answerTime.WithLabelValues(a.Name()).Observe(now.Sub(began).Seconds())
	if r.Outcome == delivery.OutcomeThrottled || r.NotAttempt {
		if r.Outcome != delivery.OutcomeThrottled && r.RetryAfter <= 0 {
			r.RetryAfter = downPoll // or it would go round as fast as the provider answers
		}
		a.gate.Throttled(now, r.RetryAfter)
		a.settled(t)
		a.queues[t.lane].pushFront(t)
		return
	}
	if r.Outcome == delivery.OutcomeAccepted {
		a.gate.Works()
		d.references.Remember(a.Name(), r.ProviderIDs, t.message())
	}
	if r.Outcome == delivery.OutcomeFatal {
		a.gate.Fatal(now, r.Code+" "+r.Detail)
	}
	if r.Outcome == delivery.OutcomeUnknown && t.job.Category == delivery.CategoryTransactional && d.draining.Load() {
		return // left to whoever takes the claim over: there it is in doubt, and redriven
	}
	d.lanes[t.lane].reports.push(d.outcome(t, r, now))
}

// outcome is the report of an answer: the one place where outcomes become kinds of events.
func (d *Dispatcher) outcome(t *task, r providers.Result, now time.Time) report {
	if r.Outcome != delivery.OutcomeFatal { // which is about the account, not about the message
		t.attempt++
	}
	made := func(k delivery.Kind, then then) report {
		e := t.event(k, now)
		e.Reason, e.Code, e.Detail, e.Parts = r.Reason, r.Code, r.Detail, r.Parts
		if then == finish {
			e.Next = t.next(now, false)
		}
		return report{task: t, event: e, then: then}
	}
	switch r.Outcome {
	case delivery.OutcomeAccepted:
		rep := made(delivery.KindAccepted, finish)
		rep.event.ProviderRefs = r.ProviderIDs
		return rep
	case delivery.OutcomeRecipient:
		return made(delivery.KindRejected, finish)
	case delivery.OutcomeContent:
		return made(delivery.KindFailed, finish)
	case delivery.OutcomeExpired:
		return made(delivery.KindExpired, finish)
	case delivery.OutcomeFatal:
		rep := made(delivery.KindHeld, comeBack)
		rep.event.Reason = delivery.ReasonProviderDown
		rep.until = earlier(now.Add(d.cfg.HoldFor), t.expires)
		return rep
	case delivery.OutcomeTemporary:
		return d.again(t, r, now, made)
	case delivery.OutcomeUnknown:
		return d.doubt(t, made)
	case delivery.OutcomeThrottled: // never an event: the gate closes and the message waits
	}
	return made(delivery.KindUnknown, finish)
}

// again decides about a temporary refusal: another try later, or the end when tries or time are over.
func (d *Dispatcher) again(
	t *task, r providers.Result, now time.Time, made func(delivery.Kind, then) report,
) report {
	if t.attempt >= d.cfg.RetryMax {
		rep := made(delivery.KindRejected, finish)
		rep.event.Reason = delivery.ReasonTransport
		return rep
	}
	wait := r.RetryAfter
	if wait <= 0 {
		wait = backoff.Jitter(min(d.cfg.RetryMost, d.cfg.RetryFirst<<min(20, 2*(t.attempt-1))))
	}
	until := now.Add(wait)
	if !until.Before(t.expires) {
		return made(delivery.KindExpired, finish)
	}
	rep := made(delivery.KindHeld, comeBack)
	rep.event.Reason, rep.until = delivery.ReasonRetry, until
	return rep
}

// doubt decides about a message whose bytes may have left without an answer. Advertising is never sent twice: it is
// unknown. A service message is sent again, and that is on the log before it leaves.
func (d *Dispatcher) doubt(t *task, made func(delivery.Kind, then) report) report {
	if t.job.Category == delivery.CategoryTransactional && t.redriven < d.cfg.RedriveMax {
		t.redriven++
		rep := made(delivery.KindRedriven, sendMore)
		rep.event.ID = delivery.DispatchEventID(t.message(), delivery.KindRedriven, t.turn, t.redriven)
		rep.event.Attempt = t.redriven
		return rep
	}
	return made(delivery.KindUnknown, finish)
}

// reportLoop writes a lane's reports in batches until ctx ends.
func (d *Dispatcher) reportLoop(ctx context.Context, l *lane) {
	for l.reports.wait(ctx) {
		l.settling.Add(1)
		if l.id == delivery.LaneBulk && l.reports.len() < reportBatch/4 {
			pause(ctx, roomPatience)
		}
		n := 0
		batch := l.reports.take(func(report) bool { n++; return n <= reportBatch })
		if len(batch) > 0 {
			if err := d.settle(ctx, batch); err != nil && ctx.Err() == nil {
				d.log.ErrorContext(ctx, "reports given up", "lane", l.id.String(), "err", err)
			}
		}
		l.settling.Add(-1)
	}
}

// settle writes the events, and when they are acknowledged does what follows each of them.
func (d *Dispatcher) settle(ctx context.Context, batch []report) error {
	records := make([]delivery.Record, 0, len(batch))
	for i := range batch {
		rec, err := delivery.EventRecord(d.cfg.EventsTopic, &batch[i].event)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	if err := d.write(ctx, records); err != nil {
		return err
	}
	var back []report
	for _, r := range batch {
		d.metrics.count(&r.event)
		if r.task.account != nil {
			r.task.account.settled(r.task)
		}
		switch r.then {
		case finish:
			r.task.recs = d.flight.leave(r.task)
			r.task.done()
		case sendMore:
			r.task.msg.Resend = true
			d.enqueue([]*task{r.task})
		case comeBack:
			back = append(back, r)
		}
	}
	return d.comeBack(ctx, back)
}

// comeBack ends the turn of held jobs: the row in due and the job's body are committed before the record is done.
func (d *Dispatcher) comeBack(ctx context.Context, back []report) error {
	if len(back) == 0 {
		return nil
	}
	holds := make([]Hold, len(back))
	for i, r := range back {
		body, err := r.task.body()
		if err != nil {
			return err
		}
		holds[i] = Hold{Job: r.task.id, Turn: r.task.turn, Due: r.task.dueRow(r.until), Body: body}
	}
	var ours []delivery.ID
	err := d.persist(ctx, "hold", func(ctx context.Context) (err error) {
		ours, err = d.claims.Hold(ctx, d.owner.ID(), holds)
		return err
	})
	if err != nil {
		return err
	}
	kept := make(map[delivery.ID]bool, len(ours))
	for _, id := range ours {
		kept[id] = true
	}
	for _, r := range back {
		if !kept[r.task.id] { // a lost claim, or an earlier try of this call was committed: the claim says which
			d.lost(r.task)
			continue
		}
		r.task.recs = d.flight.leave(r.task)
		r.task.done()
	}
	return nil
}
