package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
)

// Save implements recorder.Tx. All statements travel in one round trip. The counters come last and sorted, so that
// recorders of different partitions wait for each other as briefly as possible and never in a circle.
func (t *recorderTx) Save(ctx context.Context, c *recorder.Changes) error {
	var b pgx.Batch
	insertMessages(&b, c.New)
	updateMessages(&b, c.Updated)
	insertLines(&b, c.Lines)
	if err := t.insertRefs(ctx, &b, c.Refs); err != nil {
		return err
	}
	park(&b, c.Park)
	if len(c.Due) > 0 {
		if err := t.store.due.InsertDue(ctx, t.tx, c.Due); err != nil {
			return err
		}
	}
	addRollup(&b, c.Rollup)
	addLedger(&b, c.Ledger)
	if b.Len() == 0 {
		return nil
	}
	return t.tx.SendBatch(ctx, &b).Close()
}

// expect fails the batch when a statement touched another number of rows: somebody else wrote them.
func expect(q *pgx.QueuedQuery, n int) {
	q.Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(n) {
			return recorder.ErrFenced
		}
		return nil
	})
}

// column gathers one field of all rows.
func column[R, T any](rows []R, field func(*R) T) []T {
	out := make([]T, len(rows))
	for i := range rows {
		out[i] = field(&rows[i])
	}
	return out
}

func stamp(t time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()} }

// small is a number that the decoder has bound, as a smallint.
func small[N ~int | ~int16 | ~uint8](n N) int16 { return int16(n) }

type message = recorder.Message

// changing are the columns of a message that an event may change, in the order of changingArrays.
const changing = `status, status_at, reason, flags, provider, turn, attempt, parts, revision, cost_minor, next_link,
	next_at, next_unless, sent_at, delivered_at, read_at, first_open_at, first_click_at`

// changingValues are those columns of the unnested u; a zero means that there is nothing.
const changingValues = `u.st, u.sa, u.r, u.fl, nullif(u.pr, 0::smallint), u.t, u.a, u.pa, nullif(u.rev, 0),
	nullif(u.cost, 0), nullif(u.nl, 0::smallint), u.na, case when u.nl <> 0 then u.nu end, u.sent, u.del, u.read, u.open,
	u.click`

const changingTypes = `$2::smallint[], $3::timestamptz[], $4::smallint[], $5::int[], $6::smallint[], $7::smallint[],
	$8::smallint[], $9::smallint[], $10::int[], $11::int[], $12::smallint[], $13::timestamptz[], $14::smallint[],
	$15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[]`

const changingNames = `st, sa, r, fl, pr, t, a, pa, rev, cost, nl, na, nu, sent, del, read, open, click`

// changingArrays are the id and the columns of changing.
func changingArrays(rows []message) []any {
	return []any{
		column(rows, func(m *message) int64 { return int64(m.ID) }),
		column(rows, func(m *message) int16 { return int16(m.State.Rank) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.State.At) }),
		column(rows, func(m *message) int16 { return small(m.State.Reason) }),
		column(rows, func(m *message) int32 { return m.Flags }),
		column(rows, func(m *message) int16 { return m.Provider }),
		column(rows, func(m *message) int16 { return small(m.Turn) }),
		column(rows, func(m *message) int16 { return small(m.Attempt) }),
		column(rows, func(m *message) int16 { return small(m.Parts) }),
		column(rows, func(m *message) int32 { return int32(m.Revision) }),  //nolint:gosec // an int column's value
		column(rows, func(m *message) int32 { return int32(m.CostMinor) }), //nolint:gosec // bounded when it is read
		column(rows, func(m *message) int16 { return small(m.Next.Link) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.Next.At) }),
		column(rows, func(m *message) int16 { return small(m.Next.Unless) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.SentAt) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.DeliveredAt) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.ReadAt) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.OpenedAt) }),
		column(rows, func(m *message) pgtype.Timestamptz { return stamp(m.ClickedAt) }),
	}
}

