// Package postgres keeps what tracking records and reads it back: the recorder's transaction, the receipts that wait for
// their message, and the figures and lists of reports.
//
// Statements of the message path name the partition of the day on which the message's id was allocated, and take a whole
// batch as arrays. Only the recorder writes messages, and for one job only one recorder does.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
)

// DB runs statements and begins transactions: a pool, or a transaction in tests.
type DB interface {
	pg.DBTX
	pg.Beginner
}

// DueWriter writes rows of due within the caller's transaction.
type DueWriter interface {
	InsertDue(ctx context.Context, tx pgx.Tx, rows []delivery.Due) error
}

// RecorderStore is the recorder's store. It is safe for concurrent use.
type RecorderStore struct {
	db        DB
	due       DueWriter
	launches  *pg.Names
	providers *pg.Names
	days      *pg.Days
}

// NewRecorderStore makes a store on the pool for hot statements; due writes the deadlines of links.
func NewRecorderStore(db DB, due DueWriter) *RecorderStore {
	return &RecorderStore{
		db: db, due: due, launches: pg.NewLaunchNames(), providers: pg.NewProviderNames(), days: new(pg.Days),
	}
}

// Store is all that tracking writes to.
type Store struct {
	*RecorderStore
	*ReceiptStore
}

// New makes the stores of the recorder and of receipts; due writes the deadlines of links.
func New(db *pg.DB, due DueWriter) *Store {
	return &Store{NewRecorderStore(db.Hot, due), NewReceiptStore(db.Hot, db.General)}
}

var (
	_ recorder.Store = (*RecorderStore)(nil)
	_ recorder.Tx    = (*recorderTx)(nil)
)

// Position implements recorder.Store.
func (s *RecorderStore) Position(ctx context.Context, p recorder.Place, cluster string) (next int64, err error) {
	_, err = s.db.Exec(ctx, `insert into stream_offset (stream, topic, part, next, cluster) values ($1, $2, $3, -1, $4)
		on conflict do nothing`, p.Stream, p.Topic, p.Partition, cluster)
	if err != nil {
		return 0, fmt.Errorf("position: %w", err)
	}
	var kept string
	err = s.db.QueryRow(ctx, `select next, cluster from stream_offset where stream = $1 and topic = $2 and part = $3`,
		p.Stream, p.Topic, p.Partition).Scan(&next, &kept)
	switch {
	case err != nil:
		return 0, fmt.Errorf("position: %w", err)
	case kept != cluster:
		return 0, fmt.Errorf("%s/%d was read from cluster %q, this one is %q: %w", p.Topic, p.Partition, kept, cluster,
			recorder.ErrOtherCluster)
	}
	return next, nil
}

// Launch implements recorder.Store.
func (s *RecorderStore) Launch(ctx context.Context, label string, at time.Time) (int64, error) {
	if id, ok := s.launches.Cached(label); ok {
		return id, nil
	}
	id, err := s.launches.ID(ctx, s.db, label, at)
	return id, classify(err)
}

// Provider implements recorder.Store.
func (s *RecorderStore) Provider(ctx context.Context, name string, ch delivery.Channel) (int16, error) {
	return providerID(ctx, s.providers, s.db, name, ch)
}

func providerID(ctx context.Context, names *pg.Names, db DB, name string, ch delivery.Channel) (int16, error) {
	id, ok := names.Cached(name)
	var err error
	if !ok {
		id, err = names.ID(ctx, db, name, "", int16(ch))
	}
	return int16(id), classify(err) //nolint:gosec // the column is a smallint
}

// Known implements recorder.Store.
func (s *RecorderStore) Known(ctx context.Context, id delivery.ID) (bool, error) {
	return s.days.Has(ctx, s.db, "message", int64(id))
}

// InTx implements recorder.Store. The transaction does not wait for the disk: what a crash of the server takes back is
// read again from the log, because the offset goes back with it.
func (s *RecorderStore) InTx(ctx context.Context, fn func(ctx context.Context, tx recorder.Tx) error) error {
	err := pg.InTx(ctx, s.db, func(ctx context.Context, tx pgx.Tx) error {
		return fn(ctx, &recorderTx{tx: tx, store: s})
	})
	if pg.UndefinedTable(err) {
		s.days.Forget()
	}
	return classify(err)
}

// classify says of an error of the batch itself that repeating does not help: data that a column refuses (class 22),
// that breaks a constraint (class 23), or that is beyond a limit of the server (class 54).
func classify(err error) error {
	code := pg.Code(err)
	if code != "" && strings.Contains("21 22 23 54", code[:2]) && !errors.Is(err, recorder.ErrBad) {
		return fmt.Errorf("%w: %w", recorder.ErrBad, err)
	}
	return err
}

type recorderTx struct {
	tx    pgx.Tx
	store *RecorderStore
}

