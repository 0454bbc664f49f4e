// Package postgres keeps the dispatcher's claims, owners and producers' keys.
//
// Every statement names the partition of the day on which the job's id was allocated, and takes a whole batch as arrays:
// partitions are not pruned by "id = any", and a statement per row would cost several times more.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	pg "github.com/herald-gateway/herald/internal/postgres"
)

// DueWriter writes rows of due within the caller's transaction.
type DueWriter interface {
	InsertDue(ctx context.Context, tx pgx.Tx, rows []delivery.Due) error
}

// Store keeps claims and keys. It is safe for concurrent use.
type Store struct {
	pool     *pgxpool.Pool
	due      DueWriter
	launches *pg.Names
	cluster  int64

	claims, admissions blocks
}

// NewStore makes a store for jobs from the Kafka cluster that calls itself cluster.
func NewStore(ctx context.Context, pool *pgxpool.Pool, cluster string, due DueWriter) (*Store, error) {
	id, err := pg.NewClusterNames().ID(ctx, pool, cluster)
	if err != nil {
		return nil, err
	}
	return &Store{
		pool: pool, due: due, launches: pg.NewLaunchNames(), cluster: id, claims: blocks{sql: lazySQL},
		admissions: blocks{sql: durableSQL},
	}, nil
}

var (
	_ dispatcher.Claims = (*Store)(nil)
	_ dispatcher.Keys   = (*Store)(nil)
)

// Claim implements dispatcher.Claims.
func (s *Store) Claim(
	ctx context.Context, owner int64, asks []dispatcher.Ask, now time.Time,
) ([]dispatcher.Claimed, error) {
	answers := make([]dispatcher.Claimed, len(asks))
	for i, a := range asks {
		answers[i].ID = a.ID
		id, ok := s.launches.Cached(a.Launch)
		if !ok {
			var err error
			if id, err = s.launches.ID(ctx, s.pool, a.Launch, now); err != nil {
				return nil, classify(err)
			}
		}
		answers[i].LaunchID = id
	}
	if !slices.ContainsFunc(asks, func(a dispatcher.Ask) bool { return a.ID != 0 }) {
		done, err := s.claimFresh(ctx, owner, asks, answers, now)
		if done || err != nil {
			return answers, classify(err)
		}
	}
	// Outside the transaction: the row is locked for one short statement. What claimFresh offered is used up: some of it may
	// belong to ranges and keys that it has written.
	fresh, err := s.claims.allocate(ctx, s.pool, need(asks))
	if err != nil {
		return nil, classify(err)
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.identify(ctx, tx, asks, answers, fresh, now); err != nil {
			return err
		}
		return s.claim(ctx, tx, owner, asks, answers)
	})
	return answers, classify(err)
}

// claim inserts what is new, takes back what comes from due, keeps bodies, and counts the new ones for their launches.
func (s *Store) claim(
	ctx context.Context, tx pgx.Tx, owner int64, asks []dispatcher.Ask, answers []dispatcher.Claimed,
) error {
	c := columns(asks, answers)
	rows, err := tx.Query(ctx, `
		insert into claim (id, owner, launch_id, turn, part, off)
		select u.id, $2, u.l, u.t, u.p, u.o
		  from unnest($1::bigint[], $3::bigint[], $4::smallint[], $5::int[], $6::bigint[]) u(id, l, t, p, o)
		 where exists (select from owner where id = $2 and dead_at is null)
		 order by u.id
		on conflict do nothing
		returning id`, c.ids, owner, c.launches, c.turns, c.parts, c.offs)
	if err != nil {
		return err
	}
	made, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	if len(made) < len(c.ids) {
		if err := alive(ctx, tx, owner); err != nil {
			return err
		}
	}
	back, err := requeue(ctx, tx, owner, c, made)
	if err != nil {
		return err
	}
	ours := map[int64]bool{} // true: new
	for _, id := range back {
		ours[id] = false
	}
	for _, id := range made {
		ours[id] = true
	}
	// Of two asks for one job only the first is its owner; the other one joins it.
	for i := range answers {
		isNew, ok := ours[int64(answers[i].ID)]
		answers[i].Ours, answers[i].New = ok, isNew
		delete(ours, int64(answers[i].ID))
	}
	if err := keepBodies(ctx, tx, asks, answers); err != nil {
		return err
	}
	return count(ctx, tx, owner, answers)
}

func alive(ctx context.Context, db pg.DBTX, owner int64) error {
	var ok bool
	err := db.QueryRow(ctx, `select exists (select from owner where id = $1 and dead_at is null)`, owner).Scan(&ok)
	if err == nil && !ok {
		err = dispatcher.ErrOwnerDead
	}
	return err
}