func insertMessages(b *pgx.Batch, rows []message) {
	for _, day := range byDay(rows, func(m *message) delivery.ID { return m.ID }) {
		args := append(changingArrays(day.rows),
			column(day.rows, func(m *message) int64 { return int64(m.ProfileID) }),
			column(day.rows, func(m *message) int64 { return m.LaunchID }),
			column(day.rows, func(m *message) int16 { return m.Variant }),
			column(day.rows, func(m *message) int16 { return small(m.Channel) }),
			column(day.rows, func(m *message) int16 { return small(m.Link) }))
		expect(b.Queue(`insert into `+day.Table("message")+` (id, profile_id, launch_id, variant, channel, link, `+changing+`)
			select u.id, u.p, u.l, u.v, u.ch, u.li, `+changingValues+`
			  from unnest($1::bigint[], `+changingTypes+`, $20::bigint[], $21::bigint[], $22::smallint[], $23::smallint[],
			       $24::smallint[]) u(id, `+changingNames+`, p, l, v, ch, li) order by u.id
			on conflict do nothing`, args...), len(day.rows))
	}
}

func updateMessages(b *pgx.Batch, rows []recorder.Update) {
	for _, day := range byDay(rows, func(u *recorder.Update) delivery.ID { return u.ID }) {
		args := append(changingArrays(column(day.rows, func(u *recorder.Update) message { return u.Message })),
			column(day.rows, func(u *recorder.Update) int16 { return int16(u.WasRank) }),
			column(day.rows, func(u *recorder.Update) int32 { return u.WasFlags }))
		expect(b.Queue(`update `+day.Table("message")+` m set (`+changing+`) = row(`+changingValues+`)
			  from unnest($1::bigint[], `+changingTypes+`, $20::smallint[], $21::int[])
			       u(id, `+changingNames+`, was_st, was_fl)
			 where m.id = u.id and m.status = u.was_st and m.flags = u.was_fl`, args...), len(day.rows))
	}
}

// dayOf is the share of one day in a list of rows.
type dayOf[R any] struct {
	pg.Day
	rows []R
}

func byDay[R any](rows []R, id func(*R) delivery.ID) []dayOf[R] {
	days := pg.ByDay(column(rows, id))
	out := make([]dayOf[R], len(days))
	for i, d := range days {
		out[i] = dayOf[R]{d, pg.Pick(d, rows)}
	}
	return out
}

func insertLines(b *pgx.Batch, rows []recorder.Line) {
	for _, day := range byDay(rows, func(l *recorder.Line) delivery.ID { return l.Message }) {
		b.Queue(`insert into `+day.Table("message_event")+`
			(message_id, id, at, kind, reason, turn, attempt, late, code, detail, provider)
			select m, id, at, k, r, t, a, la, c, d, nullif(p, 0::smallint)
			  from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::smallint[], $5::smallint[], $6::smallint[],
			       $7::smallint[], $8::bool[], $9::text[], $10::text[], $11::smallint[]) u(m, id, at, k, r, t, a, la, c, d, p)`,
			column(day.rows, func(l *recorder.Line) int64 { return int64(l.Message) }),
			column(day.rows, func(l *recorder.Line) string { return l.ID }),
			column(day.rows, func(l *recorder.Line) time.Time { return l.At }),
			column(day.rows, func(l *recorder.Line) int16 { return small(l.Kind) }),
			column(day.rows, func(l *recorder.Line) int16 { return small(l.Reason) }),
			column(day.rows, func(l *recorder.Line) int16 { return small(l.Turn) }),
			column(day.rows, func(l *recorder.Line) int16 { return small(l.Attempt) }),
			column(day.rows, func(l *recorder.Line) bool { return l.Late }),
			column(day.rows, func(l *recorder.Line) string { return l.Code }),
			column(day.rows, func(l *recorder.Line) string { return l.Detail }),
			column(day.rows, func(l *recorder.Line) int16 { return l.Provider }))
	}
}

