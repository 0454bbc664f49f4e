package kafka_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
)

func TestOpen_RefusesBadSettings(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]kafka.Config{
		"no brokers": {},
		"no port":    {Brokers: []string{"localhost"}},
		"mechanism":  {Brokers: []string{"localhost:1"}, SASL: kafka.SASL{Mechanism: "kerberos"}},
	} {
		_, err := kafka.Open(cfg)
		require.Error(t, err, name)
	}
}

func TestTopics(t *testing.T) {
	t.Parallel()
	c, err := kafka.Open(kafka.Config{Brokers: []string{"localhost:1"}})
	require.NoError(t, err)
	require.Equal(t, "herald.jobs.transactional", c.TopicName(delivery.LaneTransactional))
	require.Equal(t, "herald.jobs.bulk", c.TopicName(delivery.LaneBulk))
	require.Equal(t, "herald.events", c.EventsTopic())
	require.Equal(t, "herald.dead", c.DeadTopic())
	names := []string{}
	for _, topic := range kafka.Topics("herald", true) {
		names = append(names, topic.Name)
	}
	require.Equal(t, []string{c.TopicName(0), c.TopicName(1), c.EventsTopic(), c.DeadTopic()}, names)
}

func TestEnsureTopics(t *testing.T) {
	t.Parallel()
	fake := kafkatest.Fake(t)
	var logs bytes.Buffer
	c, err := kafka.Open(kafka.Config{Brokers: fake.ListenAddrs(), Log: slog.New(slog.NewTextHandler(&logs, nil))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.NotController, Count: 2})
	topics := kafka.Topics("herald", true)
	for range 2 {
		require.NoError(t, c.EnsureTopics(t.Context(), topics))
	}
	require.Empty(t, logs.String())
	info := fake.TopicInfo("herald.jobs.bulk")
	require.Equal(t, "432000000", *info.Configs["retention.ms"])
	require.Len(t, fake.PartitionInfos("herald.jobs.bulk"), 4)

	topics[1].Retention, topics[1].Partitions = time.Hour, 5
	require.NoError(t, c.EnsureTopics(t.Context(), topics))
	require.Contains(t, logs.String(), "setting=retention.ms value=432000000 expected=3600000")
	require.Contains(t, logs.String(), "partitions=4 expected=5")

	require.Error(t, c.EnsureTopics(t.Context(), []kafka.Topic{{Name: "x", Partitions: 1, Replicas: 9}}))
	away, err := kafka.Open(kafka.Config{Brokers: []string{"127.0.0.1:1"}})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, away.EnsureTopics(ctx, topics), context.DeadlineExceeded)
}

func TestOffsetsAndScan(t *testing.T) {
	t.Parallel()
	b := setupFake(t, 3)
	got := scan(t, b.client, b.topic)
	require.Empty(t, got)
	b.write(0, 5000)
	require.NoError(t, b.fake.DeleteRecords(b.topic, 1, 10))
	first, err := b.client.FirstOffsets(t.Context(), b.topic)
	require.NoError(t, err)
	require.Equal(t, map[int]int64{0: 0, 1: 10, 2: 0}, first)
	end, err := b.client.EndOffsets(t.Context(), b.topic)
	require.NoError(t, err)
	require.EqualValues(t, 5000, end[0]+end[1]+end[2])
	require.Len(t, scan(t, b.client, b.topic), 4990)
	n := 0
	require.NoError(t, b.client.Scan(t.Context(), b.topic, func(delivery.Record) (bool, error) { n++; return n < 7, nil }))
	require.Equal(t, 7, n)
	r, err := b.client.ReadAt(t.Context(), b.topic, 1, 17)
	require.NoError(t, err)
	require.EqualValues(t, 17, r.Offset)
	for _, at := range []int64{9, end[1], 1 << 40} {
		_, err = b.client.ReadAt(t.Context(), b.topic, 1, at)
		require.ErrorIs(t, err, kafka.ErrNotFound)
	}
	_, err = b.client.EndOffsets(t.Context(), "no-such-topic")
	require.ErrorIs(t, err, kafka.ErrUnknownTopic)
	require.ErrorIs(t, b.client.Scan(t.Context(), "no-such-topic", nil), kafka.ErrUnknownTopic)
	id, err := b.client.ClusterID(t.Context())
	require.NoError(t, err)
	require.Equal(t, "kfake", id)
}

