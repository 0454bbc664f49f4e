package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// EndOffsets tells for each partition of a topic the offset that its next record will get.
func (c *Client) EndOffsets(ctx context.Context, topic string) (map[int]int64, error) {
	return c.offsets(ctx, topic, kafkago.LastOffset)
}

// FirstOffsets tells for each partition of a topic the offset of the oldest record that is kept.
func (c *Client) FirstOffsets(ctx context.Context, topic string) (map[int]int64, error) {
	return c.offsets(ctx, topic, kafkago.FirstOffset)
}

// offsets repeats a few times: leaders move, and what the library remembers of the cluster may be old.
func (c *Client) offsets(ctx context.Context, topic string, which int64) (map[int]int64, error) {
	pace := pace{first: 100 * time.Millisecond, most: time.Second}
	for try := 1; ; try++ {
		m, err := c.listOffsets(ctx, topic, which)
		if err == nil {
			return m, nil
		}
		if try == 4 || errors.Is(err, ErrUnknownTopic) || pace.wait(ctx) != nil {
			return nil, fmt.Errorf("read the offsets of %s: %w", topic, err)
		}
		c.transport.CloseIdleConnections()
	}
}

func (c *Client) listOffsets(ctx context.Context, topic string, which int64) (map[int]int64, error) {
	list, err := c.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	ask := make([]kafkago.OffsetRequest, len(list))
	for i, p := range list {
		ask[i] = kafkago.OffsetRequest{Partition: p.ID, Timestamp: which}
	}
	res, err := c.admin.ListOffsets(ctx, &kafkago.ListOffsetsRequest{
		Topics: map[string][]kafkago.OffsetRequest{topic: ask},
	})
	if err != nil {
		return nil, err
	}
	m := make(map[int]int64, len(list))
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Partition, p.Error)
		}
		m[p.Partition] = p.LastOffset
		if which == kafkago.FirstOffset {
			m[p.Partition] = p.FirstOffset
		}
	}
	if len(m) != len(list) {
		return nil, fmt.Errorf("%d of %d partitions answered", len(m), len(list))
	}
	return m, nil
}

// CommittedOffsets tells for each partition of a topic what a group has committed; -1 where it has not yet.
func (c *Client) CommittedOffsets(ctx context.Context, group, topic string) (map[int]int64, error) {
	list, err := c.partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("read the offsets of group %s: %w", group, err)
	}
	ids := make([]int, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	res, err := c.admin.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: ids}})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafkago.GroupIdNotFound) { // brokers differ in whether a group that never was is an error
		err, res = nil, &kafkago.OffsetFetchResponse{}
	}
	if err != nil {
		return nil, fmt.Errorf("read the offsets of group %s: %w", group, err)
	}
	m := make(map[int]int64, len(list))
	for _, id := range ids {
		m[id] = -1
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("read the offsets of group %s, partition %d: %w", group, p.Partition, p.Error)
		}
		m[p.Partition] = p.CommittedOffset
	}
	return m, nil
}
