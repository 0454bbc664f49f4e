// Package postgres keeps what tracking records and reads it back: the recorder's transaction, the receipts that wait for
// their message, and the figures and lists of reports.
//
// Statements of the message path name the partition of the day on which the message's id was allocated, and take a whole
// batch as arrays. Only the recorder writes messages, and for one job only one recorder does.
package postgres

import (
	"context"
	"errors"
	"fmt"
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
	return &Store{NewRecorderStore(db.Hot, due), NewReceiptStore(db.Hot)}
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
	id, err := s.launches.ID(ctx, s.db, label, at)
	return id, classify(err)
}

// Provider implements recorder.Store.
func (s *RecorderStore) Provider(ctx context.Context, name string, ch delivery.Channel) (int16, error) {
	return providerID(ctx, s.providers, s.db, name, ch)
}

func providerID(ctx context.Context, names *pg.Names, db DB, name string, ch delivery.Channel) (int16, error) {
	id, err := names.ID(ctx, db, name, "", int16(ch))
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
	var list []recorder.Message
	for _, day := range pg.ByDay(jobs) {
		rows, err := tx.Query(ctx, fmt.Sprintf(jobsSQL, day.Table("message")), pg.Pick(day, jobs))
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

func scanMessage(row pgx.CollectableRow) (m recorder.Message, err error) {
	var nextAt, sent, delivered, read, opened, clicked pgtype.Timestamptz
	err = row.Scan(&m.ID, &m.ProfileID, &m.LaunchID, &m.Variant, &m.Channel, &m.State.Rank, &m.State.At,
		&m.State.Reason, &m.Flags, &m.Provider, &m.Turn, &m.Attempt, &m.Link, &m.Parts, &m.Revision, &m.CostMinor,
		&m.Next.Link, &nextAt, &m.Next.Unless, &sent, &delivered, &read, &opened, &clicked)
	m.State.At = m.State.At.UTC()
	for to, from := range map[*time.Time]pgtype.Timestamptz{
		&m.Next.At: nextAt, &m.SentAt: sent, &m.DeliveredAt: delivered, &m.ReadAt: read, &m.OpenedAt: opened,
		&m.ClickedAt: clicked,
	} {
		if from.Valid {
			*to = from.Time.UTC()
		}
	}
	return m, err
}

// Parked implements recorder.Tx.
func (t *recorderTx) Parked(ctx context.Context, messages []delivery.ID) ([][]byte, error) {
	rows, err := t.tx.Query(ctx, `delete from event_parked where message_id = any($1) returning body`, messages)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}
