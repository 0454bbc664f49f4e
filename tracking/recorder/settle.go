package recorder

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/herald-gateway/herald/delivery"
)

// settlement is one batch on its way from events to changes.
type settlement struct {
	facts  map[delivery.ID][]*fact // by message
	before map[delivery.ID]Message // the rows of all jobs that are touched
	after  map[delivery.ID]Message // what becomes of them
	moved  map[delivery.ID]bool    // jobs that are touched
	lines  map[string]bool         // timeline entries that are written already, by message and event
	out    Changes
	figs   moves[Figure]
	ledger moves[Entry]
	number func(context.Context, *fact) error // finds the numbers of an event's names
	silent bool                               // no side effects
}

// settle reads the rows of the messages, merges the events into them and saves what has changed.
func settle(
	ctx context.Context, tx Tx, facts []*fact, number func(context.Context, *fact) error, silent bool,
) (*Changes, error) {
	s := &settlement{
		facts: map[delivery.ID][]*fact{}, before: map[delivery.ID]Message{}, after: map[delivery.ID]Message{},
		moved: map[delivery.ID]bool{}, lines: map[string]bool{}, figs: moves[Figure]{}, ledger: moves[Entry]{},
		number: number, silent: silent,
	}
	for _, f := range facts {
		s.facts[f.Message] = append(s.facts[f.Message], f)
		s.moved[f.Job] = true
	}
	if err := s.read(ctx, tx); err != nil {
		return nil, err
	}
	if err := s.unpark(ctx, tx); err != nil {
		return nil, err
	}
	for _, id := range sortedIDs(s.facts) {
		s.message(id, s.facts[id])
	}
	s.count()
	return &s.out, tx.Save(ctx, &s.out)
}

// read finds the rows of all messages of the jobs: the ledger counts jobs, and its entry is a function of them all.
func (s *settlement) read(ctx context.Context, tx Tx) error {
	rows, err := tx.Messages(ctx, sortedIDs(s.moved))
	if err != nil {
		return err
	}
	for i := range rows {
		s.before[rows[i].ID], s.after[rows[i].ID] = rows[i], rows[i]
	}
	return nil
}

// unpark adds the parked events of messages whose row is made by this batch.
func (s *settlement) unpark(ctx context.Context, tx Tx) error {
	var fresh []delivery.ID
	for id, facts := range s.facts {
		if _, there := s.before[id]; !there && slices.ContainsFunc(facts, func(f *fact) bool { return f.origin }) {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	slices.Sort(fresh)
	bodies, err := tx.Parked(ctx, fresh)
	if err != nil {
		return err
	}
	for _, b := range bodies {
		e := new(delivery.Event)
		if err := delivery.DecodeEvent(b, e); err != nil {
			return fmt.Errorf("parked event: %w", err) // it was read before it was parked
		}
		f := &fact{Event: plain(e), body: b}
		if err := s.number(ctx, f); err != nil {
			return err
		}
		s.facts[e.Message] = append(s.facts[e.Message], f)
	}
	return nil
}

// message merges the events of one message.
func (s *settlement) message(id delivery.ID, facts []*fact) {
	before, there := s.before[id]
	m := before
	if !there {
		i := slices.IndexFunc(facts, func(f *fact) bool { return f.origin })
		if i < 0 {
			s.park(facts)
			return
		}
		m = newMessage(facts[i])
	}
	for _, f := range facts {
		m.apply(f)
	}
	s.after[id] = m
	s.refs(&m, facts, there)
	for _, f := range facts {
		s.line(f, &m)
	}
	switch {
	case !there:
		s.out.New = append(s.out.New, m)
	case m != before:
		s.out.Updated = append(s.out.Updated, Update{m, before.State.Rank, before.Flags})
	default:
		return
	}
	if there {
		before.Figures(func(f Figure, n int64) { s.figs.add(f, -n) })
	}
	m.Figures(s.figs.add)
}

// park keeps events of a message without a row. That a message is sent again is no state of it: it stands in the
// timeline at once, where the look-up for messages in doubt counts it.
func (s *settlement) park(facts []*fact) {
	seen := map[string]bool{}
	for _, f := range facts {
		switch {
		case f.Kind == delivery.KindRedriven:
			s.line(f, &Message{ID: f.Message})
		case !seen[f.ID]:
			seen[f.ID] = true
			s.out.Park = append(s.out.Park, Parked{f.Message, f.ID, f.At, f.body})
		}
	}
}

// refs lists the provider's ids of what was accepted, also of an acceptance that came late.
func (s *settlement) refs(m *Message, facts []*fact, there bool) {
	known := there && s.before[m.ID].Flags&delivery.KindAccepted.Flag() != 0
	seen := map[string]bool{}
	for _, f := range facts {
		if f.Kind != delivery.KindAccepted || known && f.origin || seen[f.ID] || f.provider == 0 {
			continue
		}
		seen[f.ID] = true
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
func (s *settlement) line(f *fact, m *Message) {
	late := !f.origin && f.Kind.Rank() != delivery.RankNone && s.wentOn(m.ID)
	switch f.Kind {
	case delivery.KindAccepted, delivery.KindDelivered, delivery.KindRead, delivery.KindOpened, delivery.KindClicked:
		if !late {
			return
		}
	default:
	}
	key := f.Message.String() + f.ID
	if s.lines[key] {
		return
	}
	s.lines[key] = true
	s.out.Lines = append(s.out.Lines, Line{
		Message: f.Message, ID: f.ID, At: f.At, Kind: f.Kind, Reason: f.Reason, Turn: f.Turn, Attempt: f.Attempt,
		Late: late, Code: f.Code, Detail: f.Detail, Provider: f.provider,
	})
}

// wentOn says that a later message of the job exists.
func (s *settlement) wentOn(id delivery.ID) bool {
	for n := id.Number() + 1; n < delivery.MessagesPerJob; n++ {
		if _, ok := s.after[id.Message(n)]; ok {
			return true
		}
	}
	return false
}

// count moves the ledger by the jobs' buckets before and after, and looks for links that follow.
func (s *settlement) count() {
	jobs := sortedIDs(s.moved)
	was := make([]Message, 0, delivery.MessagesPerJob)
	is := make([]Message, 0, delivery.MessagesPerJob)
	for _, job := range jobs {
		was, is = was[:0], is[:0]
		for n := range delivery.MessagesPerJob {
			if m, ok := s.before[job.Message(n)]; ok {
				was = append(was, m)
			}
			if m, ok := s.after[job.Message(n)]; ok {
				is = append(is, m)
			}
		}
		if e, ok := EntryOf(was); ok {
			s.ledger.add(e, -1)
		}
		if e, ok := EntryOf(is); ok {
			s.ledger.add(e, 1)
		}
		if !s.silent {
			for i := range is {
				s.follow(&is[i])
			}
		}
	}
	s.out.Rollup = s.figs.sorted(compareFigures)
	s.out.Ledger = s.ledger.sorted(compareEntries)
}

// follow writes the row that brings the next link: at its time when the message may still arrive, at once when it
// definitely does not. Of both only one is taken, because they carry the same turn.
func (s *settlement) follow(m *Message) {
	if m.Next.Link == 0 || m.Next.At.IsZero() || m.ID.Number()+1 == delivery.MessagesPerJob || s.wentOn(m.ID) ||
		m.Next.Unless.Met(m.Flags) {
		return
	}
	before, there := s.before[m.ID]
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

func sortedIDs[V any](m map[delivery.ID]V) []delivery.ID {
	ids := make([]delivery.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b delivery.ID) int { return cmp.Compare(a, b) })
	return ids
}
