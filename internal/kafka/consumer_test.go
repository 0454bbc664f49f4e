package kafka_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
)

func TestConsumer_CommitsTheLowestUnfinished(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.write(0, 20)
	s := &sink{}
	m := b.consume(s)
	b.eventually("all read", func() bool { return s.len() == 20 })
	for _, i := range []int{19, 1, 2, 3, 1, 3} { // any order, twice
		s.list()[i].Done()
	}
	require.Equal(t, 16, m.Stats().InFlight)
	require.Positive(t, m.Stats().OldestAge)
	require.EqualValues(t, 20, m.Stats().Lag())
	s.list()[0].Done()
	b.eventually("0 to 3 committed", func() bool { return b.committed() == 4 })
	for _, i := range []int{4, 5, 6} {
		s.list()[i].Done()
	}
	require.NoError(t, m.stop(t), "13 are unfinished: the drain gives up on them")
	require.EqualValues(t, 7, b.committed(), "the last commit is made before the group is left")

	again := &sink{after: finishAll}
	b.consume(again)
	b.eventually("the rest comes again", func() bool { return again.len() == 13 && b.committed() == 20 })
	require.Equal(t, "000007", string(again.list()[0].Value))
}

func TestConsumer_LateDoneCommitsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.write(0, 10)
	var late []*delivery.Received
	old := &sink{}
	m := b.consume(old, func(c *kafka.ConsumerConfig) { c.MaxInFlight, c.StopTimeout = 10, 50*time.Millisecond })
	b.eventually("read", func() bool { return old.len() == 10 })
	late = old.list()
	require.NoError(t, m.stop(t))

	s := &sink{}
	second := b.consume(s)
	b.eventually("read again", func() bool { return s.len() == 10 })
	require.Equal(t, 10, m.Stats().InFlight, "slots of the ended generation are still held")
	for _, r := range late {
		r.Done()
	}
	require.Zero(t, m.Stats().InFlight)
	s.list()[0].Done()
	b.eventually("one committed", func() bool { return b.committed() == 1 })
	require.NoError(t, second.stop(t))
	require.EqualValues(t, 1, b.committed())
}

func TestConsumer_Limits(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	b.write(0, 200)
	s := &sink{}
	m := b.consume(s, func(c *kafka.ConsumerConfig) { c.MaxInFlight, c.MaxPerPart, c.MaxBatch = 30, 20, 7 })
	b.eventually("as many as may be in flight", func() bool { return s.len() == 30 })
	b.eventually("the others wait", func() bool { return m.Stats().Waiting == 170 })
	require.Equal(t, [2]int{30, 20}, [2]int{m.Stats().MaxInFlight, m.Stats().MaxPerPart})
	first := s.list()[0]
	rest := 0
	for _, r := range s.list() {
		if r.Partition == first.Partition && r != first {
			r.Done() // behind an unfinished one: free for others, but this partition stays where it is
			rest++
		}
	}
	b.eventually("the other partition goes on, up to its limit", func() bool { return s.len() == 40 })
	for _, p := range m.Stats().Assigned {
		require.LessOrEqual(t, p.Pending, 20)
	}
	s.mu.Lock()
	s.after = finishAll
	s.mu.Unlock()
	finishAll(t.Context(), s.list())
	b.eventually("everything", func() bool { return s.len() == 200 && b.committed() == 200 })
	require.Zero(t, m.Stats().InFlight)
	require.Len(t, s.values(), 200)
}