// requeue takes back claims that come from due: a higher turn, or the same one while the claim waits.
func requeue(ctx context.Context, tx pgx.Tx, owner int64, c claimColumns, made []int64) ([]int64, error) {
	if len(made) == len(c.ids) || !slices.ContainsFunc(c.turns, func(t int16) bool { return t > 0 }) {
		return nil, nil
	}
	var back []int64
	for _, day := range pg.ByDay(c.ids) {
		rows, err := tx.Query(ctx, `
			update `+day.Table("claim")+` c set turn = u.t, owner = $3, stage = c.stage & 1
			  from unnest($1::bigint[], $2::smallint[]) u(id, t)
			 where c.id = u.id and u.t > 0 and (c.turn < u.t or c.turn = u.t and c.stage & 4 <> 0)
			returning c.id`, pg.Pick(day, c.ids), pg.Pick(day, c.turns), owner)
		if err != nil {
			return nil, err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		back = append(back, ids...)
	}
	return back, nil
}

func keepBodies(ctx context.Context, tx pgx.Tx, asks []dispatcher.Ask, answers []dispatcher.Claimed) error {
	var ids []int64
	var bodies [][]byte
	for i, a := range asks {
		if a.Body != nil && answers[i].New {
			ids, bodies = append(ids, int64(answers[i].ID)), append(bodies, a.Body)
		}
	}
	return insertBodies(ctx, tx, ids, bodies)
}

func insertBodies(ctx context.Context, tx pgx.Tx, ids []int64, bodies [][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `insert into job_body (job_id, body) select * from unnest($1::bigint[], $2::bytea[])
		on conflict do nothing`, ids, bodies)
	return err
}

// count adds the new claims to the figures of their launches, one row per owner, so that no row is hot.
func count(ctx context.Context, tx pgx.Tx, owner int64, answers []dispatcher.Claimed) error {
	n := map[int64]int64{}
	for _, a := range answers {
		if a.New {
			n[a.LaunchID]++
		}
	}
	return addClaimed(ctx, tx, owner, n, map[int64]int64{})
}

func addClaimed(ctx context.Context, db pg.DBTX, owner int64, n, void map[int64]int64) error {
	if len(n)+len(void) == 0 {
		return nil
	}
	var launches, ns, voids []int64
	for id := range n {
		launches = append(launches, id)
	}
	for id := range void {
		if _, ok := n[id]; !ok {
			launches = append(launches, id)
		}
	}
	slices.Sort(launches)
	for _, id := range launches {
		ns, voids = append(ns, n[id]), append(voids, void[id])
	}
	_, err := db.Exec(ctx, `
		insert into launch_claimed as l (launch_id, owner, n, void)
		select u.l, $2, u.n, u.v from unnest($1::bigint[], $3::bigint[], $4::bigint[]) u(l, n, v) order by u.l
		on conflict (launch_id, owner) do update set n = l.n + excluded.n, void = l.void + excluded.void`,
		launches, owner, ns, voids)
	return err
}

// Void implements dispatcher.Claims.
func (s *Store) Void(ctx context.Context, owner int64, labels map[string]int, now time.Time) error {
	void := map[int64]int64{}
	for label, n := range labels {
		if strings.ContainsRune(label, 0) {
			continue // no label that a launch could have
		}
		id, err := s.launches.ID(ctx, s.pool, label, now)
		if err != nil {
			return classify(err)
		}
		void[id] += int64(n)
	}
	return classify(addClaimed(ctx, s.pool, owner, nil, void))
}

// claimColumns are the asks as arrays, each job once.
type claimColumns struct {
	ids, launches []int64
	turns         []int16
	parts         []int32
	offs          []int64
	bodies        [][]byte
}

func columns(asks []dispatcher.Ask, answers []dispatcher.Claimed) claimColumns {
	var c claimColumns
	seen := make(map[delivery.ID]bool, len(asks))
	for i, a := range asks {
		id := answers[i].ID
		if seen[id] {
			continue
		}
		seen[id] = true
		c.ids, c.launches = append(c.ids, int64(id)), append(c.launches, answers[i].LaunchID)
		c.bodies = append(c.bodies, a.Body)
		c.turns = append(c.turns, int16(a.Turn))                                        //nolint:gosec // a turn is small
		c.parts, c.offs = append(c.parts, int32(a.Partition)), append(c.offs, a.Offset) //nolint:gosec // as above
	}
	return c
}

// Look implements dispatcher.Claims. The owner is asked row by row: a join would read all owners that ever were.
func (s *Store) Look(ctx context.Context, jobs []delivery.ID) ([]dispatcher.Claim, error) {
	var list []dispatcher.Claim
	for _, day := range pg.ByDay(jobs) {
		rows, _ := s.pool.Query(ctx, `
			select c.id, c.owner, coalesce((select o.dead_at is not null from owner o where o.id = c.owner), true),
			       c.turn, c.stage, coalesce(c.part, -1), coalesce(c.off, -1)
			  from `+day.Table("claim")+` c
			 where c.id = any($1)`, numbers(pg.Pick(day, jobs))) // whoever reads the rows meets the error
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c dispatcher.Claim, err error) {
			err = row.Scan(&c.ID, &c.Owner, &c.Dead, &c.Turn, &c.Stage, &c.Partition, &c.Offset)
			return c, err
		})
		if err != nil && !pg.UndefinedTable(err) { // the day may have been dropped
			return nil, classify(err)
		}
		list = append(list, found...)
	}
	return list, nil
}