// insertRefs keeps the provider's ids. Those of a day that is not kept any more would find nothing; they are left out.
func (t *recorderTx) insertRefs(ctx context.Context, b *pgx.Batch, rows []recorder.Ref) error {
	kept := rows[:0:0]
	for _, r := range rows {
		ok, err := t.store.days.Has(ctx, t.tx, "provider_ref", int64(delivery.IDAt(r.At)))
		if err != nil {
			return err
		}
		if ok {
			kept = append(kept, r)
		}
	}
	for _, day := range byDay(kept, func(r *recorder.Ref) delivery.ID { return delivery.IDAt(r.At) }) {
		b.Queue(`insert into `+day.Table("provider_ref")+` (provider, ref, message_id, at, part, parts)
			select * from unnest($1::smallint[], $2::text[], $3::bigint[], $4::timestamptz[], $5::smallint[], $6::smallint[])`,
			column(day.rows, func(r *recorder.Ref) int16 { return r.Provider }),
			column(day.rows, func(r *recorder.Ref) string { return r.Ref }),
			column(day.rows, func(r *recorder.Ref) int64 { return int64(r.Message) }),
			column(day.rows, func(r *recorder.Ref) time.Time { return r.At }),
			column(day.rows, func(r *recorder.Ref) int16 { return small(r.Part) }),
			column(day.rows, func(r *recorder.Ref) int16 { return small(r.Parts) }))
	}
	return nil
}

func park(b *pgx.Batch, rows []recorder.Parked) {
	if len(rows) == 0 {
		return
	}
	b.Queue(`insert into event_parked (message_id, id, body, at)
		select * from unnest($1::bigint[], $2::text[], $3::bytea[], $4::timestamptz[]) u(m, i, b, a) order by 1, 2
		on conflict do nothing`,
		column(rows, func(p *recorder.Parked) int64 { return int64(p.Message) }),
		column(rows, func(p *recorder.Parked) string { return p.ID }),
		column(rows, func(p *recorder.Parked) []byte { return p.Body }),
		column(rows, func(p *recorder.Parked) time.Time { return p.At }))
}

type figureCount = recorder.Count[recorder.Figure]

func addRollup(b *pgx.Batch, rows []figureCount) {
	if len(rows) == 0 {
		return
	}
	b.Queue(`insert into rollup as r (launch_id, variant, channel, kind, hour, n)
		select * from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::bigint[])
		 order by 1, 2, 3, 4, 5
		on conflict (launch_id, variant, channel, kind, hour) do update set n = r.n + excluded.n`,
		column(rows, func(c *figureCount) int64 { return c.Of.LaunchID }),
		column(rows, func(c *figureCount) int16 { return c.Of.Variant }),
		column(rows, func(c *figureCount) int16 { return small(c.Of.Channel) }),
		column(rows, func(c *figureCount) int16 { return c.Of.Kind }),
		column(rows, func(c *figureCount) time.Time { return c.Of.Hour }),
		column(rows, func(c *figureCount) int64 { return c.N }))
}

type entryCount = recorder.Count[recorder.Entry]

func addLedger(b *pgx.Batch, rows []entryCount) {
	if len(rows) == 0 {
		return
	}
	b.Queue(`insert into ledger as l (launch_id, variant, bucket, reason, n)
		select * from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::smallint[], $5::bigint[])
		 order by 1, 2, 3, 4
		on conflict (launch_id, variant, bucket, reason) do update set n = l.n + excluded.n`,
		column(rows, func(c *entryCount) int64 { return c.Of.LaunchID }),
		column(rows, func(c *entryCount) int16 { return c.Of.Variant }),
		column(rows, func(c *entryCount) int16 { return small(c.Of.Bucket) }),
		column(rows, func(c *entryCount) int16 { return small(c.Of.Reason) }),
		column(rows, func(c *entryCount) int64 { return c.N }))
}
