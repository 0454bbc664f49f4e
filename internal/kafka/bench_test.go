package kafka_test

import (
	"bytes"
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
)

// jobs are records as large as a job with its macros.
func jobs(topic string, from, n int) []delivery.Record {
	list := records(topic, from, n)
	for i := range list {
		list[i].Value = bytes.Repeat([]byte(`{"name":"`+strconv.Itoa((from+i)*7919)+`","a":1},`), 40)[:542]
	}
	return list
}

// BenchmarkProduce writes slices of 500 from 8 goroutines; one operation is one record. The broker runs in the process.
func BenchmarkProduce(b *testing.B) {
	c := kafkatest.Client(b)
	topic := kafkatest.Topic(b, c, "bench", 4)
	p := kafka.NewProducer(c, kafka.ProducerConfig{})
	b.Cleanup(func() { _ = p.Close() })
	b.ReportAllocs()
	b.SetParallelism(8)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if i := n.Add(1); i%500 == 0 {
				if err := p.Write(b.Context(), jobs(topic, int(i), 500)); err != nil {
					b.Error(err)
				}
			}
		}
	})
}

// BenchmarkConsume reads what was written before; one operation is one record, finished at once.
func BenchmarkConsume(b *testing.B) {
	c := kafkatest.Client(b)
	topic := kafkatest.Topic(b, c, "bench", 4)
	p := kafka.NewProducer(c, kafka.ProducerConfig{})
	b.Cleanup(func() { _ = p.Close() })
	for i := 0; i < b.N; i += 2000 {
		require.NoError(b, p.Write(b.Context(), jobs(topic, i, min(2000, b.N-i))))
	}
	var n atomic.Int64
	all := make(chan struct{})
	k, err := kafka.NewConsumer(c, kafka.ConsumerConfig{
		Group: c.Prefix(), Topic: topic,
		Handler: func(ctx context.Context, batch []*delivery.Received) {
			finishAll(ctx, batch)
			if n.Add(int64(len(batch))) >= int64(b.N) {
				close(all)
			}
		},
	})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	go func() { defer close(ended); _ = k.Run(ctx) }()
	<-all
	b.StopTimer()
	cancel()
	<-ended
}
