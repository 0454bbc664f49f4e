package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
)

const (
	soon = 15 * time.Second
	tick = 5 * time.Millisecond
)

// bundle is a topic with a producer. Its broker is the one of kafkatest.Broker, so these tests are also the contract
// that an external Kafka has to meet; fake is set only where the test decides the broker's faults.
type bundle struct {
	*testing.T
	fake     *kfake.Cluster
	brokers  []string
	client   *kafka.Client
	producer *kafka.Producer
	topic    string
	group    string
}

func setup(t *testing.T, partitions int) *bundle {
	t.Helper()
	return bundleOf(t, kafkatest.Broker(t), partitions)
}

// setupFake is a bundle on a broker of its own whose faults the test decides.
func setupFake(t *testing.T, partitions int) *bundle {
	t.Helper()
	fake := kafkatest.Fake(t)
	b := bundleOf(t, fake.ListenAddrs(), partitions)
	b.fake = fake
	return b
}

func bundleOf(t *testing.T, brokers []string, partitions int) *bundle {
	t.Helper()
	c := kafkatest.ClientOf(t, brokers)
	b := &bundle{T: t, brokers: brokers, client: c, topic: kafkatest.Topic(t, c, "jobs", partitions), group: c.Prefix() + ".group"}
	b.producer = kafka.NewProducer(c, kafka.ProducerConfig{Fast: true, CloseTimeout: time.Second})
	t.Cleanup(func() { _ = b.producer.Close() })
	return b
}

// session is d, or the shortest session that an external broker grants.
func (b *bundle) session(d time.Duration) time.Duration {
	if b.fake == nil && kafkatest.External() {
		return max(d, 6*time.Second)
	}
	return d
}

// write produces records with the values from to from+n-1, and the values as keys.
func (b *bundle) write(from, n int) {
	b.Helper()
	require.NoError(b, b.producer.Write(b.Context(), records(b.topic, from, n)))
}

func records(topic string, from, n int) []delivery.Record {
	list := make([]delivery.Record, n)
	for i := range list {
		v := fmt.Appendf(nil, "%06d", from+i)
		list[i] = delivery.Record{Topic: topic, Key: v, Value: v}
	}
	return list
}

// sink is a handler that remembers what it got.
type sink struct {
	mu    sync.Mutex
	got   []*delivery.Received
	after func(ctx context.Context, batch []*delivery.Received) // nil: nothing
}

func (s *sink) handle(ctx context.Context, batch []*delivery.Received) {
	s.mu.Lock()
	s.got = append(s.got, batch...)
	after := s.after
	s.mu.Unlock()
	if after != nil {
		after(ctx, batch)
	}
}

func (s *sink) list() []*delivery.Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *sink) len() int { return len(s.list()) }

// values counts how often each value came.
func (s *sink) values() map[string]int {
	m := map[string]int{}
	for _, r := range s.list() {
		m[string(r.Value)]++
	}
	return m
}

func finishAll(_ context.Context, batch []*delivery.Received) {
	for _, r := range batch {
		r.Done()
	}
}

// member is a running consumer.
type member struct {
	*kafka.Consumer
	cancel context.CancelFunc
	done   chan error
}

// consume runs a consumer; what the test leaves running is stopped with it.
func (b *bundle) consume(s *sink, change ...func(*kafka.ConsumerConfig)) *member {
	b.Helper()
	cfg := kafka.ConsumerConfig{
		Group: b.group, Topic: b.topic, Handler: s.handle, SessionTimeout: 3 * time.Second,
		StopTimeout: 300 * time.Millisecond, DrainTimeout: 300 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	cfg.SessionTimeout = b.session(cfg.SessionTimeout)
	c, err := kafka.NewConsumer(b.client, cfg)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	m := &member{Consumer: c, cancel: cancel, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() { m.done <- c.Run(ctx); close(ended) }()
	b.Cleanup(func() { cancel(); <-ended })
	return m
}

func (m *member) stop(t *testing.T) error {
	t.Helper()
	m.cancel()
	return m.wait(t)
}

func (m *member) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-m.done:
		return err
	case <-time.After(soon):
		require.Fail(t, "run does not end")
		return nil
	}
}

func (b *bundle) eventually(what string, cond func() bool) {
	b.Helper()
	require.Eventually(b, cond, soon, tick, what)
}

// committed is the sum of what the group committed over the partitions; -1 when it cannot be read now.
func (b *bundle) committed() int64 {
	m, err := b.client.CommittedOffsets(b.Context(), b.group, b.topic)
	if err != nil {
		return -1
	}
	var sum int64
	for _, v := range m {
		sum += max(0, v)
	}
	return sum
}
