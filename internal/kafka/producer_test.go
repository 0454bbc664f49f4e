package kafka_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
)

// scan counts how often each value is in a topic.
func scan(t *testing.T, c *kafka.Client, topic string) map[string]int {
	t.Helper()
	m := map[string]int{}
	require.NoError(t, c.Scan(t.Context(), topic, func(r delivery.Record) (bool, error) {
		m[string(r.Value)]++
		return true, nil
	}))
	return m
}

func TestProducer_RecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	at := time.UnixMilli(1_700_000_000_123)
	for _, want := range []delivery.Record{
		{Key: []byte("k"), Value: []byte(`{"v":1}`)},
		{Key: []byte("tombstone")},
		{Value: []byte("x")},
		{Key: []byte{0, 0xff}, Value: []byte("Привет \xff"), Headers: []delivery.Header{{Key: "a", Value: []byte("1")}, {Key: "empty"}}},
		{Key: []byte("large"), Value: bytes.Repeat([]byte("abc"), delivery.MaxJobBytes/3)},
		{Key: []byte("largest"), Value: bytes.Repeat([]byte("\x00"), kafka.MaxRecordBytes-200)},
	} {
		want.Topic, want.Time = b.topic, at
		require.NoError(t, b.producer.Write(t.Context(), []delivery.Record{want}))
		var got delivery.Record
		require.NoError(t, b.client.Scan(t.Context(), b.topic, func(r delivery.Record) (bool, error) {
			if bytes.Equal(r.Key, want.Key) {
				got = r
			}
			return true, nil
		}))
		back, err := b.client.ReadAt(t.Context(), b.topic, got.Partition, got.Offset)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(got, back))
		want.Partition, want.Offset = got.Partition, got.Offset
		for i, h := range got.Headers {
			if len(h.Value) == 0 {
				got.Headers[i].Value = nil
			}
		}
		require.Empty(t, cmp.Diff(want, got))
	}
	_, err := b.client.ReadAt(t.Context(), b.topic, 0, 1000)
	require.ErrorIs(t, err, kafka.ErrNotFound)
}

// TestProducer_KeysFindTheirPartition: placement is that of the Java client, so that foreign producers agree with ours.
func TestProducer_KeysFindTheirPartition(t *testing.T) {
	t.Parallel()
	b := setup(t, 12)
	list := []delivery.Record{{Topic: b.topic, Key: []byte("foobar"), Value: []byte("1")}, {Topic: b.topic, Key: []byte("21"), Value: []byte("2")}}
	require.NoError(t, b.producer.Write(t.Context(), list))
	// murmur2 of the Java client's own tests: "21" is -973932308, "foobar" is -790332482.
	want := map[string]int{"21": (-973932308 & 0x7fffffff) % 12, "foobar": (-790332482 & 0x7fffffff) % 12}
	require.NoError(t, b.client.Scan(t.Context(), b.topic, func(r delivery.Record) (bool, error) {
		require.Equal(t, want[string(r.Key)], r.Partition, string(r.Key))
		return true, nil
	}))
}

func TestProducer_RefusesOnlyWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	list := records(b.topic, 0, 6)
	list[1].Value = make([]byte, 1<<20)
	list[4].Topic = "no-such-topic"
	begin := time.Now()
	err := b.producer.Write(t.Context(), list)
	require.Less(t, time.Since(begin), 3*time.Second)
	var refused kafka.RecordErrors
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused, 2)
	require.Equal(t, []int{1, 4}, []int{refused[0].Index, refused[1].Index})
	require.ErrorIs(t, refused[0].Err, kafka.ErrTooLarge)
	require.ErrorIs(t, refused[1].Err, kafka.ErrUnknownTopic)
	require.ErrorIs(t, err, kafka.ErrTooLarge)
	require.Equal(t, map[string]int{"000000": 1, "000002": 1, "000003": 1, "000005": 1}, scan(t, b.client, b.topic))
	require.Equal(t, int64(4), b.producer.Stats().Written)
	require.NoError(t, b.producer.Write(t.Context(), nil))

	kafkatest.Topic(t, b.client, "late", 1)
	require.NoError(t, b.producer.Write(t.Context(), records(b.client.Prefix()+".late", 0, 1)), "a topic that was made a moment ago")
}

