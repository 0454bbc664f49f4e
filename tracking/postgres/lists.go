package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
	"github.com/herald-gateway/herald/tracking/reports"
)

// figureName is how reports call a counter of rollup; empty: they do not show it.
func figureName(kind int16) string {
	for _, k := range delivery.Kinds() {
		if recorder.StatusFigure(k.Rank()) == kind && (k.Rank() < delivery.RankAccepted || negative(k.Rank())) {
			return k.String()
		}
		if int16(k) == kind {
			return k.String()
		}
	}
	return ""
}

func negative(r delivery.Rank) bool {
	switch r {
	case delivery.RankExpired, delivery.RankFailed, delivery.RankRejected, delivery.RankBounced:
		return true
	}
	return false
}

// jobMessages reads the messages of jobs, by id.
func jobMessages(ctx context.Context, tx pgx.Tx, jobs []delivery.ID) ([]recorder.Message, error) {
	ids := make([]int64, 0, len(jobs)*delivery.MessagesPerJob)
	for _, j := range jobs {
		for n := range delivery.MessagesPerJob {
			ids = append(ids, int64(j.Message(n)))
		}
	}
	var list []recorder.Message
	for _, day := range pg.ByDay(ids) {
		rows, err := tx.Query(ctx, `select `+messageColumns+` from `+day.Table("message")+` where id = any($1) order by id`,
			pg.Pick(day, ids))
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, scanMessage)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// timeline is what happened to a message: what its row shows, and its entries; equal ones once.
func (r *Reports) timeline(ctx context.Context, tx pgx.Tx, m recorder.Message) ([]reports.JobEvent, error) {
	list := []reports.JobEvent{}
	provider, err := r.providers.Name(ctx, r.pool, int64(m.Provider))
	if err != nil {
		return nil, err
	}
	for _, first := range []struct {
		kind delivery.Kind
		at   time.Time
	}{{delivery.KindAccepted, m.SentAt}, {delivery.KindDelivered, m.DeliveredAt}, {delivery.KindRead, m.ReadAt}} {
		if !first.at.IsZero() {
			list = append(list, reports.JobEvent{Kind: first.kind.String(), At: first.at, Provider: provider})
		}
	}
	rows, err := tx.Query(ctx, `select kind, at, reason, code, detail, turn, attempt, late from `+
		pg.TableFor("message_event", m.ID)+` where message_id = $1`, int64(m.ID))
	if err != nil {
		return nil, err
	}
	var kind delivery.Kind
	var reason delivery.Reason
	var e reports.JobEvent
	_, err = pgx.ForEachRow(rows, []any{&kind, &e.At, &reason, &e.Code, &e.Detail, &e.Turn, &e.Attempt, &e.Late},
		func() error {
			e.Kind, e.Reason = kind.String(), reason.String()
			list = append(list, e)
			return nil
		})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b reports.JobEvent) int { return a.At.Compare(b.At) })
	return slices.CompactFunc(list, func(a, b reports.JobEvent) bool {
		return a.Kind == b.Kind && a.At.Equal(b.At) && a.Code == b.Code
	}), nil
}

