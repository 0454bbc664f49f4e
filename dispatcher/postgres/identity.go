package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	pg "github.com/herald-gateway/herald/internal/postgres"
)

const (
	// blockSize is how many job ids are allocated at once.
	blockSize = 1024
	// blockLife is how old a block may be: ids stay near the clock, because they name the day's partition.
	blockLife = time.Second
	// maxGap is how many offsets between two records without key may be left to no one, so that they share a range.
	maxGap = 16
)

// blocks gives out job ids from blocks that it allocates.
type blocks struct {
	sql       string
	mu        sync.Mutex
	next, end int64
	at        time.Time
}

// durableSQL allocates ids that leave at once, such as with the answer to a request.
const durableSQL = `select allocate_ids($1)`

// lazySQL does not wait for the disk: the commit of the claim that uses an id comes later in the write-ahead log, and so
// takes the allocation to the disk with it.
const lazySQL = `select allocate_ids($1) from set_config('synchronous_commit', 'off', true)`

// allocate returns the first of n consecutive job ids; the others follow in steps of delivery.MessagesPerJob.
func (b *blocks) allocate(ctx context.Context, db pg.DBTX, n int) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(n) * delivery.MessagesPerJob
	if b.end-b.next < size || time.Since(b.at) > blockLife {
		count := max(n, blockSize)
		at := time.Now()
		var base int64
		if err := db.QueryRow(ctx, b.sql, count).Scan(&base); err != nil {
			return 0, err
		}
		b.next, b.end, b.at = base, base+int64(count)*delivery.MessagesPerJob, at
	}
	base := b.next
	b.next += size
	return base, nil
}

// identify gives every ask its job id: the one it brings, the one of its key, or the one of its place in Kafka. fresh is
// the first of as many unused ids as need returns.
func (s *Store) identify(
	ctx context.Context, tx pgx.Tx, asks []dispatcher.Ask, answers []dispatcher.Claimed, fresh int64, now time.Time,
) error {
	keyed, places := split(asks)
	if err := s.lockPlaces(ctx, tx, asks, places); err != nil {
		return err
	}
	if err := s.byKey(ctx, tx, asks, answers, keyed, fresh, now); err != nil {
		return err
	}
	fresh += int64(len(keyed)) * delivery.MessagesPerJob
	for _, group := range places {
		var err error
		if fresh, err = s.byPlace(ctx, tx, asks, answers, group, fresh, now); err != nil {
			return err
		}
	}
	return nil
}

// need is how many unused ids the asks may take: one a key, and one an offset of each range of records without key.
func need(asks []dispatcher.Ask) int {
	keyed, places := split(asks)
	n := len(keyed)
	for _, group := range places {
		for len(group) > 0 {
			r := run(asks, group, nil)
			n += int(asks[group[r-1]].Offset-asks[group[0]].Offset) + 1
			group = group[r:]
		}
	}
	return n
}

// split finds the asks that have a key, and the groups of those that have neither id nor key: one group a partition, in
// the order of their offsets. The groups are in a fixed order, so that two transactions lock partitions in one order.
func split(asks []dispatcher.Ask) (keyed []int, places [][]int) {
	groups := map[place][]int{}
	var order []place
	for i, a := range asks {
		switch {
		case a.ID != 0:
		case a.Key != "":
			keyed = append(keyed, i)
		default:
			p := place{a.Lane, a.Partition}
			if groups[p] == nil {
				order = append(order, p)
			}
			groups[p] = append(groups[p], i)
		}
	}
	slices.SortFunc(order, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.part, b.part))
	})
	for _, p := range order {
		slices.SortStableFunc(groups[p], func(a, b int) int { return cmp.Compare(asks[a].Offset, asks[b].Offset) })
		places = append(places, groups[p])
	}
	return keyed, places
}

// run is how many asks at the front of a group share one range: small gaps belong to nobody, known ranges end it.
func run(asks []dispatcher.Ask, group []int, known []offsets) int {
	n := 1
	for n < len(group) {
		last, next := asks[group[n-1]].Offset, asks[group[n]].Offset
		if next-last > maxGap || crosses(known, last, next) {
			break
		}
		n++
	}
	return n
}

func (s *Store) byKey(
	ctx context.Context, tx pgx.Tx, asks []dispatcher.Ask, answers []dispatcher.Claimed, keyed []int, fresh int64,
	now time.Time,
) error {
	keys := make([]string, len(keyed))
	for n, i := range keyed {
		keys[n] = asks[i].Key
	}
	ids, _, err := remember(ctx, tx, keys, fresh, now)
	if err != nil {
		return err
	}
	for n, i := range keyed {
		answers[i].ID = ids[n]
	}
	return nil
}