// plannerSQL keeps the statements of a transaction from walking over a whole day. They are planned once per connection,
// and the first time perhaps while the day's partition is empty: the walk would be the cheapest then, and stay the plan
// while the partition grows.
const plannerSQL = `set local enable_seqscan = off`

// Advance implements recorder.Tx.
func (t *recorderTx) Advance(ctx context.Context, p recorder.Place, from, to int64) error {
	var b pgx.Batch
	b.Queue(`set local synchronous_commit = off`)
	b.Queue(plannerSQL)
	expect(b.Queue(`update stream_offset set next = $5 where stream = $1 and topic = $2 and part = $3 and next = $4`,
		p.Stream, p.Topic, p.Partition, from, to), 1)
	return t.tx.SendBatch(ctx, &b).Close()
}

const messageColumns = `id, profile_id, launch_id, variant, channel, status, status_at, reason, flags,
	coalesce(provider, 0), turn, attempt, link, parts, coalesce(revision, 0), coalesce(cost_minor, 0),
	coalesce(next_link, 0), next_at, coalesce(next_unless, 0), sent_at, delivered_at, read_at, first_open_at, first_click_at`

// jobsSQL reads all messages of jobs with one descent of the index for each. The limit within leaves the planner no other
// way; a plain join by range would be a walk over the day as soon as the statistics are stale.
const jobsSQL = `select m.* from unnest($1::bigint[]) u(job) cross join lateral (
	select ` + messageColumns + ` from %s where id >= u.job and id < u.job + 8 order by id limit 8) m`

// Messages implements recorder.Tx.
func (t *recorderTx) Messages(ctx context.Context, jobs []delivery.ID) ([]recorder.Message, error) {
	return messagesOf(ctx, t.tx, jobs)
}

func messagesOf(ctx context.Context, tx pgx.Tx, jobs []delivery.ID) ([]recorder.Message, error) {
	list := make([]recorder.Message, 0, len(jobs))
	for _, day := range pg.ByDay(jobs) {
		rows, err := tx.Query(ctx, fmt.Sprintf(jobsSQL, day.Table("message")), pg.Pick(day, jobs))
		if err != nil {
			return nil, err
		}
		err = forEachMessage(rows, func(m recorder.Message) { list = append(list, m) })
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b recorder.Message) int { return cmp.Compare(a.ID, b.ID) }) // mostly it is, no plan promises it
	return list, nil
}

// forEachMessage reads rows of messageColumns to their end.
func forEachMessage(rows pgx.Rows, yield func(recorder.Message)) error {
	var r messageRow
	_, err := pgx.ForEachRow(rows, r.targets(), func() error {
		yield(r.message())
		return nil
	})
	return err
}

// messageRow is what a row of messageColumns is scanned into: plain types, again and again, because every batch of the
// recorder reads some hundreds of them.
type messageRow struct {
	id, profile, launch                                                                      int64
	variant, channel, status, reason, provider, turn, attempt, link, parts, nextLink, unless int16
	flags, revision, cost                                                                    int32
	at, nextAt, sent, delivered, read, opened, clicked                                       pgtype.Timestamptz
}

func (r *messageRow) targets() []any {
	return []any{
		&r.id, &r.profile, &r.launch, &r.variant, &r.channel, &r.status, &r.at, &r.reason, &r.flags, &r.provider, &r.turn,
		&r.attempt, &r.link, &r.parts, &r.revision, &r.cost, &r.nextLink, &r.nextAt, &r.unless, &r.sent, &r.delivered,
		&r.read, &r.opened, &r.clicked,
	}
}

func (r *messageRow) message() recorder.Message {
	return recorder.Message{
		ID: delivery.ID(r.id), ProfileID: delivery.ID(r.profile), LaunchID: r.launch, Variant: r.variant,
		Channel: delivery.Channel(r.channel), Link: int(r.link), //nolint:gosec // the recorder wrote it
		State: delivery.State{
			Rank: delivery.Rank(r.status), Reason: delivery.Reason(r.reason), At: at(r.at), //nolint:gosec // as above
		},
		Flags: r.flags, Provider: r.provider, Turn: int(r.turn), Attempt: int(r.attempt), Parts: int(r.parts),
		Revision: int(r.revision), CostMinor: int(r.cost),
		Next: delivery.Next{
			Link: int(r.nextLink), At: at(r.nextAt), Unless: delivery.Condition(r.unless), //nolint:gosec // as above
		},
		SentAt: at(r.sent), DeliveredAt: at(r.delivered), ReadAt: at(r.read), OpenedAt: at(r.opened), ClickedAt: at(r.clicked),
	}
}

// at is the time in UTC; zero when there is none.
func at(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// Parked implements recorder.Tx.
func (t *recorderTx) Parked(ctx context.Context, messages []delivery.ID) ([][]byte, error) {
	rows, err := t.tx.Query(ctx, `delete from event_parked where message_id = any($1) returning body`, messages)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}
