package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking"
)

// ReceiptStore keeps receipts that wait for their message, and the states of parts. It is safe for concurrent use.
type ReceiptStore struct {
	db        DB
	providers *pg.Names
}

// NewReceiptStore makes a store. Its statements are batches, but wait for nobody's page of messages: any pool will do.
func NewReceiptStore(db DB) *ReceiptStore {
	return &ReceiptStore{db: db, providers: pg.NewProviderNames()}
}

var _ tracking.Store = (*ReceiptStore)(nil)

// Resolve implements tracking.Store.
func (s *ReceiptStore) Resolve(
	ctx context.Context, keys []tracking.Key, since time.Time,
) (map[tracking.Key]tracking.Target, error) {
	var providers []int16
	var refs []string
	names := map[int16]string{}
	for _, k := range keys {
		id, known, err := s.providers.Find(ctx, s.db, k.Provider)
		if err != nil {
			return nil, err
		}
		if known {
			p := int16(id) //nolint:gosec // the column is a smallint
			names[p] = k.Provider
			providers, refs = append(providers, p), append(refs, k.Ref)
		}
	}
	found := map[tracking.Key]tracking.Target{}
	if len(refs) == 0 {
		return found, nil
	}
	rows, err := s.db.Query(ctx, `select distinct on (r.provider, r.ref) r.provider, r.ref, r.message_id, r.part, r.parts
		  from provider_ref r join unnest($1::smallint[], $2::text[]) u(p, f) on r.provider = u.p and r.ref = u.f
		 where r.at >= $3 order by r.provider, r.ref, r.at desc`, providers, refs, since)
	if err != nil {
		return nil, fmt.Errorf("resolve references: %w", err)
	}
	var provider int16
	var ref string
	var t tracking.Target
	_, err = pgx.ForEachRow(rows, []any{&provider, &ref, &t.Message, &t.Part, &t.Parts}, func() error {
		found[tracking.Key{Provider: names[provider], Ref: ref}] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("resolve references: %w", err)
	}
	return found, nil
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
	rows, err := s.db.Query(ctx, `
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

// sweepSQL finds parked receipts whose message is known by either form of their id. Rows that another process looks at
// are passed over.
const sweepSQL = `
	with p as (select * from receipt_parked where parked_at >= $1 order by parked_at for update skip locked)
	select p.provider, p.ref, p.state, p.alt_ref, p.at, p.reason, p.code, p.detail, p.raw, r.message_id, r.part, r.parts
	  from p cross join lateral (
	    select r.message_id, r.part, r.parts from provider_ref r
	     where r.provider = p.provider and r.ref in (p.ref, p.alt_ref) and r.ref <> '' and r.at >= $2
	     order by r.ref = p.ref desc, r.at desc limit 1) r
	 limit $3`

// Sweep implements tracking.Store.
func (s *ReceiptStore) Sweep(
	ctx context.Context, q tracking.SweepQuery, found func(context.Context, []tracking.Found) error,
) (n int, err error) {
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sweepSQL, q.ParkedSince, q.Since, q.Limit)
		if err != nil {
			return err
		}
		var providers, states []int16
		var refs []string
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f tracking.Found, err error) {
			var p int16
			err = row.Scan(&p, &f.Ref, &f.State, &f.AltRef, &f.At, &f.Reason, &f.Code, &f.Detail, &f.Raw,
				&f.Target.Message, &f.Target.Part, &f.Target.Parts)
			providers, refs, states = append(providers, p), append(refs, f.Ref), append(states, small(f.State))
			return f, err
		})
		if n = len(list); err != nil || n == 0 {
			return err
		}
		for i := range list {
			if list[i].Provider, err = s.providers.Name(ctx, tx, int64(providers[i])); err != nil {
				return err
			}
		}
		if err := found(ctx, list); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from receipt_parked p using unnest($1::smallint[], $2::text[], $3::smallint[]) u(p, r, s)
			where p.provider = u.p and p.ref = u.r and p.state = u.s`, providers, refs, states)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Orphans implements tracking.Store.
func (s *ReceiptStore) Orphans(ctx context.Context, before, drop time.Time) (orphans, dropped int64, err error) {
	tag, err := s.db.Exec(ctx, `delete from receipt_parked where parked_at < $1`, drop)
	if err != nil {
		return 0, 0, err
	}
	err = s.db.QueryRow(ctx, `select count(*) from receipt_parked where parked_at < $1`, before).Scan(&orphans)
	return orphans, tag.RowsAffected(), err
}
