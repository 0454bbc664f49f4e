package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
)

var errFenced = errors.New("the position moved")

// book keeps positions and records like a database: one transaction compares the position, stores and moves it.
type book struct {
	mu      sync.Mutex
	next    map[int]int64
	values  map[int][]string
	sizes   []int
	fences  int
	faults  int   // so many batches fail before they are stored
	unknown error // of Position
}

func newBook() *book { return &book{next: map[int]int64{}, values: map[int][]string{}} }

func (k *book) position(_ context.Context, p int) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next, ok := k.next[p]
	if !ok {
		next = -1
	}
	return next, k.unknown
}

func (k *book) handle(_ context.Context, p int, batch []delivery.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.faults > 0 {
		k.faults--
		return errors.New("no database")
	}
	if next, ok := k.next[p]; ok && next != batch[0].Offset {
		k.fences++
		return errFenced
	}
	for _, r := range batch {
		k.values[p] = append(k.values[p], string(r.Value))
	}
	k.next[p] = batch[len(batch)-1].Offset + 1
	k.sizes = append(k.sizes, len(batch))
	return nil
}

func (k *book) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, v := range k.values {
		n += len(v)
	}
	return n
}

// inOrder says that each partition holds every record once and in the order of the log.
func (k *book) inOrder(t *testing.T, b *bundle) {
	t.Helper()
	want := map[int][]string{}
	require.NoError(t, b.client.Scan(t.Context(), b.topic, func(r delivery.Record) (bool, error) {
		want[r.Partition] = append(want[r.Partition], string(r.Value))
		return true, nil
	}))
	k.mu.Lock()
	defer k.mu.Unlock()
	require.Equal(t, want, k.values)
}

// follow runs a follower until the test ends or stop is called.
func (b *bundle) follow(k *book, change ...func(*kafka.FollowerConfig)) (f *kafka.Follower, stop func() error) {
	b.Helper()
	cfg := kafka.FollowerConfig{
		Group: b.group, Topic: b.topic, Position: k.position, Handle: k.handle, SessionTimeout: 2 * time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	cfg.SessionTimeout = b.session(cfg.SessionTimeout)
	f, err := kafka.NewFollower(b.client, cfg)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() { done <- f.Run(ctx); close(ended) }()
	b.Cleanup(func() { cancel(); <-ended })
	return f, func() error { cancel(); return <-done }
}

// lost waits for the end of a follower that ends by itself.
func (b *bundle) lost(k *book, change ...func(*kafka.FollowerConfig)) error {
	b.Helper()
	cfg := kafka.FollowerConfig{Group: b.group, Topic: b.topic, Position: k.position, Handle: k.handle, SessionTimeout: time.Second}
	for _, c := range change {
		c(&cfg)
	}
	cfg.SessionTimeout = b.session(cfg.SessionTimeout)
	f, err := kafka.NewFollower(b.client, cfg)
	require.NoError(b, err)
	ctx, cancel := context.WithTimeout(b.Context(), soon)
	defer cancel()
	return f.Run(ctx)
}

func TestFollower_OrderAndBatches(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	b.write(0, 3000)
	k := newBook()
	k.faults = 2
	f, stop := b.follow(k)
	b.eventually("all", func() bool { return k.len() == 3000 })
	b.write(3000, 100)
	b.eventually("all", func() bool { return k.len() == 3100 })
	require.EqualValues(t, 2, f.Stats().HandleFaults)
	k.inOrder(t, b)
	k.mu.Lock()
	require.LessOrEqual(t, len(k.sizes), 14, "large batches")
	for _, n := range k.sizes {
		require.LessOrEqual(t, n, 500)
	}
	k.mu.Unlock()
	b.eventually("shown in kafka", func() bool { return b.committed() == 3100 })
	require.NoError(t, stop())
	require.Zero(t, k.fences)

	// The positions decide, not what Kafka knows of the group: without them everything is read again.
	again := newBook()
	_, stop = b.follow(again)
	b.eventually("replay", func() bool { return again.len() == 3100 })
	require.NoError(t, stop())
	again.inOrder(t, b)
}

func TestFollower_Ends(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.write(0, 10)
	k := newBook()
	k.unknown = fmt.Errorf("cluster a is not cluster b: %w", kafka.ErrLost)
	require.ErrorIs(t, b.lost(k), kafka.ErrLost)
	require.ErrorContains(t, b.lost(k), "cluster a is not cluster b")

	k = newBook()
	k.next[0] = 11
	require.ErrorIs(t, b.lost(k), kafka.ErrLost)
	require.Zero(t, k.len())

	require.NoError(t, b.fake.DeleteRecords(b.topic, 0, 4))
	k = newBook()
	k.next[0] = 1
	err := b.lost(k)
	var gap *kafka.GapError
	require.ErrorAs(t, err, &gap)
	require.Equal(t, kafka.GapError{Topic: b.topic, From: 1, To: 4}, *gap)
	require.Zero(t, k.len())

	delete(k.next, 0)
	k.faults = 1
	_, stop := b.follow(k)
	b.eventually("a new one begins at the first that is kept", func() bool { return k.len() == 6 })
	require.NoError(t, stop())
}

func TestFollower_AllowGap(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.write(0, 10)
	require.NoError(t, b.fake.DeleteRecords(b.topic, 0, 4))
	got := make(chan int64, 1)
	f, stop := b.follow(newBook(), func(c *kafka.FollowerConfig) {
		c.AllowGap = true
		c.Position = func(context.Context, int) (int64, error) { return 1, nil }
		c.Handle = func(_ context.Context, _ int, batch []delivery.Record) error { got <- batch[0].Offset; return nil }
	})
	require.EqualValues(t, 4, <-got)
	require.EqualValues(t, 3, f.Stats().Skipped)
	require.NoError(t, stop())
}

// TestFollower_Zombie: a member that was slow beyond its drain finds its position moved and stores nothing.
func TestFollower_Zombie(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	k := newBook()
	entered, release := make(chan struct{}), make(chan struct{})
	f1, err := kafka.NewFollower(b.client, kafka.FollowerConfig{
		Group: b.group, Topic: b.topic, Position: k.position, SessionTimeout: b.session(time.Second), DrainTimeout: 50 * time.Millisecond,
		Handle: func(ctx context.Context, p int, batch []delivery.Record) error {
			entered <- struct{}{}
			<-release
			return k.handle(ctx, p, batch)
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f1.Run(ctx) }()
	b.write(0, 10)
	<-entered
	cancel()
	require.Error(t, <-done, "it says that a batch did not return")
	_, stop := b.follow(k)
	b.eventually("the next one reads", func() bool { return k.len() == 10 })
	close(release)
	b.eventually("fenced", func() bool { k.mu.Lock(); defer k.mu.Unlock(); return k.fences == 1 })
	b.write(10, 10)
	b.eventually("and goes on", func() bool { return k.len() == 20 })
	require.NoError(t, stop())
	k.inOrder(t, b)
}

// TestFollower_Churn: members come and go; every record is stored once and in order.
func TestFollower_Churn(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	k := newBook()
	_, stop1 := b.follow(k)
	b.write(0, 300)
	_, stop2 := b.follow(k)
	b.write(300, 300)
	b.eventually("half", func() bool { return k.len() >= 300 })
	require.NoError(t, stop1())
	b.write(600, 300)
	_, stop3 := b.follow(k)
	b.eventually("all", func() bool { return k.len() == 900 })
	require.NoError(t, stop2())
	b.write(900, 100)
	b.eventually("all", func() bool { return k.len() == 1000 })
	require.NoError(t, stop3())
	k.inOrder(t, b)
}