func TestProducer_Faults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		err        *kerr.Error
		n          int
		duplicates bool
	}{
		{"leader moves", kerr.NotLeaderForPartition, 3, false},
		{"one partition fails", kerr.NotEnoughReplicas, 2, false},
		{"error after the append", kerr.NotEnoughReplicasAfterAppend, 2, true},
		{"batch too large", kerr.MessageTooLarge, 3, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setupFake(t, 2)
			h := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: tc.err, Count: tc.n, Topic: b.topic, Partitions: []int32{1}})
			err := b.producer.Write(t.Context(), records(b.topic, 0, 40))
			require.Equal(t, tc.n, h.Hits())
			got := scan(t, b.client, b.topic)
			require.NoError(t, err)
			require.Len(t, got, 40)
			more := 0
			for _, n := range got {
				more += n - 1
			}
			require.Equal(t, tc.duplicates, more > 0)
		})
	}
}

// TestProducer_BrokerTakesLess: of a batch that is too large for the broker, only what is too large alone is refused.
func TestProducer_BrokerTakesLess(t *testing.T) {
	t.Parallel()
	fake := kafkatest.Fake(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	b := bundleOf(t, fake.ListenAddrs(), 1)
	list := records(b.topic, 0, 40)
	for i := range list {
		list[i].Value = noise(2000)
	}
	list[7].Value, list[31].Value = noise(30_000), noise(25_000)
	err := b.producer.Write(t.Context(), list)
	var refused kafka.RecordErrors
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, kafka.ErrTooLarge)
	require.Len(t, refused, 2)
	require.Equal(t, 7+31, refused[0].Index+refused[1].Index)
	require.Len(t, scan(t, b.client, b.topic), 38)
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestProducer_ContextEnds(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.write(0, 1)
	h := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.producer.Write(ctx, records(b.topic, 1, 3)) }()
	require.NoError(t, h.Wait(t.Context(), 1))
	cancel()
	err := <-done
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "3 records may or may not be written")
}

func TestProducer_CloseWhileOthersWrite(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	var writers sync.WaitGroup
	var mu sync.Mutex
	acked := 0
	for i := range 8 {
		writers.Go(func() {
			for n := 0; ; n++ {
				err := b.producer.Write(t.Context(), records(b.topic, i*10000+n, 1))
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					require.ErrorIs(t, err, kafka.ErrClosed)
					return
				}
				mu.Lock()
				acked++
				mu.Unlock()
			}
		})
	}
	require.Eventually(t, func() bool { return b.producer.Stats().Written > 50 }, soon, tick)
	require.NoError(t, b.producer.Close())
	writers.Wait()
	require.NoError(t, b.producer.Close())
	require.ErrorIs(t, b.producer.Write(t.Context(), records(b.topic, 0, 1)), kafka.ErrClosed)
	require.Len(t, scan(t, b.client, b.topic), acked)
}

// TestProducer_CloseCutsWrites: a broker that does not answer does not hold up the end of the process.
func TestProducer_CloseCutsWrites(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.write(0, 1)
	h := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	p := kafka.NewProducer(b.client, kafka.ProducerConfig{CloseTimeout: 100 * time.Millisecond})
	done := make(chan error, 1)
	go func() { done <- p.Write(t.Context(), records(b.topic, 1, 3)) }()
	require.NoError(t, h.Wait(t.Context(), 1))
	begin := time.Now()
	_ = p.Close()
	require.ErrorIs(t, <-done, kafka.ErrClosed)
	require.Less(t, time.Since(begin), 2*time.Second)
}