func TestConsumer_BlockedHandler(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	var blocked, cut atomic.Bool
	s := &sink{}
	s.after = func(ctx context.Context, batch []*delivery.Received) {
		if batch[0].Partition == 0 {
			blocked.Store(true)
			<-ctx.Done()
			cut.Store(true)
			return
		}
		finishAll(ctx, batch)
	}
	m := b.consume(s, func(c *kafka.ConsumerConfig) {
		c.SessionTimeout, c.DrainTimeout, c.StopTimeout = time.Second, 200*time.Millisecond, 300*time.Millisecond
	})
	b.write(0, 40)
	b.eventually("blocked", blocked.Load)
	generations := m.Stats().Generations
	until := time.Now().Add(2 * time.Second) // twice the session
	for n := 40; time.Now().Before(until); n += 40 {
		b.write(n, 40)
	}
	ends, err := b.client.EndOffsets(t.Context(), b.topic)
	require.NoError(t, err)
	b.eventually("the other partition goes on", func() bool {
		m, err := b.client.CommittedOffsets(t.Context(), b.group, b.topic)
		return err == nil && m[1] == ends[1] && m[0] <= 0
	})
	require.Equal(t, generations, m.Stats().Generations, "heartbeats went on")
	require.False(t, cut.Load())
	begin := time.Now()
	require.NoError(t, m.stop(t))
	require.True(t, cut.Load(), "the context ends after the drain")
	require.Less(t, time.Since(begin), 2*time.Second)
}

func TestConsumer_Gate(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	var open atomic.Bool
	s := &sink{after: finishAll}
	m := b.consume(s, func(c *kafka.ConsumerConfig) { c.Gate = open.Load })
	b.eventually("paused", func() bool { return m.Stats().Paused && len(m.Stats().Assigned) == 1 })
	b.write(0, 5)
	require.Zero(t, s.len())
	open.Store(true)
	b.eventually("open", func() bool { return s.len() == 5 && !m.Stats().Paused })
}

func TestConsumer_TakeOver(t *testing.T) {
	t.Parallel()
	b := setup(t, 6)
	one, two := &sink{after: finishAll}, &sink{after: finishAll}
	m1 := b.consume(one)
	b.write(0, 60)
	b.eventually("one reads all", func() bool { return one.len() == 60 })
	m2 := b.consume(two)
	b.eventually("half each", func() bool { return len(m1.Stats().Assigned) == 3 && len(m2.Stats().Assigned) == 3 })
	b.write(60, 60)
	b.eventually("both read", func() bool { return one.len()+two.len() == 120 })
	require.NotEmpty(t, two.list())
	require.NoError(t, m1.stop(t))
	b.eventually("two has all", func() bool { return len(m2.Stats().Assigned) == 6 })
	b.write(120, 60)
	b.eventually("two reads all", func() bool { return one.len()+two.len() == 180 && b.committed() == 180 })
	for v, n := range two.values() {
		require.Equal(t, 1, n, v)
	}
}

func TestConsumer_DeadMemberLeaves(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 2)
	gate := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.LeaveGroup}, Group: b.group, Count: 2, Err: kerr.UnknownServerError})
	dead := b.consume(&sink{}, func(c *kafka.ConsumerConfig) {
		c.SessionTimeout, c.StopTimeout = 60*time.Second, time.Millisecond
	})
	b.eventually("joined", func() bool { return len(dead.Stats().Assigned) == 2 })
	require.NoError(t, dead.stop(t)) // its leave is refused, so it stays in the group like one that was killed
	gate.Remove()
	require.NotNil(t, b.fake.GroupInfo(b.group))
	require.Len(t, b.fake.GroupInfo(b.group).Members, 1)
	require.NoError(t, b.client.SendOff(t.Context(), b.group, b.client.Name(), "was-never-there"))
	begin := time.Now()
	s := &sink{after: finishAll}
	b.consume(s)
	b.write(0, 10)
	b.eventually("flows", func() bool { return s.len() == 10 })
	require.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, b.client.SendOff(t.Context(), "group-that-is-not", "nobody"))
}

