package postgres

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking"
)

// ReceiptStore keeps receipts that wait for their message, and the states of parts. It is safe for concurrent use.
type ReceiptStore struct {
	db, parts DB
	providers *pg.Names
	days      *pg.Days
}

// NewReceiptStore makes a store on the pool for hot statements; parts is another pool, because the states of parts are
// asked for while a transaction of the first is open.
func NewReceiptStore(db, parts DB) *ReceiptStore {
	return &ReceiptStore{db: db, parts: parts, providers: pg.NewProviderNames(), days: new(pg.Days)}
}

var _ tracking.Store = (*ReceiptStore)(nil)

// Resolve implements tracking.Store.
func (s *ReceiptStore) Resolve(
	ctx context.Context, keys []tracking.Key, since, till time.Time,
) (map[tracking.Key]tracking.Target, error) {
	names := map[int16]string{}
	var list []wanted
	for _, k := range keys {
		id, known, err := s.providers.Find(ctx, s.db, k.Provider)
		if err != nil {
			return nil, err
		}
		if known {
			p := int16(id) //nolint:gosec // the column is a smallint
			names[p] = k.Provider
			list = append(list, wanted{p, k.Ref, since, till})
		}
	}
	found := map[tracking.Key]tracking.Target{}
	if len(list) == 0 {
		return found, nil
	}
	err := s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		targets, err := s.findRefs(ctx, tx, list)
		for k, t := range targets {
			found[tracking.Key{Provider: names[k.provider], Ref: k.ref}] = t
		}
		return err
	})
	return found, err
}

// inTx runs fn in a transaction; a day that was dropped meanwhile is not asked again.
func (s *ReceiptStore) inTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	err := pg.InTx(ctx, s.db, fn)
	if pg.UndefinedTable(err) {
		s.days.Forget()
	}
	return err
}

// Park implements tracking.Store.
func (s *ReceiptStore) Park(
	ctx context.Context, receipts []delivery.Receipt, channels map[string]delivery.Channel, now time.Time,
) error {
	providers := make([]int16, len(receipts))
	for i, r := range receipts {
		id, err := providerID(ctx, s.providers, s.db, r.Provider, channels[r.Provider])
		if err != nil {
			return err
		}
		providers[i] = id
	}
	type receipt = delivery.Receipt
	text := func(field func(*receipt) string) []string {
		return column(receipts, func(r *receipt) string {
			return strings.ToValidUTF8(strings.ReplaceAll(field(r), "\x00", ""), "\uFFFD")
		})
	}
	_, err := s.db.Exec(ctx, `
		insert into receipt_parked (provider, ref, state, alt_ref, at, reason, code, detail, raw, parked_at)
		select p, r, s, a, t, re, c, d, raw, $10
		  from unnest($1::smallint[], $2::text[], $3::smallint[], $4::text[], $5::timestamptz[], $6::smallint[],
		       $7::text[], $8::text[], $9::bytea[]) u(p, r, s, a, t, re, c, d, raw) order by p, r, s
		on conflict do nothing`, providers,
		text(func(r *receipt) string { return r.Ref }),
		column(receipts, func(r *receipt) int16 { return small(r.State) }),
		text(func(r *receipt) string { return r.AltRef }),
		column(receipts, func(r *receipt) time.Time {
			if r.At.IsZero() {
				return now
			}
			return r.At
		}),
		column(receipts, func(r *receipt) int16 { return small(r.Reason) }),
		text(func(r *receipt) string { return r.Code }),
		text(func(r *receipt) string { return r.Detail }),
		column(receipts, func(r *receipt) []byte { return append([]byte{}, r.Raw...) }), now)
	return err
}

// MarkParts implements tracking.Store.
func (s *ReceiptStore) MarkParts(ctx context.Context, marks []tracking.Parts) ([]tracking.Parts, error) {
	rows, err := s.parts.Query(ctx, `
		insert into part_state as p (message_id, parts, ok, bad)
		select m, n, o, b & ~o from unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[]) u(m, n, o, b) order by m
		on conflict (message_id) do update set ok = p.ok | excluded.ok,
		       bad = (p.bad | excluded.bad) & ~(p.ok | excluded.ok), parts = greatest(p.parts, excluded.parts)
		returning message_id, parts, ok, bad`,
		column(marks, func(p *tracking.Parts) int64 { return int64(p.Message) }),
		column(marks, func(p *tracking.Parts) int16 { return small(p.Parts) }),
		column(marks, func(p *tracking.Parts) int64 { return p.OK }),
		column(marks, func(p *tracking.Parts) int64 { return p.Bad }))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p tracking.Parts, err error) {
		err = row.Scan(&p.Message, &p.Parts, &p.OK, &p.Bad)
		return p, err
	})
}

