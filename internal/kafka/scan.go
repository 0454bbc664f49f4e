package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/herald-gateway/herald/delivery"
)

const scanRecords = 2000

// Scan reads every partition of a topic from its first record to where it ended when Scan began, partition by
// partition, without a group. It stops when fn says that it wants no more, or returns an error, which Scan returns.
func (c *Client) Scan(ctx context.Context, topic string, fn func(delivery.Record) (more bool, err error)) error {
	ends, err := c.EndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	parts := make([]int, 0, len(ends))
	for p := range ends {
		parts = append(parts, p)
	}
	slices.Sort(parts)
	for _, p := range parts {
		if more, err := c.scanPartition(ctx, topic, p, ends[p], fn); err != nil || !more {
			return err
		}
	}
	return nil
}

func (c *Client) scanPartition(ctx context.Context, topic string, partition int, end int64,
	fn func(delivery.Record) (bool, error),
) (more bool, err error) {
	f := &fetcher{client: c, topic: topic, partition: partition, pos: -1}
	defer f.close()
	retry := pace{first: fetchRetryFirst, most: fetchRetryMost}
	var buf []delivery.Record
	for faults, empty := 0, 0; f.pos < end && end > 0 && empty < 10; {
		buf, err = f.fetch(ctx, buf[:0], scanRecords, fetchWait)
		switch {
		case err == nil:
			faults, empty = 0, empty+1 // what remains may be offsets without a record
			retry.reset()
		case errors.Is(err, kafkago.OffsetOutOfRange): // retention was faster
			f.pos = -1
		case faults >= 5 || retry.wait(ctx) != nil:
			return false, err
		default:
			faults++
		}
		if len(buf) > 0 {
			empty = 0
		}
		for _, r := range buf {
			if r.Offset >= end {
				return true, nil
			}
			if more, err := fn(r); err != nil || !more {
				return false, err
			}
		}
	}
	return true, nil
}

// ReadAt reads the record at a position. The error wraps ErrNotFound when there is none.
func (c *Client) ReadAt(ctx context.Context, topic string, partition int, offset int64) (delivery.Record, error) {
	at := fmt.Sprintf("%s/%d at %d", topic, partition, offset)
	f := &fetcher{client: c, topic: topic, partition: partition, pos: offset}
	defer f.close()
	first, last, err := f.bounds(ctx)
	if err != nil {
		return delivery.Record{}, fmt.Errorf("read %s: %w", at, err)
	}
	if offset < first || offset >= last {
		return delivery.Record{}, fmt.Errorf("read %s: %w", at, ErrNotFound)
	}
	list, err := f.fetch(ctx, nil, 1, fetchWait)
	switch {
	case err != nil:
		return delivery.Record{}, fmt.Errorf("read %s: %w", at, err)
	case len(list) == 0 || list[0].Offset != offset:
		return delivery.Record{}, fmt.Errorf("read %s: %w", at, ErrNotFound)
	}
	return list[0], nil
}