// A member that is killed in the middle of its join has an id that nobody knows, and some brokers keep it for ever. It is
// found by its client's name.
func TestConsumer_KilledInTheMiddleOfAJoin(t *testing.T) {
	t.Parallel()
	b := setup(t, 2)
	s := &sink{after: finishAll}
	m := b.consume(s)
	b.eventually("joined", func() bool { return len(m.Stats().Assigned) == 2 })
	b.joinAndDie("dead-client.1")
	b.eventually("the ghost has a part", func() bool { return len(m.Stats().Assigned) == 1 })
	require.NoError(t, b.client.SendOff(t.Context(), b.group, "dead-client"))
	b.eventually("the ghost is gone", func() bool { return len(m.Stats().Assigned) == 2 })
	b.write(0, 20)
	b.eventually("all is read", func() bool { return len(s.values()) == 20 })
}

// joinAndDie is a member whose connection is cut as soon as its join has made the group rebalance.
func (b *bundle) joinAndDie(clientID string) {
	b.Helper()
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = []string{b.topic}
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = kafkago.RoundRobinGroupBalancer{}.ProtocolName(), metadata.AppendTo(nil)
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.ProtocolType = 2, b.group, "consumer"
	join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 10_000, 5_000
	join.Protocols = append(join.Protocols, protocol)
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", b.brokers[0])
	require.NoError(b, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, join, 1))
	require.NoError(b, err)
	admin := &kafkago.Client{Addr: kafkago.TCP(b.brokers...)}
	b.eventually("the group rebalances", func() bool {
		res, err := admin.DescribeGroups(b.Context(), &kafkago.DescribeGroupsRequest{GroupIDs: []string{b.group}})
		return err == nil && res.Groups[0].GroupState == "PreparingRebalance"
	})
}

func TestConsumer_Lost(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.write(0, 10)
	s := &sink{after: finishAll}
	m := b.consume(s)
	b.eventually("committed", func() bool { return b.committed() == 10 })
	require.NoError(t, m.stop(t))
	require.NoError(t, b.fake.DeleteTopic(b.topic))
	require.NoError(t, b.fake.CreateTopic(b.topic, 1, nil))
	// The broker forgets commits of a deleted topic; a broker whose data was exchanged does not.
	b.fake.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.fake.KeepControl()
		res := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		t := kmsg.NewOffsetFetchResponseTopic()
		t.Topic = b.topic
		p := kmsg.NewOffsetFetchResponseTopicPartition()
		p.Offset = 10
		t.Partitions = append(t.Partitions, p)
		res.Topics = append(res.Topics, t)
		return res, nil, true
	})
	require.ErrorIs(t, b.consume(s).wait(t), kafka.ErrLost)
}

func TestConsumer_SkipsWhatRetentionDeleted(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	b.write(0, 10)
	s := &sink{}
	m := b.consume(s)
	b.eventually("read", func() bool { return s.len() == 10 })
	s.list()[0].Done()
	b.eventually("committed", func() bool { return b.committed() == 1 })
	require.NoError(t, m.stop(t))
	require.NoError(t, b.fake.DeleteRecords(b.topic, 0, 6))
	again := &sink{after: finishAll}
	m = b.consume(again)
	b.eventually("goes on at the first kept", func() bool { return again.len() == 4 && b.committed() == 10 })
	require.EqualValues(t, 5, m.Stats().Skipped)
}

// TestConsumer_StopsInTheMiddleOfAJoin: a join that the broker does not answer does not hold up the end, and leaves no
// ghost behind.
func TestConsumer_StopsInTheMiddleOfAJoin(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 2)
	s := &sink{after: finishAll}
	m := b.consume(s, func(c *kafka.ConsumerConfig) { c.SessionTimeout = 20 * time.Second })
	b.eventually("joined", func() bool { return len(m.Stats().Assigned) == 2 })
	held := make(chan struct{})
	b.fake.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.fake.KeepControl()
		select {
		case <-held:
		default:
			close(held)
		}
		return nil, nil, true // no answer
	})
	b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.RebalanceInProgress})
	<-held
	begin := time.Now()
	require.NoError(t, m.stop(t))
	require.Less(t, time.Since(begin), 2*time.Second)
	_, err := b.fake.WaitGroupInfo(t.Context(), b.group, func(g *kfake.GroupInfo) bool { return g == nil || len(g.Members) == 0 })
	require.NoError(t, err)
}

