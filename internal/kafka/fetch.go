package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/herald-gateway/herald/delivery"
)

const (
	// fetchBytes is what one fetch asks for. It is never below the largest batch that a producer may send.
	fetchBytes = 5 << 18
	// decodedBytes bounds what one fetch keeps in memory; compressed batches are several times larger than their answer.
	decodedBytes = 8 << 20
	fetchWait    = 500 * time.Millisecond
	fetchGrace   = 10 * time.Second
)

// fetcher reads one partition from a position on. It keeps one connection to the leader and opens it again after any
// fault. It is used by one goroutine.
type fetcher struct {
	client    *Client
	topic     string
	partition int
	pos       int64 // negative: the first record that is kept
	conn      *kafkago.Conn
	release   func() bool // ends the watch that closes conn with the context
	high      int64       // the end of the log, as the last fetch saw it
}

func (f *fetcher) close() {
	if f.conn != nil {
		f.release()
		_ = f.conn.Close()
		f.conn = nil
	}
}

// open connects to the leader. When ctx ends, the connection is closed: nothing else cuts a long poll short.
func (f *fetcher) open(ctx context.Context) error {
	if f.conn != nil {
		return nil
	}
	dctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := f.client.dialPartition(dctx, f.topic, f.partition)
	if err != nil {
		return fmt.Errorf("connect to the leader of %s/%d: %w", f.topic, f.partition, err)
	}
	f.conn = conn
	f.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if f.pos >= 0 {
		return nil
	}
	first, _, err := f.bounds(ctx)
	if err != nil {
		f.close()
		return err
	}
	f.pos = first
	return nil
}

// bounds reads the first offset that is kept and the one after the last.
func (f *fetcher) bounds(ctx context.Context) (first, last int64, err error) {
	if err := f.open(ctx); err != nil {
		return 0, 0, err
	}
	_ = f.conn.SetDeadline(time.Now().Add(requestTimeout))
	if first, last, err = f.conn.ReadOffsets(); err != nil {
		f.close()
		return 0, 0, fmt.Errorf("read the offsets of %s/%d: %w", f.topic, f.partition, err)
	}
	return first, last, nil
}

// fetch waits up to wait for records and appends those that came, at most about most of them. The position moves behind
// them. After an error the connection is opened anew at the next call. kafkago.OffsetOutOfRange is left to the caller.
func (f *fetcher) fetch(ctx context.Context, dst []delivery.Record, most int, wait time.Duration) (
	[]delivery.Record, error,
) {
	if err := f.open(ctx); err != nil {
		return dst, err
	}
	if _, err := f.conn.Seek(f.pos, kafkago.SeekAbsolute|kafkago.SeekDontCheck); err != nil {
		f.close()
		return dst, fmt.Errorf("seek in %s/%d: %w", f.topic, f.partition, err)
	}
	_ = f.conn.SetDeadline(time.Now().Add(wait + fetchGrace))
	batch := f.conn.ReadBatchWith(kafkago.ReadBatchConfig{MinBytes: 1, MaxBytes: fetchBytes, MaxWait: wait})
	dst, err := f.read(batch, dst, most)
	if batch.Err() == nil || errors.Is(batch.Err(), io.EOF) {
		f.high = batch.HighWaterMark()
	}
	next := batch.Offset()
	if cerr := batch.Close(); err == nil {
		err = cerr
	}
	// The end of a batch, and an empty one, is told as io.EOF, or as RequestTimedOut when all of wait has passed. Neither
	// is a fault: a connection that hangs fails by its own deadline, with another error.
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, kafkago.RequestTimedOut) {
		f.pos = max(f.pos, next)
		return dst, nil
	}
	f.close()
	return dst, fmt.Errorf("fetch from %s/%d: %w", f.topic, f.partition, err)
}

// read takes the records out of a batch. What was taken before an error stays taken.
func (f *fetcher) read(batch *kafkago.Batch, dst []delivery.Record, most int) ([]delivery.Record, error) {
	size := 0
	for n := 0; n < most && size < decodedBytes; n++ {
		m, err := batch.ReadMessage()
		if err != nil {
			return dst, err
		}
		if m.Offset < f.pos { // a compressed batch begins earlier than what was asked for
			n--
			continue
		}
		f.pos = m.Offset + 1
		if isMarker(&m) {
			continue
		}
		size += len(m.Key) + len(m.Value)
		dst = append(dst, fromMessage(&m, f.topic, f.partition))
	}
	return dst, nil
}

// isMarker recognises the control records that end a transaction of a foreign producer, which the library hands out
// like any other: a key of two 16-bit numbers (version 0, abort or commit) and a value of six bytes. No JSON looks
// like that.
func isMarker(m *kafkago.Message) bool {
	k, v := m.Key, m.Value
	return len(k) == 4 && len(v) == 6 && k[0]|k[1]|k[2] == 0 && k[3] <= 1 && v[0]|v[1] == 0
}

func fromMessage(m *kafkago.Message, topic string, partition int) delivery.Record {
	r := delivery.Record{Topic: topic, Partition: partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Time: m.Time}
	if len(m.Headers) > 0 {
		r.Headers = make([]delivery.Header, len(m.Headers))
		for i, h := range m.Headers {
			r.Headers[i] = delivery.Header{Key: h.Key, Value: h.Value}
		}
	}
	return r
}
