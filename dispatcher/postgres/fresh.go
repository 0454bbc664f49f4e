package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	pg "github.com/herald-gateway/herald/internal/postgres"
)

// claimFresh claims a batch of jobs of which none was seen before, in one round trip, which is one transaction. It
// reports false when something in the batch is known already, or the owner is dead: then nothing is claimed, and the
// longer way finds out what is new.
//
// A one-time code waits for every round trip while bulk keeps the database busy; this is nearly all of its way.
func (s *Store) claimFresh(
	ctx context.Context, owner int64, asks []dispatcher.Ask, answers []dispatcher.Claimed, now time.Time,
) (bool, error) {
	fresh, err := s.claims.allocate(ctx, s.pool, need(asks))
	if err != nil {
		return false, err
	}
	keyed, places := split(asks)
	keys, fresh := freshKeys(asks, answers, keyed, fresh)
	ranges := s.freshRanges(asks, answers, places, fresh)
	var b pgx.Batch
	s.reserveRanges(&b, ranges, now)
	if len(keys.hashes) > 0 {
		b.Queue(insertKeysSQL, keys.hashes, keys.jobs, now)
	}
	c := columns(asks, answers)
	made := 0
	b.Queue(freshSQL, c.ids, owner, c.launches, c.parts, c.offs, c.bodies, keys.hashes, keys.jobs,
		s.cluster, ranges.lanes, ranges.parts, ranges.from, ranges.base).QueryRow(func(row pgx.Row) error {
		return row.Scan(&made)
	})
	if err := pg.Send(ctx, s.pool, &b); err != nil || made < len(c.ids) {
		return false, err
	}
	first := make(map[delivery.ID]bool, len(answers)) // of two records with one key the first is the job
	for i, a := range answers {
		answers[i].Ours, answers[i].New = !first[a.ID], !first[a.ID]
		first[a.ID] = true
	}
	return true, nil
}

// freshSQL makes the claims when every key and every range was given the id that was meant for it. $7 and $8 are the keys
// with their ids, $9 to $13 the ranges.
const freshSQL = `
	with u as (
	  select * from unnest($1::bigint[], $3::bigint[], $4::int[], $5::bigint[], $6::bytea[]) u(id, launch, part, off, body)
	   where exists (select from owner where id = $2 and dead_at is null)
	     and not exists (select from unnest($7::uuid[], $8::bigint[]) k(hash, job)
	          where k.job is distinct from (select job_id from job_key where key_hash = k.hash))
	     and not exists (select from unnest($10::smallint[], $11::int[], $12::bigint[], $13::bigint[]) r(lane, part, off, base)
	          where r.base is distinct from (select base_id from job_record j
	                where j.cluster = $9 and j.lane = r.lane and j.part = r.part and j.off_from = r.off))),
	made as (
	  insert into claim (id, owner, launch_id, turn, part, off) select id, $2, launch, 0, part, off from u order by id
	  on conflict do nothing returning id, launch_id),
	kept as (
	  insert into job_body (job_id, body) select id, body from u join made using (id) where body is not null
	  on conflict do nothing),
	counted as (
	  insert into launch_claimed as l (launch_id, owner, n) select launch_id, $2, count(*) from made group by 1 order by 1
	  on conflict (launch_id, owner) do update set n = l.n + excluded.n)
	select count(*) from made`

// freshKeys meets the asks with an id for each of their keys, and returns the next unused one.
func freshKeys(asks []dispatcher.Ask, answers []dispatcher.Claimed, keyed []int, fresh int64) (offeredKeys, int64) {
	names := make([]string, len(keyed))
	for n, i := range keyed {
		names[n] = asks[i].Key
	}
	hashes, offer := offerKeys(names, fresh)
	jobs := make(map[[16]byte]int64, len(offer.hashes))
	for n, h := range offer.hashes {
		jobs[h] = offer.jobs[n]
	}
	for n, i := range keyed {
		answers[i].ID = delivery.ID(jobs[hashes[n]])
	}
	return offer, fresh + int64(len(keyed))*delivery.MessagesPerJob
}

// rangeColumns are ranges of offsets as arrays.
type rangeColumns struct {
	lanes          []int16
	parts          []int32
	from, to, base []int64
	locks          []int64 // of their partitions, in order
}

// freshRanges gives the records without a key ids by their places.
func (s *Store) freshRanges(asks []dispatcher.Ask, answers []dispatcher.Claimed, places [][]int, fresh int64) rangeColumns {
	var c rangeColumns
	for _, group := range places {
		c.locks = append(c.locks, s.placeLock(place{asks[group[0]].Lane, asks[group[0]].Partition}))
		for len(group) > 0 {
			n := run(asks, group, nil)
			r := offsets{from: asks[group[0]].Offset, to: asks[group[n-1]].Offset, base: fresh}
			fresh += (r.to - r.from + 1) * delivery.MessagesPerJob
			c.lanes = append(c.lanes, int16(asks[group[0]].Lane))
			c.parts = append(c.parts, int32(asks[group[0]].Partition)) //nolint:gosec // a partition's number is small
			c.from, c.to, c.base = append(c.from, r.from), append(c.to, r.to), append(c.base, r.base)
			for _, i := range group[:n] {
				answers[i].ID, _ = r.id(asks[i].Offset)
			}
			group = group[n:]
		}
	}
	return c
}

// reserveRanges writes the ranges that overlap no known one. The locks are those of byPlace, taken in its order.
func (s *Store) reserveRanges(b *pgx.Batch, c rangeColumns, now time.Time) {
	if len(c.from) == 0 {
		return
	}
	b.Queue(lockPlacesSQL, c.locks)
	b.Queue(`
		insert into job_record (cluster, lane, part, off_from, off_to, base_id, at)
		select $1, u.lane, u.part, u.first, u.last, u.base, $2
		  from unnest($3::smallint[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[]) u(lane, part, first, last, base)
		 where not exists (select from job_record j
		        where j.cluster = $1 and j.lane = u.lane and j.part = u.part and j.off_from > u.first and j.off_from <= u.last)
		   and coalesce((select j.off_to from job_record j
		        where j.cluster = $1 and j.lane = u.lane and j.part = u.part and j.off_from <= u.first
		        order by j.off_from desc limit 1), -1) < u.first`,
		s.cluster, now, c.lanes, c.parts, c.from, c.to, c.base)
}
