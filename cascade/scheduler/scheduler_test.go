package scheduler_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/cascade/scheduler"
	"github.com/herald-gateway/herald/delivery"
)

const (
	transactional, bulk = "jobs.transactional", "jobs.bulk"
	events, dead        = "events", "dead"
)

// table is due in memory.
type table struct {
	mu   sync.Mutex
	rows []scheduler.Item
	asks int
	err  error
}

func (s *table) Take(
	ctx context.Context, now time.Time, limit int, produce func(context.Context, []scheduler.Item) error,
) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	if s.err != nil {
		return 0, s.err
	}
	var page, rest []scheduler.Item
	for _, r := range s.rows {
		if len(page) < limit && !r.At.After(now) {
			page = append(page, r)
		} else {
			rest = append(rest, r)
		}
	}
	if len(page) == 0 {
		return 0, nil
	}
	if err := produce(ctx, page); err != nil {
		return 0, err
	}
	s.rows = rest
	return len(page), nil
}

func (s *table) state() (rows, asks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows), s.asks
}

func (s *table) Waiting(context.Context, time.Time) (int64, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.rows)), 3 * time.Second, s.err
}

type writer struct {
	mu      sync.Mutex
	records []delivery.Record
	err     error
}

func (w *writer) Write(_ context.Context, records []delivery.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.records = append(w.records, records...)
	}
	return w.err
}

func (w *writer) set(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.records)
}

func body(t *testing.T, c delivery.Category) []byte {
	t.Helper()
	b, err := delivery.EncodeJob(&delivery.Job{
		V: 1, Category: c, Recipient: &delivery.Recipient{Phone: "+79161234567"},
		Content: &delivery.Content{SMS: &delivery.SMS{Text: "hello"}}, ExpiresAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	require.NoError(t, err)
	return b
}

func item(t *testing.T, n int, at time.Time) scheduler.Item {
	t.Helper()
	id := delivery.IDAt(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)) + delivery.ID(8*n)
	return scheduler.Item{
		Due:  delivery.Due{At: at, Kind: delivery.DueAgain, Message: id, ProfileID: -3, Turn: 2, Attempt: 1, Lane: delivery.LaneBulk},
		Body: body(t, delivery.CategoryTransactional),
	}
}

func setup(s scheduler.Store, w scheduler.Writer, change ...func(*scheduler.Config)) *scheduler.Scheduler {
	cfg := scheduler.Config{
		Topics:      map[delivery.Lane]string{delivery.LaneTransactional: transactional, delivery.LaneBulk: bulk},
		EventsTopic: events, DeadTopic: dead,
	}
	for _, f := range change {
		f(&cfg)
	}
	return scheduler.New(cfg, s, w)
}

func TestScheduler_WritesJobs(t *testing.T) {
	t.Parallel()
	now := time.Now()
	again, link, met, gone, broken := item(t, 0, now), item(t, 1, now), item(t, 2, now), item(t, 3, now), item(t, 4, now)
	link.Kind, link.Message, link.Link, link.Attempt = delivery.DueLink, link.Message.Message(1), 1, 0
	link.Skip, link.SkipFlags = link.Message.Message(0), delivery.UnlessRead.Flags()
	link.Flags = delivery.KindDelivered.Flag()
	met.Skip, met.SkipFlags, met.Flags = met.Message, delivery.UnlessDelivered.Flags(), delivery.KindRead.Flag()
	gone.Body, gone.Launch = nil, "autumn"
	broken.Body = []byte(`{"v":9}`)
	w := new(writer)
	n, err := setup(&table{rows: []scheduler.Item{again, link, met, gone, broken}}, w).Once(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, n)

	var topics []string
	for _, r := range w.records {
		topics = append(topics, r.Topic)
	}
	require.Equal(t, []string{bulk, transactional, dead, events, dead, events}, topics)
	job, err := delivery.DecodeJob(w.records[0].Value)
	require.NoError(t, err)
	require.Equal(t, &delivery.Internal{ID: again.Message, Turn: 2, Attempt: 1}, job.Herald)
	require.Equal(t, "+79161234567", string(w.records[0].Key))
	job, err = delivery.DecodeJob(w.records[1].Value)
	require.NoError(t, err)
	require.Equal(t, &delivery.Internal{ID: link.Message.Job(), Number: 1, Link: 1, Turn: 2}, job.Herald)
	var e delivery.Event
	require.NoError(t, delivery.DecodeEvent(w.records[3].Value, &e))
	require.Equal(t, delivery.KindFailed, e.Kind)
	require.Equal(t, "autumn", e.Launch)
	require.Equal(t, broken.Body, w.records[4].Value)
}

func TestScheduler_KeepsRowsUntilTheyAreWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, w := &table{}, &writer{err: errors.New("no broker")}
		for i := range 5 {
			s.rows = append(s.rows, item(t, i, time.Now().Add(time.Second)))
		}
		sched := setup(s, w, func(c *scheduler.Config) { c.Page = 2 })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); sched.Run(ctx) }()
		synctest.Wait()
		_, asks := s.state()
		require.Equal(t, 1, asks)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Zero(t, w.count())
		w.set(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, 5, w.count(), "full pages follow each other at once")
		rows, _ := s.state()
		require.Zero(t, rows)
		cancel()
		<-done
	})
}

func TestScheduler_Wakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		sched := setup(s, new(writer), func(c *scheduler.Config) { c.Every = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); sched.Run(ctx) }()
		synctest.Wait()
		sched.Wake()
		sched.Wake()
		synctest.Wait()
		_, asks := s.state()
		require.GreaterOrEqual(t, asks, 2)
		cancel()
		<-done
	})
}