// Messages lists the messages, or for pending the jobs, that a figure of the ledger or the report counts.
func (r *Reports) Messages(ctx context.Context, label string, q reports.MessageQuery) (*reports.MessagePage, error) {
	page := &reports.MessagePage{Items: []reports.MessageItem{}}
	err := r.snapshot(ctx, func(tx pgx.Tx) error {
		l, err := launchOf(ctx, tx, label)
		if err != nil {
			return err
		}
		if q.Kind == delivery.BucketPending.String() {
			return pendingJobs(ctx, tx, l, q, page)
		}
		where, arg, err := condition(q.Kind)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select `+messageColumns+` from message m where launch_id = $1 and id > $2
			and ($3 = 0 or reason = $3) and `+where+` order by id limit $5`,
			l.id, max(q.Cursor, l.firstID()-1), int16(q.Reason), arg, q.Limit+1)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, scanMessage)
		if err != nil {
			return err
		}
		if len(list) > q.Limit {
			list = list[:q.Limit]
			page.Next = list[q.Limit-1].ID.String()
		}
		for _, m := range list {
			name, err := r.providers.Name(ctx, r.pool, int64(m.Provider))
			if err != nil {
				return err
			}
			page.Items = append(page.Items, reports.MessageItem{
				ID: m.ID, Job: m.ID.Job(), Channel: m.Channel.String(), Provider: name, Status: m.State.Rank.Status(),
				Reason: m.State.Reason.String(), At: m.State.At,
			})
		}
		return nil
	})
	return page, err
}

// condition is the SQL for a kind or bucket; its argument is $4.
func condition(kind string) (string, any, error) {
	ranks := func(list ...delivery.Rank) (string, any, error) {
		numbers := make([]int16, len(list))
		for i, r := range list {
			numbers[i] = int16(r)
		}
		return `status = any($4::smallint[])`, numbers, nil
	}
	switch kind {
	case "":
		return `$4::int is null`, nil, nil
	case delivery.BucketAwaiting.String():
		return ranks(delivery.RankAccepted)
	case delivery.KindAccepted.String():
		return ranks(delivery.RankAccepted, delivery.RankDelivered, delivery.RankRead, delivery.RankClicked)
	case delivery.KindDelivered.String():
		return ranks(delivery.RankDelivered, delivery.RankRead, delivery.RankClicked)
	case delivery.BucketFailed.String():
		return ranks(delivery.RankFailed, delivery.RankRejected, delivery.RankBounced)
	case delivery.BucketOpen.String():
		return `next_link is not null and status >= $4 and not exists (select from message n where n.id = m.id + 1)`,
			int16(delivery.RankAccepted), nil
	}
	k, err := delivery.ParseKind(kind)
	if err != nil {
		return "", nil, fmt.Errorf("%w: kind %q", reports.ErrNotFound, kind)
	}
	if k == delivery.KindRead || k == delivery.KindOpened || k.Rank() == delivery.RankNone || k == delivery.KindClicked {
		return `flags & $4::int <> 0`, k.Flag(), nil
	}
	return ranks(k.Rank())
}

// pendingJobs lists the claimed jobs that have no fate: none of their messages has one.
func pendingJobs(
	ctx context.Context, tx pgx.Tx, l launchRow, q reports.MessageQuery, page *reports.MessagePage,
) error {
	rows, err := tx.Query(ctx, `select c.id from claim c where c.launch_id = $1 and c.id > $2
		and not exists (select from message m where m.id between c.id and c.id + 7) order by c.id limit $3`,
		l.id, max(q.Cursor, l.firstID()-1), q.Limit+1)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[delivery.ID])
	if err != nil {
		return err
	}
	if len(ids) > q.Limit {
		ids = ids[:q.Limit]
		page.Next = ids[q.Limit-1].String()
	}
	for _, id := range ids {
		page.Items = append(page.Items, reports.MessageItem{
			ID: id, Job: id, Status: delivery.BucketPending.String(), At: id.Time(),
		})
	}
	return nil
}

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

func recount(ctx context.Context, tx pgx.Tx, l launchRow, out *reports.Verification) error {
	var claims int64
	err := tx.QueryRow(ctx, `select count(*) from claim where id >= $1 and launch_id = $2`, l.firstID(), l.id).Scan(&claims)
	if err != nil {
		return err
	}
	if claims != out.Ledger.Claimed {
		out.Faults = append(out.Faults, fmt.Sprintf("claims: %d in the ledger, %d counted", out.Ledger.Claimed, claims))
	}
	counted, err := foldAll(ctx, tx, l)
	if err != nil {
		return err
	}
	if !compare(out, counted) {
		return nil
	}
	rows, err := tx.Query(ctx, `select c.id from claim c where c.id >= $1 and c.launch_id = $2
		and not exists (select from message m where m.id between c.id and c.id + 7) order by c.id limit $3`,
		l.firstID(), l.id, maxMissing)
	if err != nil {
		return err
	}
	out.Missing, err = pgx.CollectRows(rows, pgx.RowTo[delivery.ID])
	if out.Missing == nil {
		out.Missing = []delivery.ID{}
	}
	return err
}

// foldAll counts the jobs of the launch by bucket and reason, from the rows of their messages.
func foldAll(ctx context.Context, tx pgx.Tx, l launchRow) (*reports.Ledger, error) {
	out := &reports.Ledger{Suppressed: map[string]int64{}, Held: map[string]int64{}, Failed: map[string]int64{}}
	rows, err := tx.Query(ctx, `select `+messageColumns+` from message where id >= $1 and launch_id = $2 order by id`,
		l.firstID(), l.id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var job []recorder.Message
	count := func() {
		if e, ok := recorder.EntryOf(job); ok {
			put(out, e.Bucket, e.Reason, 1)
		}
		job = job[:0]
	}
	for rows.Next() {
		m, err := scanMessage(rows)
		if err != nil {
			return nil, err
		}
		if len(job) > 0 && job[0].ID.Job() != m.ID.Job() {
			count()
		}
		job = append(job, m)
	}
	count()
	return out, rows.Err()
}

// compare adds a fault for every counter that differs from the recount. It returns whether the counters know of more
// decided jobs than there are rows: then some fate is gone.
func compare(v *reports.Verification, counted *reports.Ledger) (gone bool) {
	was, is := figures(&v.Ledger), figures(counted)
	var wasSum, isSum int64
	names := make([]string, 0, len(was))
	for name := range was {
		names = append(names, name)
	}
	for name := range is {
		if _, ok := was[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		wasSum, isSum = wasSum+was[name], isSum+is[name]
		if was[name] != is[name] {
			v.Faults = append(v.Faults, fmt.Sprintf("%s: %d in the ledger, %d counted", name, was[name], is[name]))
		}
	}
	return wasSum > isSum
}

// figures are the decided jobs of a ledger by name.
func figures(l *reports.Ledger) map[string]int64 {
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