// parkedSQL reads the next page of parked receipts. Rows that another process looks at are passed over.
const parkedSQL = `
	select provider, ref, state, alt_ref, at, reason, code, detail, raw, parked_at from receipt_parked
	 where (parked_at, provider, ref, state) > ($1, $2, $3, $4) and parked_at < $5
	 order by parked_at, provider, ref, state limit $6 for update skip locked`

// waiting is a parked receipt.
type waiting struct {
	delivery.Receipt
	provider int16
	parkedAt time.Time
}

// Sweep implements tracking.Store. Each page is a transaction of its own.
func (s *ReceiptStore) Sweep(
	ctx context.Context, q tracking.SweepQuery, found func(context.Context, []tracking.Found) error,
) error {
	last := waiting{parkedAt: q.ParkedSince, provider: math.MinInt16}
	for {
		n := 0
		err := s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, pg.PatientSQL); err != nil { // the events are written while the rows are locked
				return err
			}
			page, err := parkedPage(ctx, tx, last, q)
			if n = len(page); err != nil || n == 0 {
				return err
			}
			last = page[n-1]
			return s.sweepPage(ctx, tx, page, q, found)
		})
		if err != nil || n < q.Limit {
			return err
		}
	}
}

func parkedPage(ctx context.Context, tx pgx.Tx, last waiting, q tracking.SweepQuery) ([]waiting, error) {
	rows, err := tx.Query(ctx, parkedSQL, last.parkedAt, last.provider, last.Ref, small(last.State), q.ParkedBefore, q.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w waiting, err error) {
		err = row.Scan(&w.provider, &w.Ref, &w.State, &w.AltRef, &w.At, &w.Reason, &w.Code, &w.Detail, &w.Raw, &w.parkedAt)
		return w, err
	})
}

// sweepPage looks for the messages of the page's receipts, under either form of their id, and takes those out that it
// finds.
func (s *ReceiptStore) sweepPage(
	ctx context.Context, tx pgx.Tx, page []waiting, q tracking.SweepQuery, found func(context.Context, []tracking.Found) error,
) error {
	var list []wanted
	for i := range page {
		w := &page[i]
		till := later(q.Till, w.parkedAt.Add(q.Skew))
		for _, ref := range []string{w.Ref, w.AltRef} {
			if ref != "" {
				list = append(list, wanted{w.provider, ref, w.parkedAt.Add(-q.Depth), till})
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	targets, err := s.findRefs(ctx, tx, list)
	if err != nil {
		return err
	}
	var out []tracking.Found
	var providers, states []int16
	var refs []string
	for i := range page {
		w := &page[i]
		t, ok := targets[refKey{w.provider, w.Ref}]
		if !ok {
			t, ok = targets[refKey{w.provider, w.AltRef}]
		}
		if !ok {
			continue
		}
		if w.Provider, err = s.providers.Name(ctx, tx, int64(w.provider)); err != nil {
			return err
		}
		out = append(out, tracking.Found{Receipt: w.Receipt, Target: t})
		providers, refs, states = append(providers, w.provider), append(refs, w.Ref), append(states, small(w.State))
	}
	if len(out) == 0 {
		return nil
	}
	if err := found(ctx, out); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `delete from receipt_parked p using unnest($1::smallint[], $2::text[], $3::smallint[]) u(p, r, s)
		where p.provider = u.p and p.ref = u.r and p.state = u.s`, providers, refs, states)
	return err
}

// Waiting implements tracking.Store.
func (s *ReceiptStore) Waiting(ctx context.Context, before, drop time.Time) (p tracking.Parked, err error) {
	tag, err := s.db.Exec(ctx, `delete from receipt_parked where parked_at < $1`, drop)
	if err != nil {
		return p, err
	}
	p.Dropped = tag.RowsAffected()
	err = s.db.QueryRow(ctx, `select count(*), count(*) filter (where parked_at < $1), (select count(*) from event_parked)
		from receipt_parked`, before).Scan(&p.Receipts, &p.Orphans, &p.Events)
	return p, err
}
