package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/herald-gateway/herald/delivery"
)

// Topic is a topic as it should be.
type Topic struct {
	Name       string
	Partitions int
	Retention  time.Duration // how long records are kept
	Replicas   int           // 0: three, or as many as there are brokers
}

// JobsTopic is the name of a lane's topic.
func JobsTopic(prefix string, lane delivery.Lane) string { return prefix + ".jobs." + lane.String() }

// EventsTopic is the name of the topic of events.
func EventsTopic(prefix string) string { return prefix + ".events" }

// DeadTopic is the name of the topic of records that nobody could read.
func DeadTopic(prefix string) string { return prefix + ".dead" }

// TopicName is the name of a lane's topic.
func (c *Client) TopicName(lane delivery.Lane) string { return JobsTopic(c.cfg.Prefix, lane) }

// EventsTopic is the name of the topic of events.
func (c *Client) EventsTopic() string { return EventsTopic(c.cfg.Prefix) }

// DeadTopic is the name of the topic of records that nobody could read.
func (c *Client) DeadTopic() string { return DeadTopic(c.cfg.Prefix) }

const day = 24 * time.Hour

// Topics lists Herald's topics: small for an embedded broker, else as an installation on a cluster starts. Jobs are
// kept for less than the seven days for which their keys are remembered: a group that lost its offsets reads
// everything again, and only the keys make that a no-op. The number of partitions of the events never changes
// afterwards, because all events of a job stay in one partition.
func Topics(prefix string, embedded bool) []Topic {
	n := []int{12, 24, 12, 3}
	if embedded {
		n = []int{4, 4, 4, 1}
	}
	return []Topic{
		{Name: JobsTopic(prefix, delivery.LaneTransactional), Partitions: n[0], Retention: 2 * day},
		{Name: JobsTopic(prefix, delivery.LaneBulk), Partitions: n[1], Retention: 5 * day},
		{Name: EventsTopic(prefix), Partitions: n[2], Retention: 30 * day},
		{Name: DeadTopic(prefix), Partitions: n[3], Retention: 30 * day},
	}
}

// configs are the settings of a topic. Retention is always given: a broker may have another default, and the embedded
// one deletes nothing unless a topic says so.
func (t Topic) configs(replicas int) map[string]string {
	m := map[string]string{
		"cleanup.policy":   "delete",
		"compression.type": "lz4",
		"retention.ms":     strconv.FormatInt(t.Retention.Milliseconds(), 10),
	}
	if replicas >= 3 {
		m["min.insync.replicas"] = "2"
	}
	return m
}

// EnsureTopics makes the topics that do not exist and waits until each partition has a leader. Topics that exist are
// not changed; where they differ from what they should be, it is logged. A broker that is not there yet is waited for
// until ctx ends.
func (c *Client) EnsureTopics(ctx context.Context, topics []Topic) error {
	pace := pace{first: 100 * time.Millisecond, most: 2 * time.Second}
	for _, t := range topics {
		for {
			err := c.ensureTopic(ctx, t)
			if err == nil {
				break
			}
			if fatalTopic(err) {
				return fmt.Errorf("create topic %s: %w", t.Name, err)
			}
			c.log.DebugContext(ctx, "topic is not ready", "topic", t.Name, "err", err)
			if pace.wait(ctx) != nil {
				return fmt.Errorf("create topic %s: %w", t.Name, errors.Join(ctx.Err(), err))
			}
		}
	}
	return nil
}

func fatalTopic(err error) bool {
	for _, e := range []kafkago.Error{
		kafkago.InvalidTopic, kafkago.InvalidReplicationFactor, kafkago.InvalidPartitionNumber, kafkago.InvalidConfiguration,
		kafkago.PolicyViolation, kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.InvalidRequest,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (c *Client) ensureTopic(ctx context.Context, t Topic) error {
	list, err := c.partitions(ctx, t.Name)
	switch {
	case err == nil && len(list) > 0:
		c.logDrift(ctx, t, list)
		return nil
	case err != nil && !errors.Is(err, ErrUnknownTopic):
		return err
	}
	replicas := t.Replicas
	if replicas == 0 {
		m, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{}})
		if err != nil {
			return err
		}
		replicas = min(3, max(1, len(m.Brokers)))
	}
	cfg := kafkago.TopicConfig{Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: replicas}
	for k, v := range t.configs(replicas) {
		cfg.ConfigEntries = append(cfg.ConfigEntries, kafkago.ConfigEntry{ConfigName: k, ConfigValue: v})
	}
	res, err := c.admin.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{cfg}})
	if err != nil {
		return err
	}
	if err := res.Errors[t.Name]; err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
		return err
	}
	list, err = c.partitions(ctx, t.Name)
	if err == nil && len(list) == 0 {
		err = kafkago.LeaderNotAvailable
	}
	return err
}

// logDrift tells how an existing topic differs from what it should be. Changing it is the operator's decision.
func (c *Client) logDrift(ctx context.Context, t Topic, list []kafkago.Partition) {
	if len(list) != t.Partitions {
		c.log.InfoContext(ctx, "topic has another number of partitions", "topic", t.Name,
			"partitions", len(list), "expected", t.Partitions)
	}
	res, err := c.admin.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: t.Name}},
	})
	if err != nil {
		c.log.WarnContext(ctx, "topic settings cannot be read", "topic", t.Name, "err", err)
		return
	}
	want := t.configs(len(list[0].Replicas))
	for _, r := range res.Resources {
		for _, e := range r.ConfigEntries {
			if v, ok := want[e.ConfigName]; ok && v != e.ConfigValue {
				c.log.WarnContext(ctx, "topic setting differs", "topic", t.Name, "setting", e.ConfigName,
					"value", e.ConfigValue, "expected", v)
			}
		}
	}
}