// TestCheck also proves that login and TLS reach all three: the group, the partitions and the producer.
// A broker that hangs up while it starts is away, and no setting is to blame.
func TestCheck_BrokerThatStarts(t *testing.T) {
	t.Parallel()
	brokers := kafkatest.Broker(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for first := true; ; first = false {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if first {
				_ = conn.Close()
				continue
			}
			back, err := net.Dial("tcp", brokers[0])
			if err != nil {
				_ = conn.Close()
				continue
			}
			go func() { _, _ = io.Copy(back, conn); _ = back.Close() }()
			go func() { _, _ = io.Copy(conn, back); _ = conn.Close() }()
		}
	}()
	c, err := kafka.Open(kafka.Config{Brokers: []string{ln.Addr().String()}, Prefix: kafkatest.Prefix()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, c.Check(t.Context()))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			addr, ca := kafkatest.Secured(t, mechanism)
			text, err := os.ReadFile(ca)
			require.NoError(t, err)
			pool := x509.NewCertPool()
			require.True(t, pool.AppendCertsFromPEM(text))
			good := kafka.Config{
				Brokers: []string{addr}, TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
				SASL:   kafka.SASL{Mechanism: mechanism, User: kafkatest.User, Password: kafkatest.Password},
				Prefix: kafkatest.Prefix(),
			}
			check := func(change func(*kafka.Config)) error {
				cfg := good
				change(&cfg)
				c, err := kafka.Open(cfg)
				require.NoError(t, err)
				return c.Check(t.Context())
			}
			require.NoError(t, check(func(*kafka.Config) {}))
			refused := func(setting, fault string, change func(*kafka.Config)) {
				t.Helper()
				err := check(change)
				require.ErrorContains(t, err, setting+": broker "+addr+": "+fault)
				require.True(t, kafka.Refused(err))
				require.NotContains(t, err.Error(), "\n", "one line")
			}
			refused("kafka.sasl.password", "user or password is wrong", func(c *kafka.Config) { c.SASL.Password = "wrong" })
			refused("kafka.tls.ca_file", "its certificate comes from an unknown authority", func(c *kafka.Config) {
				c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			})
			refused("kafka.tls.server_name", "its certificate is for another name", func(c *kafka.Config) {
				c.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "kafka.example"}
			})
			refused("kafka.tls.enabled", "it expects tls on this port", func(c *kafka.Config) { c.TLS = nil })
			refused("kafka.tls.enabled", "it expects tls on this port", func(c *kafka.Config) {
				c.TLS, c.SASL = nil, kafka.SASL{}
			})
			refused("kafka.sasl.mechanism", "it expects a login", func(c *kafka.Config) { c.SASL = kafka.SASL{} })
			away := check(func(c *kafka.Config) { c.Brokers = []string{"127.0.0.1:1", addr, "127.0.0.1:2"} })
			require.ErrorContains(t, away, "kafka.brokers: broker 127.0.0.1:1 cannot be reached")
			require.ErrorContains(t, away, "kafka.brokers: broker 127.0.0.1:2 cannot be reached")
			require.NotContains(t, away.Error(), addr)
			require.False(t, kafka.Refused(away))

			c, err := kafka.Open(good)
			require.NoError(t, err)
			b := &bundle{T: t, client: c, topic: kafkatest.Topic(t, c, "jobs", 2), group: c.Prefix() + ".g", producer: kafka.NewProducer(c, kafka.ProducerConfig{Fast: true})}
			t.Cleanup(func() { _ = b.producer.Close() })
			s := &sink{after: finishAll}
			m := b.consume(s)
			b.write(0, 10)
			b.eventually("read", func() bool { return s.len() == 10 && b.committed() == 10 })
			require.NoError(t, m.stop(t))
		})
	}
	t.Run("a broker without tls and login", func(t *testing.T) {
		t.Parallel()
		brokers := kafkatest.Broker(t)
		check := func(cfg kafka.Config) error {
			cfg.Brokers = brokers
			c, err := kafka.Open(cfg)
			require.NoError(t, err)
			return c.Check(t.Context())
		}
		require.ErrorContains(t, check(kafka.Config{TLS: &tls.Config{MinVersion: tls.VersionTLS12}}),
			"kafka.tls.enabled: broker "+brokers[0]+": it does not speak tls on this port")
		if kafkatest.External() { // the embedded one takes any login
			require.ErrorContains(t, check(kafka.Config{SASL: kafka.SASL{Mechanism: "plain", User: "u", Password: "p"}}),
				"kafka.sasl.mechanism: broker "+brokers[0]+": it expects no login on this port")
		}
	})
	t.Run("somebody who hangs up", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = ln.Close() })
		go func() {
			for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
				_, _ = conn.Read(make([]byte, 4))
				_ = conn.Close()
			}
		}()
		for _, encryption := range []*tls.Config{nil, {MinVersion: tls.VersionTLS12}} {
			c, err := kafka.Open(kafka.Config{Brokers: []string{ln.Addr().String()}, TLS: encryption})
			require.NoError(t, err)
			err = c.Check(t.Context())
			require.ErrorContains(t, err, "cannot be reached")
			require.False(t, kafka.Refused(err), "a balancer without a broker behind it does the same")
		}
	})
}
