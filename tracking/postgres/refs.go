package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking"
)

// wanted is a reference that was given out at some time between two.
type wanted struct {
	provider int16
	ref      string
	from, to time.Time
}

// refKey names a reference within the table.
type refKey struct {
	provider int16
	ref      string
}

// refsSQL finds references of one day. The lateral join leaves the planner no other way than one descent of the index for
// each reference and hour.
const refsSQL = `select u.p, u.f, r.message_id, r.part, r.parts
	  from unnest($1::smallint[], $2::text[], $3::timestamp[], $4::timestamp[]) u(p, f, since, till)
	  cross join lateral (
	    select r.* from generate_series(u.since, u.till, interval '1 hour') h cross join lateral (
	      select message_id, part, parts, at from %s
	       where date_trunc('hour', at at time zone 'UTC') = h and hashtext(ref) = hashtext(u.f) and ref = u.f and provider = u.p
	       order by at desc limit 1) r
	     order by r.at desc limit 1) r`

// findRefs finds what the references stand for, the newest acceptance first. Those that are not known are left out.
func (s *ReceiptStore) findRefs(ctx context.Context, tx pgx.Tx, list []wanted) (map[refKey]tracking.Target, error) {
	found := map[refKey]tracking.Target{}
	first, last := list[0].from, list[0].to
	for _, w := range list {
		first, last = earlier(first, w.from), later(last, w.to)
	}
	var b pgx.Batch
	b.Queue(plannerSQL)
	const day = 24 * time.Hour
	for d := first.UTC().Truncate(day); !d.After(last); d = d.Add(day) {
		known, err := s.days.Has(ctx, tx, "provider_ref", int64(delivery.IDAt(d)))
		if err != nil {
			return nil, err
		}
		if known {
			queueRefs(&b, list, d, d.Add(day-1), found)
		}
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("find references: %w", err)
	}
	return found, nil
}

// queueRefs asks for the references of one day, which ends with the hour of its last instant. Days are asked in order, so
// that a later acceptance takes the place of an earlier one.
func queueRefs(b *pgx.Batch, list []wanted, begin, end time.Time, found map[refKey]tracking.Target) {
	var providers []int16
	var refs []string
	var since, till []time.Time // hours
	for _, w := range list {
		if w.from.After(end) || w.to.Before(begin) {
			continue
		}
		providers, refs = append(providers, w.provider), append(refs, w.ref)
		since = append(since, later(w.from, begin).UTC().Truncate(time.Hour))
		till = append(till, earlier(w.to, end).UTC().Truncate(time.Hour))
	}
	if len(refs) == 0 {
		return
	}
	b.Queue(fmt.Sprintf(refsSQL, pg.PartitionName("provider_ref", begin)), providers, refs, since, till).Query(
		func(rows pgx.Rows) error {
			var k refKey
			var t tracking.Target
			_, err := pgx.ForEachRow(rows, []any{&k.provider, &k.ref, &t.Message, &t.Part, &t.Parts}, func() error {
				found[k] = t
				return nil
			})
			return err
		})
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