// remember gives every key its job id: the one that is stored, else the next unused one. isNew says which were not
// known; of a key that stands twice in the list only the first is new.
func remember(
	ctx context.Context, tx pgx.Tx, keys []string, fresh int64, now time.Time,
) (ids []delivery.ID, isNew []bool, err error) {
	if len(keys) == 0 {
		return nil, nil, nil
	}
	hashes, offer := offerKeys(keys, fresh)
	if _, err = tx.Exec(ctx, insertKeysSQL, offer.hashes, offer.jobs, now); err != nil {
		return nil, nil, err
	}
	rows, err := tx.Query(ctx, `select key_hash, job_id from job_key where key_hash = any($1::uuid[])`, offer.hashes)
	if err != nil {
		return nil, nil, err
	}
	stored := make(map[[16]byte]int64, len(offer.hashes))
	var h [16]byte
	var id int64
	if _, err := pgx.ForEachRow(rows, []any{&h, &id}, func() error { stored[h] = id; return nil }); err != nil {
		return nil, nil, err
	}
	ids, isNew = make([]delivery.ID, len(keys)), make([]bool, len(keys))
	for i, h := range hashes {
		ids[i] = delivery.ID(stored[h])
		isNew[i] = stored[h] == fresh+int64(i)*delivery.MessagesPerJob
	}
	return ids, isNew, nil
}

// offeredKeys are different keys, each with the job id that it gets when nobody has it.
type offeredKeys struct {
	hashes [][16]byte
	jobs   []int64
}

const insertKeysSQL = `insert into job_key (key_hash, job_id, at)
	select h, j, $3 from unnest($1::uuid[], $2::bigint[]) u(h, j) on conflict do nothing`

// offerKeys gives each key the unused id of its position in the list; a key that stands twice has that of the first. The
// offer is sorted, so that two transactions with the same keys wait for each other in one order.
func offerKeys(keys []string, fresh int64) (hashes [][16]byte, offer offeredKeys) {
	hashes = make([][16]byte, len(keys))
	offered := make(map[[16]byte]int64, len(keys))
	for i, k := range keys {
		hashes[i] = keyHash(k)
		if _, ok := offered[hashes[i]]; !ok {
			offered[hashes[i]] = fresh + int64(i)*delivery.MessagesPerJob
			offer.hashes = append(offer.hashes, hashes[i])
		}
	}
	slices.SortFunc(offer.hashes, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	for _, h := range offer.hashes {
		offer.jobs = append(offer.jobs, offered[h])
	}
	return hashes, offer
}

// keyHash is what is stored of a key: 128 bits of its SHA-256.
func keyHash(key string) (h [16]byte) {
	sum := sha256.Sum256([]byte(key))
	copy(h[:], sum[:])
	return h
}

// place is a partition of a lane.
type place struct {
	lane delivery.Lane
	part int
}

// byPlace gives records without a key, of one partition, the id of their place in Kafka. A range of offsets is one row; a
// record that is read again finds its range and so its id. It returns the next unused id.
func (s *Store) byPlace(
	ctx context.Context, tx pgx.Tx, asks []dispatcher.Ask, answers []dispatcher.Claimed, group []int, fresh int64,
	now time.Time,
) (int64, error) {
	p := place{asks[group[0]].Lane, asks[group[0]].Partition}
	known, err := s.ranges(ctx, tx, p, asks[group[0]].Offset, asks[group[len(group)-1]].Offset)
	if err != nil {
		return fresh, err
	}
	var open []int
	for _, i := range group {
		if id, ok := find(known, asks[i].Offset); ok {
			answers[i].ID = id
		} else {
			open = append(open, i)
		}
	}
	for len(open) > 0 {
		n := run(asks, open, known)
		r := offsets{from: asks[open[0]].Offset, to: asks[open[n-1]].Offset, base: fresh}
		fresh += (r.to - r.from + 1) * delivery.MessagesPerJob
		_, err := tx.Exec(ctx, `insert into job_record (cluster, lane, part, off_from, off_to, base_id, at)
			values ($1, $2, $3, $4, $5, $6, $7)`, s.cluster, int16(p.lane), p.part, r.from, r.to, r.base, now)
		if err != nil {
			return fresh, err
		}
		for _, i := range open[:n] {
			answers[i].ID, _ = r.id(asks[i].Offset)
		}
		open = open[n:]
	}
	return fresh, nil
}

// lockPlaces keeps two processes, of which one is a zombie of an older generation, from giving overlapping ranges. Places
// come before keys, as in claimFresh.
func (s *Store) lockPlaces(ctx context.Context, tx pgx.Tx, asks []dispatcher.Ask, places [][]int) error {
	if len(places) == 0 {
		return nil
	}
	locks := make([]int64, len(places))
	for i, group := range places {
		locks[i] = s.placeLock(place{asks[group[0]].Lane, asks[group[0]].Partition})
	}
	_, err := tx.Exec(ctx, lockPlacesSQL, locks)
	return err
}

const lockPlacesSQL = `select pg_advisory_xact_lock(k) from unnest($1::bigint[]) k`

func (s *Store) placeLock(p place) int64 {
	return pg.LockKey("job_record", fmt.Sprintf("%d/%s/%d", s.cluster, p.lane, p.part))
}

// offsets is a range of offsets and the job id of its first.
type offsets struct{ from, to, base int64 }

func (r offsets) id(off int64) (delivery.ID, bool) {
	if off < r.from || off > r.to {
		return 0, false
	}
	return delivery.ID(r.base + (off-r.from)*delivery.MessagesPerJob), true
}

func find(ranges []offsets, off int64) (delivery.ID, bool) {
	for _, r := range ranges {
		if id, ok := r.id(off); ok {
			return id, true
		}
	}
	return 0, false
}

// crosses says that a known range lies between two offsets.
func crosses(ranges []offsets, a, b int64) bool {
	return slices.ContainsFunc(ranges, func(r offsets) bool { return r.from > a && r.from < b })
}

// ranges reads the known ranges that hold offsets from first to last. Ranges do not overlap, so that the last one that
// begins at or before first is the only one before it that may reach so far; the index finds it without the others.
func (s *Store) ranges(ctx context.Context, tx pgx.Tx, p place, first, last int64) ([]offsets, error) {
	rows, err := tx.Query(ctx, `select off_from, off_to, base_id from job_record
		where cluster = $1 and lane = $2 and part = $3 and off_to >= $4 and off_from <= $5 and off_from >= coalesce((
			select off_from from job_record where cluster = $1 and lane = $2 and part = $3 and off_from <= $4
			 order by off_from desc limit 1), $4)
		order by off_from`,
		s.cluster, int16(p.lane), p.part, first, last)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r offsets, err error) {
		err = row.Scan(&r.from, &r.to, &r.base)
		return r, err
	})
}

