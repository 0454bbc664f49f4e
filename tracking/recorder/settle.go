package recorder

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/herald-gateway/herald/delivery"
)

// settlement is one batch on its way from events to changes, job by job: the ledger counts jobs, and its entry is a
// function of all messages of the job.
type settlement struct {
	was    []Message // the rows of the job in hand
	is     []Message // what becomes of them
	out    Changes
	figs   moves[Figure]
	ledger moves[Entry]
	silent bool // no side effects
}

// settle reads the rows of the messages, merges the events into them and saves what has changed. number finds the numbers
// of an event's names.
func settle(
	ctx context.Context, tx Tx, facts []*fact, number func(context.Context, *fact) error, silent bool,
) (*Changes, error) {
	sortByMessage(facts)
	rows, err := tx.Messages(ctx, jobsOf(facts))
	if err != nil {
		return nil, err
	}
	parked, err := unpark(ctx, tx, rows, facts, number)
	if err != nil {
		return nil, err
	}
	if len(parked) > 0 {
		facts = append(facts, parked...)
		sortByMessage(facts)
	}
	s := &settlement{figs: moves[Figure]{}, ledger: moves[Entry]{}, silent: silent}
	for len(facts) > 0 {
		job := facts[0].Message.Job()
		events := lead(facts, func(f *fact) bool { return f.Message.Job() == job })
		messages := lead(rows, func(m Message) bool { return m.ID.Job() == job })
		s.job(messages, events)
		facts, rows = facts[len(events):], rows[len(messages):]
	}
	s.out.Rollup = s.figs.sorted(compareFigures)
	s.out.Ledger = s.ledger.sorted(compareEntries)
	return &s.out, tx.Save(ctx, &s.out)
}

// sortByMessage brings the events of a message together, in the order in which they came.
func sortByMessage(facts []*fact) {
	slices.SortStableFunc(facts, func(a, b *fact) int { return cmp.Compare(a.Message, b.Message) })
}

// jobsOf lists the jobs of sorted events.
func jobsOf(facts []*fact) []delivery.ID {
	jobs := make([]delivery.ID, len(facts))
	for i, f := range facts {
		jobs[i] = f.Message.Job()
	}
	return slices.Compact(jobs)
}

// lead is the front of the list up to the first element that is different.
func lead[T any](list []T, same func(T) bool) []T {
	for i, v := range list {
		if !same(v) {
			return list[:i]
		}
	}
	return list
}

