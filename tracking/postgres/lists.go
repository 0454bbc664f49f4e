package postgres

import (
	"cmp"
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

// figureName is the name under which reports show a counter of rollup; empty: they do not show it. What providers and
// recipients did first counts by the first event; where messages stand (delivered, failed, suppressed …) counts by their
// status now, so that a message that bounced is not delivered as well.
func figureName(kind int16) string {
	for _, k := range []delivery.Kind{delivery.KindAccepted, delivery.KindRead, delivery.KindOpened, delivery.KindClicked} {
		if int16(k) == kind {
			return k.String()
		}
	}
	for _, k := range delivery.Kinds() {
		r := k.Rank()
		switch {
		case r == delivery.RankNone || recorder.StatusFigure(r) != kind || r == delivery.RankAccepted:
		case r == delivery.RankDelivered, r == delivery.RankRead, r == delivery.RankClicked:
			return delivery.KindDelivered.String()
		default:
			return k.String()
		}
	}
	return ""
}

// timeline is what happened to a message: what its row shows, and its entries; equal ones once.
func (r *Reports) timeline(ctx context.Context, tx pgx.Tx, m recorder.Message) ([]reports.JobEvent, error) {
	provider, err := r.providers.Name(ctx, tx, int64(m.Provider))
	if err != nil {
		return nil, err
	}
	list := []reports.JobEvent{}
	for _, first := range []struct {
		kind delivery.Kind
		at   time.Time
	}{
		{delivery.KindAccepted, m.SentAt},
		{delivery.KindDelivered, m.DeliveredAt},
		{delivery.KindRead, m.ReadAt},
		{delivery.KindOpened, m.OpenedAt},
		{delivery.KindClicked, m.ClickedAt},
	} {
		if !first.at.IsZero() {
			list = append(list, reports.JobEvent{Kind: first.kind.String(), At: first.at, Provider: provider})
		}
	}
	rows, err := tx.Query(ctx, `select kind, at, reason, code, detail, turn, attempt, late, coalesce(provider, 0) from `+
		pg.TableFor("message_event", m.ID)+` where message_id = $1 order by at, kind, turn, attempt`, int64(m.ID))
	if err != nil {
		return nil, err
	}
	var kind delivery.Kind
	var reason delivery.Reason
	var account int64
	var e reports.JobEvent
	type same struct {
		kind, code string
		at         int64
	}
	seen := map[same]bool{}
	var accounts []int64 // of list; their names are read afterwards, on the same connection
	_, err = pgx.ForEachRow(rows,
		[]any{&kind, &e.At, &reason, &e.Code, &e.Detail, &e.Turn, &e.Attempt, &e.Late, &account}, func() error {
			e.Kind, e.Reason, e.At = kind.String(), reason.String(), e.At.UTC()
			if key := (same{e.Kind, e.Code, e.At.UnixMicro()}); !seen[key] {
				seen[key] = true
				list, accounts = append(list, e), append(accounts, account)
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	for i, account := range accounts {
		e := &list[len(list)-len(accounts)+i]
		if e.Provider, err = r.providers.Name(ctx, tx, account); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b reports.JobEvent) int { return a.At.Compare(b.At) })
	return list, nil
}

// Messages lists the messages, or for pending the jobs, that a figure of the ledger or the report counts. A bucket of the
// ledger counts jobs: of each job the message that decides is listed. A page may be shorter than its limit and still have
// a next one.
func (r *Reports) Messages(ctx context.Context, label string, q reports.MessageQuery) (*reports.MessagePage, error) {
	page := &reports.MessagePage{Items: []reports.MessageItem{}}
	err := r.snapshot(ctx, func(tx pgx.Tx) error {
		l, err := launchOf(ctx, tx, label)
		if err != nil {
			return err
		}
		found, err := candidates(ctx, tx, l, q)
		if err != nil {
			return err
		}
		if len(found) > q.Limit {
			found = found[:q.Limit]
			page.Next = found[q.Limit-1].ID.String()
		}
		if found, err = decided(ctx, tx, found, q); err != nil {
			return err
		}
		for _, m := range found {
			item := reports.MessageItem{
				ID: m.ID, Job: m.ID.Job(), Status: delivery.BucketPending.String(), At: m.State.At,
			}
			if m.State.Rank != delivery.RankNone {
				item.Channel, item.Status = m.Channel.String(), m.State.Rank.Status()
				item.Reason = m.State.Reason.String()
			}
			if item.Provider, err = r.providers.Name(ctx, tx, int64(m.Provider)); err != nil {
				return err
			}
			page.Items = append(page.Items, item)
		}
		return nil
	})
	return page, err
}

// unfatedSQL are the claims of launch $1 from id $2 on of whose jobs no message is recorded. The condition on the launch
// lets the planner hash both sides; a lookup by range would be one probe of every day for each claim.
const unfatedSQL = `select c.id from claim c where c.launch_id = $1 and c.id >= $2 and not exists (
	select from message m where m.launch_id = $1 and m.id >= $2 and m.id & -8 = c.id)`

// candidates reads the next messages that may belong to the figure. Jobs without a message come as messages of rank none.
func candidates(ctx context.Context, tx pgx.Tx, l launchRow, q reports.MessageQuery) ([]recorder.Message, error) {
	from := max(q.Cursor+1, l.firstID())
	where, arg, err := condition(q.Kind)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `select `+messageColumns+` from message m where launch_id = $1 and id >= $2
		and ($3 = 0 or reason = $3) and `+where+` order by id limit $5`, l.id, from, int16(q.Reason), arg, q.Limit+1)
	if err != nil {
		return nil, err
	}
	var list []recorder.Message
	err = forEachMessage(rows, func(m recorder.Message) { list = append(list, m) })
	if err != nil || q.Kind != delivery.BucketPending.String() || q.Reason != delivery.ReasonNone {
		return list, err
	}
	rows, err = tx.Query(ctx, unfatedSQL+` order by c.id limit $3`, l.id, from, q.Limit+1)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[delivery.ID])
	for _, id := range ids {
		list = append(list, recorder.Message{ID: id, State: delivery.State{At: id.Time()}})
	}
	slices.SortFunc(list, func(a, b recorder.Message) int { return cmp.Compare(a.ID, b.ID) })
	return list, err
}

// buckets are the buckets of the ledger that a name stands for; none when it is a kind of event.
func buckets(name string) []delivery.Bucket {
	if name == delivery.KindAccepted.String() {
		return []delivery.Bucket{delivery.BucketAwaiting, delivery.BucketDelivered, delivery.BucketOpen}
	}
	if b, err := delivery.ParseBucket(name); err == nil {
		return []delivery.Bucket{b}
	}
	return nil
}

// decided leaves of the candidates those that decide where their job stands, when a bucket is asked for.
func decided(
	ctx context.Context, tx pgx.Tx, found []recorder.Message, q reports.MessageQuery,
) ([]recorder.Message, error) {
	wanted := buckets(q.Kind)
	if len(wanted) == 0 {
		return found, nil
	}
	jobs := make([]delivery.ID, len(found))
	for i := range found {
		jobs[i] = found[i].ID.Job()
	}
	all, err := messagesOf(ctx, tx, slices.Compact(jobs)) // the candidates are sorted
	if err != nil {
		return nil, err
	}
	byJob := map[delivery.ID][]recorder.Message{}
	for _, m := range all {
		byJob[m.ID.Job()] = append(byJob[m.ID.Job()], m)
	}
	return slices.DeleteFunc(found, func(m recorder.Message) bool {
		list := byJob[m.ID.Job()]
		e, recorded := recorder.EntryOf(list)
		if !recorded {
			return false // claimed and pending
		}
		return !slices.Contains(wanted, e.Bucket) || decider(list, e.Bucket) != m.ID
	}), nil
}

// decider is the message because of which a job stands in the bucket: the last one that would stand there alone. A job
// that waits for a later link stands where it does because of the last message that reached, or of the last one.
func decider(list []recorder.Message, b delivery.Bucket) delivery.ID {
	best := list[len(list)-1].ID
	for _, m := range list {
		m.Next = delivery.Next{}
		e, _ := recorder.EntryOf([]recorder.Message{m})
		if e.Bucket == b || b == delivery.BucketOpen && e.Bucket.Accepted() {
			best = m.ID
		}
	}
	return best
}

// condition is the SQL for a kind or bucket; its argument is $4. For a bucket it lets more through than belongs there.
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
	case delivery.BucketPending.String(), delivery.BucketOpen.String():
		return `(next_link is not null or status = $4)`, int16(delivery.RankHeld), nil
	case delivery.BucketAwaiting.String(), delivery.KindAccepted.String(), delivery.KindDelivered.String():
		return ranks(delivery.RankAccepted, delivery.RankDelivered, delivery.RankRead, delivery.RankClicked)
	case delivery.BucketFailed.String():
		return ranks(delivery.RankFailed, delivery.RankRejected, delivery.RankBounced)
	}
	k, err := delivery.ParseKind(kind)
	if err != nil {
		return "", nil, fmt.Errorf("%w: kind %q", reports.ErrNotFound, kind)
	}
	switch {
	case k.Rank() == delivery.RankNone: // a fact beside the status stands in the timeline
		return `exists (select from message_event e where e.message_id = m.id and e.kind = $4)`, int16(k), nil
	case k == delivery.KindRead || k == delivery.KindOpened || k == delivery.KindClicked:
		return `flags & $4::int <> 0`, k.Flag(), nil
	}
	return ranks(k.Rank())
}
