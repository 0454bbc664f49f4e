//go:build integration

package postgres_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
	"github.com/herald-gateway/herald/tracking"
	trackstore "github.com/herald-gateway/herald/tracking/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
	"github.com/herald-gateway/herald/tracking/recorder/recordertest"
)

// bound is how many rows a statement for batchOf jobs may read: a job of the histories has up to three messages, each
// with a few receipts.
const (
	batchOf = 200
	bound   = 10 * batchOf
)

// history makes the events of a batch of jobs from today.
func history() (jobs []recordertest.Job, events []delivery.Event, messages []delivery.ID) {
	jobs = recordertest.History(rand.New(rand.NewPCG(3, 3)), first(), batchOf, "autumn", "winter")
	for _, j := range jobs {
		for n := range 3 {
			messages = append(messages, j.ID.Message(n))
		}
	}
	return jobs, recordertest.InOrder(jobs), messages
}

// Every statement by which events are recorded and messages in doubt are looked up reads what it was asked for, by an
// index of one day's partition, however full the tables are and whatever the planner knows of them.
func TestRecorder_Plans(t *testing.T) {
	t.Parallel()
	db, statements := pgtest.Watch(t, pgtest.DB(t))
	store := trackstore.New(db, duestore.New(db.Hot))
	b := &bundle{db: db, store: store, log: new(recordertest.Log), next: map[int]int64{}}
	var err error
	b.rec, err = recorder.New(recorder.Config{
		Stream: stream, Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead,
	}, store, b.log)
	require.NoError(t, err)

	_, events, messages := history()
	early := make([]delivery.Event, 0, len(events))
	for _, e := range events {
		if e.Kind == delivery.KindDelivered {
			early = append(early, e)
		}
	}
	b.record(t, 0, early...) // parked
	b.record(t, 0, events[:len(events)/2]...)
	b.record(t, 0, events...)

	fates := trackstore.NewFates(db.Hot)
	known, err := fates.Fates(t.Context(), messages)
	require.NoError(t, err)
	require.NotEmpty(t, known)
	caught, err := fates.Caught(t.Context(), stream, recordertest.Topic, map[int]int64{0: 1})
	require.NoError(t, err)
	require.True(t, caught)

	statements.RequirePlans(t, pgtest.Shape{Rows: bound})
}

// So do those by which receipts find their messages, or wait for them.
func TestReceipts_Plans(t *testing.T) {
	t.Parallel()
	plain := setup(t)
	_, events, messages := history()
	plain.record(t, 0, events...)
	db, statements := pgtest.Watch(t, plain.db)
	store := trackstore.New(db, duestore.New(db.Hot))

	ctx, now := t.Context(), time.Now()
	since := now.Add(-time.Hour)
	keys := make([]tracking.Key, len(messages))
	marks := make([]tracking.Parts, len(messages))
	parked := make([]delivery.Receipt, len(messages))
	for i, m := range messages {
		keys[i] = tracking.Key{Provider: "mts", Ref: m.String()}
		marks[i] = tracking.Parts{Message: m, Parts: 2, OK: 1}
		parked[i] = delivery.Receipt{Provider: "mts", Ref: m.String(), State: delivery.ReceiptDelivered, At: now}
	}
	found, err := store.Resolve(ctx, keys, since, now.Add(24*time.Hour))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	_, err = store.MarkParts(ctx, marks)
	require.NoError(t, err)
	require.NoError(t, store.Park(ctx, parked, nil, now))
	swept := 0
	err = store.Sweep(ctx, tracking.SweepQuery{
		ParkedSince: since, ParkedBefore: now.Add(time.Hour), Depth: time.Hour, Skew: 24 * time.Hour, Limit: batchOf,
	}, func(_ context.Context, list []tracking.Found) error { swept += len(list); return nil })
	require.NoError(t, err)
	require.NotZero(t, swept)

	statements.RequirePlans(t, pgtest.Shape{Rows: bound})
}
