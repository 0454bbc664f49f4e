package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
	"github.com/herald-gateway/herald/tracking/reports"
)

// Reports reads what became of jobs. It is safe for concurrent use.
type Reports struct {
	pool      *pgxpool.Pool
	providers *pg.Names
	now       func() time.Time
}

// NewReports makes the reader on the pool for everything that is not hot.
func NewReports(pool *pgxpool.Pool, now func() time.Time) *Reports {
	return &Reports{pool: pool, providers: pg.NewProviderNames(), now: now}
}

// launchRow is a launch as it is stored.
type launchRow struct {
	id int64
	reports.Launch
}

// launchState is the name of launch.state.
func launchState(n int16) string {
	return [...]string{"open", "producing", "stopped", "cancelled"}[n&3]
}

const launchColumns = `id, label, campaign, state, declared, closed, created_at`

func scanLaunch(row pgx.CollectableRow) (l launchRow, err error) {
	var state int16
	err = row.Scan(&l.id, &l.Label, &l.Campaign, &state, &l.Declared, &l.Closed, &l.CreatedAt)
	l.State = launchState(state)
	return l, err
}

func launchOf(ctx context.Context, db pg.DBTX, label string) (launchRow, error) {
	rows, err := db.Query(ctx, `select `+launchColumns+` from launch where label = $1 and id <> 0`, label)
	if err != nil {
		return launchRow{}, unavailable(err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLaunch)
	if errors.Is(err, pgx.ErrNoRows) {
		err = reports.ErrNotFound
	}
	return l, unavailable(err)
}

// unavailable marks errors after which the caller may come again.
func unavailable(err error) error {
	if pg.Away(err) {
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	return err
}

// Launch is the launch of a label.
func (r *Reports) Launch(ctx context.Context, label string) (*reports.Launch, error) {
	l, err := launchOf(ctx, r.pool, label)
	return &l.Launch, err
}

// Launches lists launches, the newest first, from behind the one that the cursor names; 0 begins.
func (r *Reports) Launches(ctx context.Context, cursor int64, limit int) (*reports.LaunchPage, error) {
	rows, err := r.pool.Query(ctx, `select `+launchColumns+` from launch
		where id <> 0 and ($1 = 0 or id < $1) order by id desc limit $2`, cursor, limit+1)
	if err != nil {
		return nil, unavailable(err)
	}
	list, err := pgx.CollectRows(rows, scanLaunch)
	if err != nil {
		return nil, unavailable(err)
	}
	page := &reports.LaunchPage{Items: []reports.Launch{}}
	for i, l := range list {
		if i == limit {
			page.Next = strconv.FormatInt(list[i-1].id, 10)
			break
		}
		page.Items = append(page.Items, l.Launch)
	}
	return page, nil
}

// Declare sets the size of a launch, which it makes when there is none. From then on the size is settled. Declaring the
// same size again is harmless; another one is ErrClosed.
func (r *Reports) Declare(ctx context.Context, label string, size int64) (*reports.Launch, error) {
	rows, err := r.pool.Query(ctx, `
		insert into launch as l (label, declared, closed, created_at) values ($1, $2, true, $3)
		on conflict (label) do update set declared = excluded.declared, closed = true
		 where l.id <> 0 and (not l.closed or l.declared = excluded.declared)
		returning `+launchColumns, label, size, r.now())
	if err != nil {
		return nil, unavailable(err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLaunch)
	if errors.Is(err, pgx.ErrNoRows) {
		err = reports.ErrClosed
	}
	return &l.Launch, unavailable(err)
}

// Close says that no more jobs will follow.
func (r *Reports) Close(ctx context.Context, label string) (*reports.Launch, error) {
	rows, err := r.pool.Query(ctx, `update launch set closed = true where label = $1 and id <> 0
		returning `+launchColumns, label)
	if err != nil {
		return nil, unavailable(err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLaunch)
	if errors.Is(err, pgx.ErrNoRows) {
		err = reports.ErrNotFound
	}
	return &l.Launch, unavailable(err)
}

// snapshot runs fn in a transaction that sees one moment: figures of different tables then belong together. fn asks for
// nothing from the pool: when all its connections are held by readers that wait for a second one, nobody goes on.
func (r *Reports) snapshot(ctx context.Context, fn func(pgx.Tx) error) error {
	return unavailable(pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{
		IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly,
	}, fn))
}

// Ledger says where the jobs of a launch are.
func (r *Reports) Ledger(ctx context.Context, label string) (*reports.Ledger, error) {
	var ledger *reports.Ledger
	err := r.snapshot(ctx, func(tx pgx.Tx) error {
		l, err := launchOf(ctx, tx, label)
		if err == nil {
			ledger, err = readLedger(ctx, tx, l)
		}
		return err
	})
	return ledger, err
}

// readLedger adds up the counters. Claims are counted when they are made and fates when they are recorded, apart from
// each other: their difference is what is on its way.
func readLedger(ctx context.Context, tx pgx.Tx, l launchRow) (*reports.Ledger, error) {
	out := &reports.Ledger{
		Launch: l.Label, Suppressed: map[string]int64{}, Held: map[string]int64{}, Failed: map[string]int64{},
		Settled: l.Closed,
	}
	err := tx.QueryRow(ctx, `select coalesce(sum(n), 0)::bigint, coalesce(sum(void), 0)::bigint from launch_claimed
		where launch_id = $1`, l.id).Scan(&out.Claimed, &out.Void)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `select bucket, reason, sum(n)::bigint from ledger where launch_id = $1
		group by 1, 2`, l.id)
	if err != nil {
		return nil, err
	}
	var bucket delivery.Bucket
	var reason delivery.Reason
	var n, fates int64
	_, err = pgx.ForEachRow(rows, []any{&bucket, &reason, &n}, func() error {
		if n == 0 {
			return nil
		}
		fates += n
		put(out, bucket, reason, n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Accepted = out.Delivered + out.Awaiting + out.Open
	if l.Declared != nil {
		out.Unread = max(0, *l.Declared-out.Claimed-out.Void)
	}
	out.Pending += out.Claimed - fates + out.Unread
	out.Audience = out.Claimed + out.Unread
	held := int64(0)
	for _, n := range out.Held {
		held += n
	}
	out.Finished = out.Settled && out.Pending == 0 && held == 0 && out.Open == 0
	return out, nil
}

// put adds n jobs to a bucket of the ledger.
func put(l *reports.Ledger, b delivery.Bucket, reason delivery.Reason, n int64) {
	switch b {
	case delivery.BucketPending:
		l.Pending += n
	case delivery.BucketHeld:
		l.Held[reason.String()] += n
	case delivery.BucketSuppressed:
		l.Suppressed[reason.String()] += n
	case delivery.BucketFailed:
		l.Failed[reason.String()] += n
	case delivery.BucketExpired:
		l.Expired += n
	case delivery.BucketUnknown:
		l.Unknown += n
	case delivery.BucketAwaiting:
		l.Awaiting += n
	case delivery.BucketDelivered:
		l.Delivered += n
	case delivery.BucketOpen:
		l.Open += n
	}
}

// Report is what a launch achieved.
func (r *Reports) Report(ctx context.Context, label string) (*reports.Report, error) {
	var out *reports.Report
	err := r.snapshot(ctx, func(tx pgx.Tx) error {
		l, err := launchOf(ctx, tx, label)
		if err != nil {
			return err
		}
		ledger, err := readLedger(ctx, tx, l)
		if err != nil {
			return err
		}
		out = &reports.Report{Launch: l.Launch, Ledger: *ledger, Rows: []reports.ReportRow{}}
		return readRows(ctx, tx, l, out)
	})
	return out, err
}

// readRows reads the figures by variant and channel: first events under their kind, and the messages of each status.
func readRows(ctx context.Context, tx pgx.Tx, l launchRow, out *reports.Report) error {
	type key struct {
		variant int16
		channel delivery.Channel
	}
	at := map[key]int{}
	row := func(k key) *reports.ReportRow {
		i, ok := at[k]
		if !ok {
			i = len(out.Rows)
			at[k] = i
			out.Rows = append(out.Rows, reports.ReportRow{
				Variant: delivery.VariantLetter(k.variant), Channel: k.channel.String(), Counts: map[string]int64{},
			})
		}
		return &out.Rows[i]
	}
	rows, err := tx.Query(ctx, `select variant, channel, kind, sum(n)::bigint from rollup where launch_id = $1
		group by 1, 2, 3 having sum(n) <> 0 order by 1, 2, 3`, l.id)
	if err != nil {
		return err
	}
	var k key
	var kind int16
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&k.variant, &k.channel, &kind, &n}, func() error {
		if kind == recorder.PartsFigure {
			row(k).Parts = n
		}
		if name := figureName(kind); name != "" {
			row(k).Counts[name] += n
		}
		return nil
	})
	return err
}

// firstID is a bound below the ids of the launch's jobs: a job that came by the API has its id a little before its
// launch has a row.
func (l launchRow) firstID() int64 { return int64(delivery.IDAt(l.CreatedAt.Add(-time.Hour))) }

// Job is the job that the message belongs to, with its timeline and fate.
func (r *Reports) Job(ctx context.Context, id delivery.ID) (*reports.JobReport, error) {
	var out *reports.JobReport
	err := r.snapshot(ctx, func(tx pgx.Tx) (err error) {
		out, err = r.readJob(ctx, tx, id.Job())
		if pg.UndefinedTable(err) {
			err = reports.ErrNotFound
		}
		return err
	})
	return out, err
}

func (r *Reports) readJob(ctx context.Context, tx pgx.Tx, id delivery.ID) (*reports.JobReport, error) {
	out := &reports.JobReport{ID: id, Messages: []reports.JobMessage{}, Bucket: delivery.BucketPending.String()}
	err := tx.QueryRow(ctx, `select l.label from `+pg.TableFor("claim", id)+` c join launch l on l.id = c.launch_id
		where c.id = $1`, int64(id)).Scan(&out.Launch)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, reports.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	list, err := messagesOf(ctx, tx, []delivery.ID{id})
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		name, err := r.providers.Name(ctx, tx, int64(m.Provider))
		if err != nil {
			return nil, err
		}
		line := reports.JobMessage{
			ID: m.ID, Link: m.Link, Channel: m.Channel.String(), Provider: name, Status: m.State.Rank.Status(),
			Reason: m.State.Reason.String(), At: m.State.At, Parts: m.Parts,
		}
		if line.Timeline, err = r.timeline(ctx, tx, m); err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, line)
	}
	if e, ok := recorder.EntryOf(list); ok {
		out.Bucket, out.Reason = e.Bucket.String(), e.Reason.String()
	}
	return out, nil
}
