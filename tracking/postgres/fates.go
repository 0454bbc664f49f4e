package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
)

// Fates looks up what is recorded of messages, for whoever has to decide about one in doubt.
type Fates struct{ pool *pgxpool.Pool }

// NewFates makes the look-up.
func NewFates(pool *pgxpool.Pool) *Fates { return &Fates{pool: pool} }

// Fates gives the recorded state of each message that has one, and how often it was sent again.
func (f *Fates) Fates(ctx context.Context, messages []delivery.ID) (map[delivery.ID]delivery.Fate, error) {
	fates := make(map[delivery.ID]delivery.Fate, len(messages))
	for _, day := range pg.ByDay(messages) {
		ids := pg.Pick(day, messages)
		// Whoever reads the rows meets the error of the query.
		rows, _ := f.pool.Query(ctx, `select id, status, turn, reason from `+day.Table("message")+` where id = any($1)`, ids)
		var id delivery.ID
		var fate delivery.Fate
		_, err := pgx.ForEachRow(rows, []any{&id, &fate.Rank, &fate.Turn, &fate.Reason}, func() error {
			fates[id] = fate
			return nil
		})
		if pg.UndefinedTable(err) {
			continue // the day was dropped: nothing is known of it
		}
		if err != nil {
			return nil, err
		}
		if err := f.redriven(ctx, day.Table("message_event"), ids, fates); err != nil {
			return nil, err
		}
	}
	return fates, nil
}

// redriven counts how often the messages were sent again: a repeat of an event on the log has the same id.
func (f *Fates) redriven(
	ctx context.Context, table string, ids []delivery.ID, fates map[delivery.ID]delivery.Fate,
) error {
	rows, err := f.pool.Query(ctx, `select message_id, count(distinct id) from `+table+`
		where message_id = any($1) and kind = $2 group by 1`, ids, int16(delivery.KindRedriven))
	if err != nil {
		return err
	}
	var id delivery.ID
	var n int
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
		fate := fates[id]
		fate.Redriven = n
		fates[id] = fate
		return nil
	})
	return err
}

// Caught says that the stream has recorded everything before the given ends of the topic's partitions.
func (f *Fates) Caught(ctx context.Context, stream, topic string, ends map[int]int64) (bool, error) {
	rows, err := f.pool.Query(ctx, `select part, next from stream_offset where stream = $1 and topic = $2`, stream, topic)
	if err != nil {
		return false, err
	}
	next := map[int]int64{}
	var part int
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&part, &n}, func() error { next[part] = n; return nil }); err != nil {
		return false, err
	}
	for part, end := range ends {
		if end > 0 && next[part] < end {
			return false, nil
		}
	}
	return true, nil
}
