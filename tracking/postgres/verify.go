package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
	"github.com/herald-gateway/herald/tracking/reports"
)

// maxMissing bounds how many ids a verification names.
const maxMissing = 1000

// Verify counts claims and fates again and names what differs. The recount reads every claim and message of the launch,
// at the same moment as the counters.
func (r *Reports) Verify(ctx context.Context, label string) (*reports.Verification, error) {
	out := &reports.Verification{Missing: []delivery.ID{}, Faults: []string{}}
	err := r.snapshot(ctx, func(tx pgx.Tx) error {
		l, err := launchOf(ctx, tx, label)
		if err != nil {
			return err
		}
		ledger, err := readLedger(ctx, tx, l)
		if err != nil {
			return err
		}
		out.Ledger = *ledger
		return recount(ctx, tx, l, out)
	})
	out.OK = len(out.Faults) == 0
	return out, err
}

// differs notes down a figure that is not what was counted.
func differs(v *reports.Verification, name string, kept, counted int64) {
	if kept != counted {
		v.Faults = append(v.Faults, fmt.Sprintf("%s: %d in the figures, %d counted", name, kept, counted))
	}
}

func recount(ctx context.Context, tx pgx.Tx, l launchRow, out *reports.Verification) error {
	if gone, err := rowsGone(ctx, tx, l); err != nil || gone != "" {
		out.Faults = append(out.Faults, gone)
		return err
	}
	var claims, unfated int64
	err := tx.QueryRow(ctx, `select (select count(*) from claim where id >= $2 and launch_id = $1),
		(select count(*) from (`+unfatedSQL+`) u)`, l.id, l.firstID()).Scan(&claims, &unfated)
	if err != nil {
		return err
	}
	counted, figures, err := foldAll(ctx, tx, l)
	if err != nil {
		return err
	}
	differs(out, "claimed", out.Ledger.Claimed, claims)
	differs(out, "pending", out.Ledger.Pending-out.Ledger.Unread, unfated+counted.Pending)
	gone := compare(out, counted)
	if err := compareRollup(ctx, tx, l, figures, out); err != nil || !gone {
		return err
	}
	rows, err := tx.Query(ctx, unfatedSQL+` order by c.id limit $3`, l.id, l.firstID(), maxMissing)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[delivery.ID])
	out.Missing = append(out.Missing, ids...)
	return err
}

// rowsGone says that the launch is older than the rows that are kept, so that nothing can be counted again.
func rowsGone(ctx context.Context, tx pgx.Tx, l launchRow) (string, error) {
	var oldest *string
	err := tx.QueryRow(ctx, `select min(c.relname::text) from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'claim'::regclass`).Scan(&oldest)
	if err != nil || oldest != nil && *oldest <= pg.PartitionName("claim", l.CreatedAt) {
		return "", err
	}
	return "the rows of the launch's first day are not kept any more: nothing can be counted again", nil
}

// foldAll counts the jobs of the launch by bucket and reason, and the messages by figure, from the rows of the messages.
func foldAll(ctx context.Context, tx pgx.Tx, l launchRow) (*reports.Ledger, map[recorder.Figure]int64, error) {
	out := &reports.Ledger{Suppressed: map[string]int64{}, Held: map[string]int64{}, Failed: map[string]int64{}}
	figures := map[recorder.Figure]int64{}
	rows, err := tx.Query(ctx, `select `+messageColumns+` from message where id >= $1 and launch_id = $2 order by id`,
		l.firstID(), l.id)
	if err != nil {
		return nil, nil, err
	}
	var job []recorder.Message
	count := func() {
		if e, ok := recorder.EntryOf(job); ok {
			put(out, e.Bucket, e.Reason, 1)
		}
		job = job[:0]
	}
	err = forEachMessage(rows, func(m recorder.Message) {
		if len(job) > 0 && job[0].ID.Job() != m.ID.Job() {
			count()
		}
		job = append(job, m)
		m.Figures(func(f recorder.Figure, n int64) { figures[f] += n })
	})
	count()
	return out, figures, err
}

// compare adds a fault for every counter that differs from the recount. It returns whether the counters know of more
// decided jobs than there are rows: then some fate is gone.
func compare(v *reports.Verification, counted *reports.Ledger) (gone bool) {
	was, is := decidedJobs(&v.Ledger), decidedJobs(counted)
	var wasSum, isSum int64
	names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		wasSum, isSum = wasSum+was[name], isSum+is[name]
		differs(v, name, was[name], is[name])
	}
	return wasSum > isSum
}

// decidedJobs are the figures of a ledger by name, without pending.
func decidedJobs(l *reports.Ledger) map[string]int64 {
	m := map[string]int64{
		"awaiting": l.Awaiting, "delivered": l.Delivered, "open": l.Open, "expired": l.Expired, "unknown": l.Unknown,
	}
	for group, reasons := range map[string]map[string]int64{
		"suppressed": l.Suppressed, "held": l.Held, "failed": l.Failed,
	} {
		for reason, n := range reasons {
			m[group+"{"+reason+"}"] = n
		}
	}
	return m
}

// compareRollup adds a fault for each kind whose counters differ from the recount, hour by hour.
func compareRollup(
	ctx context.Context, tx pgx.Tx, l launchRow, counted map[recorder.Figure]int64, v *reports.Verification,
) error {
	rows, err := tx.Query(ctx, `select variant, channel, kind, hour, n from rollup where launch_id = $1 and n <> 0`, l.id)
	if err != nil {
		return err
	}
	f := recorder.Figure{LaunchID: l.id}
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&f.Variant, &f.Channel, &f.Kind, &f.Hour, &n}, func() error {
		f.Hour = f.Hour.UTC()
		counted[f] -= n
		return nil
	})
	if err != nil {
		return err
	}
	wrong := map[int16]int64{}
	for f, n := range counted {
		if n != 0 {
			wrong[f.Kind]++
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(wrong)) {
		v.Faults = append(v.Faults, fmt.Sprintf("report: %d hourly figures of kind %d are not what was counted",
			wrong[kind], kind))
	}
	return nil
}