// Admit implements dispatcher.Keys.
func (s *Store) Admit(
	ctx context.Context, jobs []*delivery.Job, declare bool, now time.Time,
) ([]delivery.Accepted, error) {
	fresh, err := s.admissions.allocate(ctx, s.pool, 2*len(jobs)) // a job takes its key's id, so that half of them may stay unused
	if err != nil {
		return nil, classify(err)
	}
	accepted := make([]delivery.Accepted, len(jobs))
	var keyed []int
	var keys []string
	for i, j := range jobs {
		accepted[i].ID = delivery.ID(fresh + int64(i)*delivery.MessagesPerJob)
		if j.Key != "" {
			keyed, keys = append(keyed, i), append(keys, j.Key)
		}
		if _, err := s.launches.ID(ctx, s.pool, j.Launch, now); err != nil {
			return nil, classify(err)
		}
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		ids, isNew, err := remember(ctx, tx, keys, fresh+int64(len(jobs))*delivery.MessagesPerJob, now)
		if err != nil {
			return err
		}
		for n, i := range keyed {
			accepted[i] = delivery.Accepted{ID: ids[n], Duplicate: !isNew[n]}
		}
		if !declare {
			return nil
		}
		return declareNew(ctx, tx, jobs, accepted)
	})
	return accepted, classify(err)
}

// declareNew adds the jobs that are new to the declared sizes of their launches.
func declareNew(ctx context.Context, tx pgx.Tx, jobs []*delivery.Job, accepted []delivery.Accepted) error {
	n := map[string]int64{}
	for i, j := range jobs {
		if j.Launch != "" && !accepted[i].Duplicate {
			n[j.Launch]++
		}
	}
	labels := make([]string, 0, len(n))
	for label := range n {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	for _, label := range labels {
		_, err := tx.Exec(ctx, `update launch set declared = coalesce(declared, 0) + $2 where label = $1`, label, n[label])
		if err != nil {
			return err
		}
	}
	return nil
}
