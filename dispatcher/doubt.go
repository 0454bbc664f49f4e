package dispatcher

import (
	"context"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// lookAgain is how often the claims of other living owners are looked at.
const lookAgain = 500 * time.Millisecond

// resolveMet finds out what became of jobs whose claim existed when their record came: a repeat of something finished, a
// copy of something in work here or in another process, or something that a crash left behind.
func (d *Dispatcher) resolveMet(ctx context.Context, l *lane) {
	for l.met.wait(ctx) {
		waiting, err := d.resolve(ctx, l.met.takeAll())
		if ctx.Err() != nil {
			return // the records are not done and come again elsewhere
		}
		if err != nil {
			d.log.ErrorContext(ctx, "claims given up", "lane", l.id.String(), "err", err)
			continue
		}
		if len(waiting) > 0 {
			pause(ctx, lookAgain)
			l.met.push(waiting...)
		}
	}
}

// resolve settles what can be settled now and returns the tasks that have to wait. Its cases are, in this order: the
// claim is gone; the record is of an earlier turn; of a later one; its copy is in work here; its fate is recorded;
// somebody else works on it; nobody does.
func (d *Dispatcher) resolve(ctx context.Context, tasks []*task) (waiting []*task, err error) {
	claims, err := d.look(ctx, tasks)
	if err != nil {
		return nil, err
	}
	var reclaim, open []*task
	for _, t := range tasks {
		c, ok := claims[t.id]
		switch {
		case !ok:
			reclaim = append(reclaim, t)
		case t.turn < c.Turn:
			d.repeat(ctx, t, c)
		case t.turn > c.Turn || c.Stage&StageDue != 0:
			reclaim = append(reclaim, t)
		default:
			open = append(open, t)
		}
	}
	if open, err = d.joinCopies(ctx, open, claims); err != nil {
		return nil, err
	}
	if open, err = d.dropRecorded(ctx, open, claims); err != nil {
		return nil, err
	}
	var orphans []*task
	for _, t := range open {
		if c := claims[t.id]; c.Dead || c.Owner == d.owner.ID() {
			orphans = append(orphans, t)
		} else {
			waiting = append(waiting, t)
		}
	}
	lost, err := d.adopt(ctx, orphans, claims)
	if err != nil {
		return nil, err
	}
	if next, err := d.claim(ctx, reclaim, d.now()); err != nil {
		return nil, err
	} else if err := d.links(ctx, next); err != nil {
		return nil, err
	}
	return append(waiting, lost...), nil
}

func (d *Dispatcher) look(ctx context.Context, tasks []*task) (map[delivery.ID]Claim, error) {
	ids := make([]delivery.ID, len(tasks))
	for i, t := range tasks {
		ids[i] = t.id
	}
	var list []Claim
	err := d.persist(ctx, "look at claims", func(ctx context.Context) (err error) {
		list, err = d.claims.Look(ctx, ids)
		return err
	})
	claims := make(map[delivery.ID]Claim, len(list))
	for _, c := range list {
		claims[c.ID] = c
	}
	return claims, err
}

// repeat is done with a record that brings nothing new. A second record of a job that a producer labelled counts as
// void; the same record read again does not.
func (d *Dispatcher) repeat(ctx context.Context, t *task, c Claim) {
	if d.countVoid(ctx, t, c) != nil {
		return // not done: it is read again
	}
	d.metrics.jobs.WithLabelValues(t.lane.String(), "repeat").Inc()
	t.done()
}

// joinCopies lets tasks share the fate of their copies that are in work here and returns the others.
func (d *Dispatcher) joinCopies(
	ctx context.Context, tasks []*task, claims map[delivery.ID]Claim,
) (open []*task, err error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	if err := d.flight.entered(ctx); err != nil {
		return nil, err
	}
	for _, t := range tasks {
		c := claims[t.id]
		if c.Owner != d.owner.ID() || !d.flight.join(t) {
			open = append(open, t)
			continue
		}
		if err := d.countVoid(ctx, t, c); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// countVoid counts a record that a producer labelled and that is a second one of its job.
func (d *Dispatcher) countVoid(ctx context.Context, t *task, c Claim) error {
	rec := t.recs[0]
	same := rec.Partition == c.Partition && rec.Offset == c.Offset
	if t.job.Launch == "" || t.job.Herald != nil || same {
		return nil
	}
	return d.persist(ctx, "count void records", func(ctx context.Context) error {
		return d.claims.Void(ctx, d.owner.ID(), map[string]int{t.job.Launch: 1}, d.now())
	})
}

// dropRecorded is done with the tasks whose outcome is recorded, and moves those whose link was skipped to their next.
func (d *Dispatcher) dropRecorded(
	ctx context.Context, tasks []*task, claims map[delivery.ID]Claim,
) ([]*task, error) {
	fates, err := d.fatesOf(ctx, tasks)
	if err != nil {
		return nil, err
	}
	var open []*task
	for _, t := range tasks {
		if d.pastSkips(t, fates); recorded(t, fates) {
			d.repeat(ctx, t, claims[t.id])
			continue
		}
		open = append(open, t)
	}
	return open, nil
}

// recorded says that an outcome of the message is recorded for its turn.
func recorded(t *task, fates map[delivery.ID]delivery.Fate) bool {
	f, ok := fates[t.message()]
	return ok && f.Rank.Final() && f.Turn >= t.turn
}

// pastSkips moves a task behind the links that are recorded as skipped.
func (d *Dispatcher) pastSkips(t *task, fates map[delivery.ID]delivery.Fate) {
	for t.hasNext() && recorded(t, fates) && fates[t.message()].Rank == delivery.RankSuppressed {
		t.advance()
	}
	t.redriven = fates[t.message()].Redriven
}

// fatesOf looks up what is recorded of the tasks' messages, with those of later links.
func (d *Dispatcher) fatesOf(ctx context.Context, tasks []*task) (map[delivery.ID]delivery.Fate, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	var ids []delivery.ID
	for _, t := range tasks {
		more := len(t.links) - t.link
		for n := range min(more, delivery.MessagesPerJob-t.number) {
			ids = append(ids, t.id.Message(t.number+n))
		}
	}
	var fates map[delivery.ID]delivery.Fate
	err := d.persist(ctx, "look up fates", func(ctx context.Context) (err error) {
		fates, err = d.fates.Fates(ctx, ids)
		return err
	})
	return fates, err
}

// adopt takes over claims that nobody works on. What was not handed over simply goes on. For the rest, everything on the
// log is recorded first; whatever then has no outcome is in doubt. It returns the tasks that somebody else was quicker
// to take.
func (d *Dispatcher) adopt(
	ctx context.Context, orphans []*task, claims map[delivery.ID]Claim,
) (lost []*task, err error) {
	if len(orphans) == 0 {
		return nil, nil
	}
	list := make([]Claim, 0, len(orphans))
	for _, t := range orphans {
		list = append(list, claims[t.id])
	}
	entered := d.flight.begin()
	var taken []Claim
	err = d.persist(ctx, "take claims over", func(ctx context.Context) (err error) {
		taken, err = d.claims.TakeOver(ctx, d.owner.ID(), list)
		return err
	})
	if err != nil {
		entered()
		return nil, err
	}
	stage := make(map[delivery.ID]int, len(taken))
	for _, c := range taken {
		stage[c.ID] = c.Stage
	}
	var free, handed []*task
	for _, t := range orphans {
		s, ours := stage[t.id]
		switch {
		case !ours || d.flight.join(t): // the same job twice in one batch: the second joins the first
			if !ours {
				lost = append(lost, t)
			}
		case s&StageHanded != 0:
			d.flight.start(t)
			handed = append(handed, t)
		default:
			d.flight.start(t)
			free = append(free, t)
		}
	}
	entered()
	if err := d.links(ctx, free); err != nil {
		return nil, err
	}
	return lost, d.inDoubt(ctx, handed)
}

// inDoubt decides about messages whose bytes may have left before a crash.
func (d *Dispatcher) inDoubt(ctx context.Context, tasks []*task) error {
	if len(tasks) == 0 {
		return nil
	}
	err := d.persist(ctx, "wait for the recorder", d.fates.CatchUp)
	if err != nil {
		return err
	}
	fates, err := d.fatesOf(ctx, tasks)
	if err != nil {
		return err
	}
	now := d.now()
	var again []*task
	var redriven []delivery.Record
	for _, t := range tasks {
		d.pastSkips(t, fates)
		t.expires, t.channel = t.job.Expiry(t.begins(d.cfg.Zone)), t.links[t.link].Channel
		if recorded(t, fates) {
			t.recs = d.flight.leave(t)
			t.done()
			continue
		}
		rep := d.doubt(t, func(k delivery.Kind, then then) report {
			e := t.event(k, now)
			e.Detail = "the process ended between sending and the answer"
			if then == finish {
				e.Next = t.next(now, false)
			}
			return report{task: t, event: e, then: then}
		})
		d.metrics.doubts.WithLabelValues(rep.event.Kind.String()).Inc()
		if rep.then == finish {
			d.lanes[t.lane].reports.push(rep)
			continue
		}
		rec, err := delivery.EventRecord(d.cfg.EventsTopic, &rep.event)
		if err != nil {
			return err
		}
		redriven, again = append(redriven, rec), append(again, t)
		d.metrics.count(&rep.event)
	}
	if len(again) == 0 {
		return nil
	}
	// That a message is sent again stands on the log before its bytes leave.
	if err := d.write(ctx, redriven); err != nil {
		return err
	}
	return d.links(ctx, again)
}