// unpark takes the parked events of messages whose row is made by this batch.
func unpark(
	ctx context.Context, tx Tx, rows []Message, facts []*fact, number func(context.Context, *fact) error,
) ([]*fact, error) {
	var fresh []delivery.ID
	for _, f := range facts {
		if !f.origin || len(fresh) > 0 && fresh[len(fresh)-1] == f.Message {
			continue
		}
		if _, there := find(rows, f.Message); !there {
			fresh = append(fresh, f.Message)
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	bodies, err := tx.Parked(ctx, fresh)
	if err != nil {
		return nil, err
	}
	parked := make([]*fact, 0, len(bodies))
	for _, b := range bodies {
		e := new(delivery.Event)
		if err := delivery.DecodeEvent(b, e); err != nil {
			return nil, fmt.Errorf("parked event: %w", err) // it was read before it was parked
		}
		f := &fact{Event: plain(e), body: b}
		if err := number(ctx, f); err != nil {
			return nil, err
		}
		parked = append(parked, f)
	}
	return parked, nil
}

// find is where the message stands in a sorted list, or would stand.
func find(list []Message, id delivery.ID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(m Message, id delivery.ID) int { return cmp.Compare(m.ID, id) })
}

// job merges the events of one job into its messages, and counts what that changes.
func (s *settlement) job(was []Message, facts []*fact) {
	s.was, s.is = was, append(s.is[:0], was...)
	for len(facts) > 0 {
		id := facts[0].Message
		events := lead(facts, func(f *fact) bool { return f.Message == id })
		s.message(id, events)
		facts = facts[len(events):]
	}
	if e, ok := EntryOf(s.was); ok {
		s.ledger.add(e, -1)
	}
	if e, ok := EntryOf(s.is); ok {
		s.ledger.add(e, 1)
	}
	if s.silent {
		return
	}
	for i := range s.is {
		s.follow(&s.is[i])
	}
}

// message merges the events of one message.
func (s *settlement) message(id delivery.ID, facts []*fact) {
	at, there := find(s.is, id)
	if !there {
		i := slices.IndexFunc(facts, func(f *fact) bool { return f.origin })
		if i < 0 {
			s.park(facts)
			return
		}
		s.is = slices.Insert(s.is, at, newMessage(facts[i]))
	}
	m := &s.is[at]
	before := *m
	for _, f := range facts {
		m.apply(f)
	}
	s.refs(m, facts, there && before.Flags&delivery.KindAccepted.Flag() != 0)
	for i, f := range facts {
		if !repeats(facts, i) {
			s.line(f, id)
		}
	}
	switch {
	case !there:
		s.out.New = append(s.out.New, *m)
	case *m != before:
		s.out.Updated = append(s.out.Updated, Update{*m, before.State.Rank, before.Flags})
		before.Figures(func(f Figure, n int64) { s.figs.add(f, -n) })
	default:
		return
	}
	m.Figures(s.figs.add)
}

// repeats says that the event came before, in the same batch.
func repeats(facts []*fact, i int) bool {
	return slices.ContainsFunc(facts[:i], func(f *fact) bool { return f.ID == facts[i].ID })
}

// park keeps events of a message without a row. That a message is sent again is no state of it: it stands in the
// timeline at once, where the look-up for messages in doubt counts it.
func (s *settlement) park(facts []*fact) {
	for i, f := range facts {
		switch {
		case repeats(facts, i):
		case f.Kind == delivery.KindRedriven:
			s.line(f, f.Message)
		default:
			s.out.Park = append(s.out.Park, Parked{f.Message, f.ID, f.At, f.body})
		}
	}
}

// refs lists the provider's ids of what was accepted, also of an acceptance that came late. known says that those of the
// dispatcher's own acceptance are written already.
func (s *settlement) refs(m *Message, facts []*fact, known bool) {
	for i, f := range facts {
		if f.Kind != delivery.KindAccepted || known && f.origin || f.provider == 0 || repeats(facts, i) {
			continue
		}
		for i, ref := range f.ProviderRefs {
			if ref != "" { // a late acceptance knows one part only
				s.out.Refs = append(s.out.Refs, Ref{
					f.provider, ref, m.ID, f.At, i + 1, max(len(f.ProviderRefs), f.Parts),
				})
			}
		}
	}
}

// line writes what the message row cannot show into the timeline.
func (s *settlement) line(f *fact, id delivery.ID) {
	late := !f.origin && f.Kind.Rank() != delivery.RankNone && s.wentOn(id)
	switch f.Kind {
	case delivery.KindAccepted, delivery.KindDelivered, delivery.KindRead, delivery.KindOpened, delivery.KindClicked:
		if !late {
			return
		}
	default:
	}
	s.out.Lines = append(s.out.Lines, Line{
		Message: f.Message, ID: f.ID, At: f.At, Kind: f.Kind, Reason: f.Reason, Turn: f.Turn, Attempt: f.Attempt,
		Late: late, Code: f.Code, Detail: f.Detail, Provider: f.provider,
	})
}

// wentOn says that a later message of the job exists.
func (s *settlement) wentOn(id delivery.ID) bool { return len(s.is) > 0 && s.is[len(s.is)-1].ID > id }

// follow writes the row that brings the next link: at its time when the message may still arrive, at once when it
// definitely does not. Of both only one is taken, because they carry the same turn.
func (s *settlement) follow(m *Message) {
	if m.Next.Link == 0 || m.Next.At.IsZero() || m.ID.Number()+1 == delivery.MessagesPerJob || s.wentOn(m.ID) ||
		m.Next.Unless.Met(m.Flags) {
		return
	}
	var before Message
	i, there := find(s.was, m.ID)
	if there {
		before = s.was[i]
	}
	at := m.Next.At
	switch {
	case m.negative():
		if there && before.negative() && before.Next.Link > 0 {
			return
		}
		if m.State.At.Before(at) {
			at = m.State.At
		}
	case there && before.Next == m.Next:
		return
	}
	s.out.Due = append(s.out.Due, delivery.Due{
		At: at, Kind: delivery.DueLink, Message: m.ID.Message(m.ID.Number() + 1), ProfileID: m.ProfileID,
		LaunchID: m.LaunchID, Link: m.Next.Link, Turn: m.Turn + 1, Priority: defaultPriority, Lane: delivery.LaneBulk,
		Skip: m.ID, SkipFlags: m.Next.Unless.Flags(),
	})
}

// defaultPriority orders next links among the rows that are due at the same time.
const defaultPriority = 50