// TakeOver implements dispatcher.Claims.
func (s *Store) TakeOver(
	ctx context.Context, owner int64, claims []dispatcher.Claim,
) (taken []dispatcher.Claim, err error) {
	ids := make([]int64, len(claims))
	was := make([]int64, len(claims))
	for i, c := range claims {
		ids[i], was[i] = int64(c.ID), c.Owner
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		taken = nil
		if err := alive(ctx, tx, owner); err != nil {
			return err
		}
		for _, day := range pg.ByDay(ids) {
			rows, err := tx.Query(ctx, `
				update `+day.Table("claim")+` c set owner = $3
				  from unnest($1::bigint[], $2::bigint[]) u(id, was)
				 where c.id = u.id and c.owner = u.was and c.stage & 4 = 0
				returning c.id, c.owner, c.turn, c.stage`, pg.Pick(day, ids), pg.Pick(day, was), owner)
			if err != nil {
				return err
			}
			list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c dispatcher.Claim, err error) {
				err = row.Scan(&c.ID, &c.Owner, &c.Turn, &c.Stage)
				return c, err
			})
			if err != nil {
				return err
			}
			taken = append(taken, list...)
		}
		return nil
	})
	return taken, classify(err)
}

// Mark implements dispatcher.Claims.
func (s *Store) Mark(ctx context.Context, owner int64, jobs []delivery.ID) (ours []delivery.ID, err error) {
	days := pg.ByDay(jobs)
	mark := func(ctx context.Context, db pg.DBTX) error {
		ours = ours[:0]
		for _, day := range days {
			rows, err := db.Query(ctx, `
				update `+day.Table("claim")+` c set stage = c.stage | 2
				 where c.id = any($1) and c.owner = $2
				   and exists (select from owner where id = $2 and dead_at is null)
				returning c.id`, numbers(pg.Pick(day, jobs)), owner)
			if err != nil {
				return err
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[delivery.ID])
			if err != nil {
				return err
			}
			ours = append(ours, ids...)
		}
		return nil
	}
	if len(days) == 1 { // one statement is its own transaction
		err = mark(ctx, s.pool)
		return ours, classify(err)
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error { return mark(ctx, tx) })
	return ours, classify(err)
}

// Unmark implements dispatcher.Claims.
func (s *Store) Unmark(ctx context.Context, owner int64, jobs []delivery.ID) error {
	return classify(pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		for _, day := range pg.ByDay(jobs) {
			_, err := tx.Exec(ctx, `update `+day.Table("claim")+` set stage = stage & ~2 where id = any($1) and owner = $2`,
				numbers(pg.Pick(day, jobs)), owner)
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// Hold implements dispatcher.Claims.
func (s *Store) Hold(ctx context.Context, owner int64, holds []dispatcher.Hold) (ours []delivery.ID, err error) {
	ids := make([]int64, len(holds))
	turns := make([]int16, len(holds))
	byID := make(map[delivery.ID]dispatcher.Hold, len(holds))
	for i, h := range holds {
		ids[i], turns[i] = int64(h.Job), int16(h.Turn) //nolint:gosec // a turn is small
		byID[h.Job] = h
	}
	err = pg.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		ours = nil
		for _, day := range pg.ByDay(ids) {
			rows, err := tx.Query(ctx, `
				update `+day.Table("claim")+` c set turn = c.turn + 1, stage = (c.stage & 1) | 4, owner = 0
				  from unnest($1::bigint[], $2::smallint[]) u(id, t)
				 where c.id = u.id and c.owner = $3 and c.turn = u.t
				returning c.id`, pg.Pick(day, ids), pg.Pick(day, turns), owner)
			if err != nil {
				return err
			}
			list, err := pgx.CollectRows(rows, pgx.RowTo[delivery.ID])
			if err != nil {
				return err
			}
			ours = append(ours, list...)
		}
		due := make([]delivery.Due, 0, len(ours))
		kept := make([]int64, 0, len(ours))
		bodies := make([][]byte, 0, len(ours))
		for _, id := range ours {
			due, kept, bodies = append(due, byID[id].Due), append(kept, int64(id)), append(bodies, byID[id].Body)
		}
		if len(ours) == 0 {
			return nil
		}
		if err := insertBodies(ctx, tx, kept, bodies); err != nil {
			return err
		}
		return s.due.InsertDue(ctx, tx, due)
	})
	return ours, classify(err)
}

func numbers(ids []delivery.ID) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}

// classify says of an error of the batch itself that repeating does not help: data that a column refuses (class 22) or
// that breaks a constraint (class 23).
func classify(err error) error {
	var sql *pgconn.PgError
	if errors.As(err, &sql) && (strings.HasPrefix(sql.Code, "22") || strings.HasPrefix(sql.Code, "23")) {
		return fmt.Errorf("%w: %w", dispatcher.ErrBad, err)
	}
	return err
}
