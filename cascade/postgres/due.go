// Package postgres keeps what is due.
//
// due is a queue: rows are inserted, never updated, and taken out by their place in the table (ctid), the earliest
// first. Two schedulers take different rows; a row that one has taken is invisible to the other until its transaction
// ends.
package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/cascade/scheduler"
	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
)

// DB runs statements and begins transactions: a pool, or a transaction in tests.
type DB interface {
	pg.DBTX
	pg.Beginner
}

// Store keeps due rows. It is safe for concurrent use.
type Store struct {
	db       DB
	launches *pg.Names
}

// New makes the store on the pool for hot statements.
func New(db DB) *Store { return &Store{db: db, launches: pg.NewLaunchNames()} }

var _ scheduler.Store = (*Store)(nil)

func column[T any](rows []delivery.Due, field func(*delivery.Due) T) []T {
	out := make([]T, len(rows))
	for i := range rows {
		out[i] = field(&rows[i])
	}
	return out
}

// InsertDue writes rows within the caller's transaction.
func (*Store) InsertDue(ctx context.Context, tx pgx.Tx, rows []delivery.Due) error {
	if len(rows) == 0 {
		return nil
	}
	small := func(field func(*delivery.Due) int) []int16 {
		return column(rows, func(d *delivery.Due) int16 { return int16(field(d)) }) //nolint:gosec // all of them are small
	}
	_, err := tx.Exec(ctx, `insert into due (due_at, kind, message_id, profile_id, launch_id, link, turn, attempt,
			priority, lane, skip_id, skip_flags)
		select * from unnest($1::timestamptz[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[],
			$7::smallint[], $8::smallint[], $9::smallint[], $10::smallint[], $11::bigint[], $12::int[])`,
		column(rows, func(d *delivery.Due) time.Time { return d.At }),
		column(rows, func(d *delivery.Due) int16 { return d.Kind }),
		column(rows, func(d *delivery.Due) int64 { return int64(d.Message) }),
		column(rows, func(d *delivery.Due) int64 { return int64(d.ProfileID) }),
		column(rows, func(d *delivery.Due) int64 { return d.LaunchID }),
		small(func(d *delivery.Due) int { return d.Link }),
		small(func(d *delivery.Due) int { return d.Turn }),
		small(func(d *delivery.Due) int { return d.Attempt }),
		small(func(d *delivery.Due) int { return d.Priority }),
		small(func(d *delivery.Due) int { return int(d.Lane) }),
		column(rows, func(d *delivery.Due) int64 { return int64(d.Skip) }),
		column(rows, func(d *delivery.Due) int32 { return d.SkipFlags }))
	if err != nil {
		return fmt.Errorf("insert due rows: %w", err)
	}
	return nil
}

// takeSQL takes the rows that are due. Those that another scheduler holds are passed over.
const takeSQL = `with d as (
	delete from due where ctid = any (array(
		select ctid from due where due_at <= $2 order by due_at limit $1 for update skip locked)) returning *)
	select due_at, kind, message_id, profile_id, launch_id, link, turn, attempt, priority, lane, skip_id, skip_flags
	  from d order by priority desc, due_at, message_id`

// Take implements scheduler.Store.
func (s *Store) Take(
	ctx context.Context, now time.Time, limit int, produce func(context.Context, []scheduler.Item) error,
) (n int, err error) {
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pg.PatientSQL); err != nil {
			return err
		}
		found, err := tx.Query(ctx, takeSQL, limit, now)
		if err != nil {
			return err
		}
		rows, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (r scheduler.Item, err error) {
			err = row.Scan(&r.At, &r.Kind, &r.Message, &r.ProfileID, &r.LaunchID, &r.Link, &r.Turn, &r.Attempt,
				&r.Priority, &r.Lane, &r.Skip, &r.SkipFlags)
			return r, err
		})
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		if err := readFlags(ctx, tx, rows); err != nil {
			return err
		}
		if err := s.readBodies(ctx, tx, rows); err != nil {
			return err
		}
		return produce(ctx, rows)
	})
	if err != nil {
		return 0, fmt.Errorf("take due rows: %w", err)
	}
	return n, nil
}

// readFlags reads the first-event bits of the messages that may make a row unwanted. A message without a row has none.
func readFlags(ctx context.Context, tx pgx.Tx, rows []scheduler.Item) error {
	at := map[int64][]int{}
	var ids []int64
	for i := range rows {
		if id := int64(rows[i].Skip); id != 0 {
			ids = append(ids, id)
			at[id] = append(at[id], i)
		}
	}
	var id int64
	var flags int32
	return byDay(ctx, tx, "message", "id", "flags", ids, []any{&id, &flags}, func() error {
		for _, i := range at[id] {
			rows[i].Flags = flags
		}
		return nil
	})
}

// readBodies reads the bytes of the jobs, and the launches' labels where there are none.
func (s *Store) readBodies(ctx context.Context, tx pgx.Tx, rows []scheduler.Item) error {
	at := map[int64][]int{}
	var ids []int64
	for i := range rows {
		id := int64(rows[i].Message.Job())
		ids = append(ids, id)
		at[id] = append(at[id], i)
	}
	var id int64
	var body []byte
	err := byDay(ctx, tx, "job_body", "job_id", "body", ids, []any{&id, &body}, func() error {
		for _, i := range at[id] {
			rows[i].Body = append([]byte(nil), body...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].Launch, err = s.launches.Name(ctx, tx, rows[i].LaunchID); err != nil {
			return err
		}
	}
	return nil
}

// byDay reads two columns of the rows with these ids, day by day. A day that was dropped has none.
func byDay(
	ctx context.Context, tx pgx.Tx, table, key, value string, ids []int64, into []any, each func() error,
) error {
	days := pg.ByDay(ids)
	if len(days) == 0 {
		return nil
	}
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = d.Table(table)
	}
	present, err := tx.Query(ctx, `select relname from pg_class where relname = any($1)
		and relnamespace = current_schema()::regnamespace`, names)
	if err != nil {
		return err
	}
	have, err := pgx.CollectRows(present, pgx.RowTo[string])
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, name := range have {
		kept[name] = true
	}
	for i, d := range days {
		if !kept[names[i]] {
			continue
		}
		rows, err := tx.Query(ctx, "select "+key+", "+value+" from "+names[i]+" where "+key+" = any($1)", pg.Pick(d, ids))
		if err != nil {
			return err
		}
		if _, err := pgx.ForEachRow(rows, into, each); err != nil {
			return err
		}
	}
	return nil
}

// Waiting implements scheduler.Store.
func (s *Store) Waiting(ctx context.Context, now time.Time) (rows int64, lag time.Duration, err error) {
	var oldest *time.Time
	err = s.db.QueryRow(ctx, `select (select count(*) from due), (select min(due_at) from due)`).Scan(&rows, &oldest)
	if err != nil {
		return 0, 0, fmt.Errorf("count due rows: %w", err)
	}
	if oldest != nil && oldest.Before(now) {
		lag = now.Sub(*oldest)
	}
	return rows, lag, nil
}