// TestConsumer_Faults: whatever the broker answers for a while, everything is read and committed in the end.
func TestConsumer_Faults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		key  kmsg.Key
		err  *kerr.Error
		n    int
	}{
		{"coordinator not available at the join", kmsg.JoinGroup, kerr.CoordinatorNotAvailable, 2},
		{"coordinator moves", kmsg.Heartbeat, kerr.NotCoordinator, 1},
		{"rebalance", kmsg.Heartbeat, kerr.RebalanceInProgress, 1},
		{"rebalance in sync", kmsg.SyncGroup, kerr.RebalanceInProgress, 1},
		{"commit refused", kmsg.OffsetCommit, kerr.RebalanceInProgress, 3},
		{"leader moves", kmsg.Fetch, kerr.NotLeaderForPartition, 2},
		{"storage fault", kmsg.Fetch, kerr.KafkaStorageError, 2},
		{"out of range without a reason", kmsg.Fetch, kerr.OffsetOutOfRange, 2},
		{"unknown member", kmsg.Heartbeat, kerr.UnknownMemberID, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := setupFake(t, 2)
			h := b.fake.Fault(kfake.Fault{Keys: []kmsg.Key{tc.key}, Err: tc.err, Count: tc.n})
			s := &sink{after: finishAll}
			b.consume(s, func(c *kafka.ConsumerConfig) { c.SessionTimeout = 900 * time.Millisecond; c.DrainTimeout = 0 })
			b.write(0, 50)
			b.eventually("faults happened and all was committed", func() bool {
				return h.Hits() == tc.n && len(s.values()) == 50 && b.committed() == 50
			})
		})
	}
}

func TestConsumer_RequestVersions(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 1)
	// The versions that brokers of Kafka 4 dropped end below these (KIP-896).
	floor := map[kmsg.Key]int16{
		kmsg.Produce: 3, kmsg.Fetch: 4, kmsg.ListOffsets: 1, kmsg.Metadata: 0, kmsg.OffsetCommit: 2, kmsg.OffsetFetch: 1,
		kmsg.FindCoordinator: 0, kmsg.JoinGroup: 2, kmsg.Heartbeat: 0, kmsg.LeaveGroup: 0, kmsg.SyncGroup: 0,
		kmsg.ApiVersions: 0, kmsg.CreateTopics: 2, kmsg.DescribeConfigs: 1, kmsg.DescribeGroups: 0,
	}
	var low atomic.Value
	seen := [100]atomic.Bool{}
	b.fake.Fault(kfake.Fault{Count: -1, Observe: true, When: func(r kmsg.Request) bool {
		seen[r.Key()].Store(true)
		if want, ok := floor[kmsg.Key(r.Key())]; !ok || r.GetVersion() < want {
			low.Store(kmsg.NameForKey(r.Key()))
		}
		return true
	}})
	s := &sink{after: finishAll}
	m := b.consume(s)
	b.write(0, 5)
	b.eventually("committed", func() bool { return b.committed() == 5 && seen[kmsg.Heartbeat].Load() })
	require.NoError(t, m.stop(t))
	require.NoError(t, b.client.EnsureTopics(t.Context(), []kafka.Topic{{Name: b.topic, Partitions: 1}, {Name: b.topic + "2", Partitions: 1}}))
	_, err := b.client.EndOffsets(t.Context(), b.topic)
	require.NoError(t, err)
	require.Nil(t, low.Load())
	for k := range floor {
		require.True(t, seen[k].Load(), strings.ToLower(kmsg.NameForKey(int16(k))))
	}
}
