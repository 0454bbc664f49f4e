package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/herald-gateway/herald/delivery"
)

// foreign is a producer of another make.
func foreign(t *testing.T, b *bundle, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.brokers...), kgo.DefaultProduceTopic(b.topic)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func foreignRecords(from, n int) []*kgo.Record {
	list := make([]*kgo.Record, n)
	for i := range list {
		v := fmt.Appendf(nil, "%06d", from+i)
		list[i] = &kgo.Record{Key: v, Value: v}
	}
	return list
}

// readsToTheEnd says that a group reads n different records and commits up to the very end of the log.
func (b *bundle) readsToTheEnd(n int) *sink {
	b.Helper()
	s := &sink{after: finishAll}
	m := b.consume(s)
	ends, err := b.client.EndOffsets(b.Context(), b.topic)
	require.NoError(b, err)
	var end int64
	for _, v := range ends {
		end += v
	}
	b.eventually("read to the end", func() bool { return len(s.values()) == n && b.committed() == end })
	require.Zero(b, m.Stats().Lag())
	require.NoError(b, m.stop(b.T))
	require.Len(b, scan(b.T, b.client, b.topic), n)
	return s
}

func TestCompat_CodecsAndPlacement(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for i, codec := range codecs {
		c := foreign(t, b, kgo.ProducerBatchCompression(codec))
		require.NoError(t, c.ProduceSync(t.Context(), foreignRecords(i*200, 200)...).FirstErr())
	}
	b.write(0, 1000) // the same keys from us
	s := b.readsToTheEnd(1000)
	where := map[string]int{}
	for _, r := range s.list() {
		p, known := where[string(r.Key)]
		require.True(t, !known || p == r.Partition, "both producers put a key into the same partition")
		where[string(r.Key)] = r.Partition
	}
}

// TestCompat_Transactions: the marks that end a transaction are no records, and reading passes them.
func TestCompat_Transactions(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	c := foreign(t, b, kgo.TransactionalID(b.client.Prefix()))
	for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		require.NoError(t, c.BeginTransaction())
		require.NoError(t, c.ProduceSync(t.Context(), foreignRecords(i*50, 50)...).FirstErr())
		require.NoError(t, c.EndTransaction(t.Context(), end))
	}
	b.readsToTheEnd(150)
	k := newBook()
	_, stop := b.follow(k)
	b.eventually("followed", func() bool { return k.len() == 150 })
	require.NoError(t, stop())
	k.inOrder(t, b)
}

// TestCompat_Compaction: offsets that are gone in the middle and at the end of batches are passed.
func TestCompat_Compaction(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.topic = b.client.Prefix() + ".compact"
	require.NoError(t, b.fake.CreateTopic(b.topic, 1, map[string]string{"cleanup.policy": "compact"}))
	c := foreign(t, b)
	for range 5 {
		require.NoError(t, c.ProduceSync(t.Context(), foreignRecords(0, 20)...).FirstErr())
		b.write(10, 20)
	}
	b.fake.Compact()
	s := &sink{after: finishAll}
	b.consume(s)
	b.write(100, 1)
	b.eventually("the last is read", func() bool { return s.values()["000100"] > 0 && b.committed() == 201 })
	require.Len(t, s.values(), 31)
	require.Less(t, s.len(), 200, "something was compacted")
	last := int64(-1)
	for _, r := range s.list() {
		require.Greater(t, r.Offset, last)
		last = r.Offset
	}
}

// TestCompat_MiddleOfABatch: a position inside a batch gets what follows and nothing before.
func TestCompat_MiddleOfABatch(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	c := foreign(t, b, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	require.NoError(t, c.ProduceSync(t.Context(), foreignRecords(0, 300)...).FirstErr())
	k := newBook()
	k.next[0] = 123
	_, stop := b.follow(k)
	b.eventually("the rest", func() bool { return k.len() == 177 })
	require.NoError(t, stop())
	require.Equal(t, "000123", k.values[0][0])
	var got delivery.Record
	got, err := b.client.ReadAt(t.Context(), b.topic, 0, 200)
	require.NoError(t, err)
	require.Equal(t, "000200", string(got.Value))
	require.WithinDuration(t, time.Now(), got.Time, time.Minute)
}
