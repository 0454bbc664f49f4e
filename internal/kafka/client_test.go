package kafka_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
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

// certificate is a self-signed one for 127.0.0.1, with the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// secured is a broker that speaks TLS and asks for a login: the external one, or an own.
func secured(t *testing.T, mechanism string) (addr string, authority *x509.CertPool) {
	t.Helper()
	if kafkatest.External() {
		text, err := os.ReadFile(os.Getenv(kafkatest.EnvCA))
		require.NoError(t, err)
		pool := x509.NewCertPool()
		require.True(t, pool.AppendCertsFromPEM(text))
		return os.Getenv(kafkatest.EnvTLS), pool
	}
	cert, pool := certificate(t)
	fake := kafkatest.Fake(t, kfake.EnableSASL(), kfake.Superuser(mechanism, kafkatest.User, kafkatest.Password),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
	return fake.ListenAddrs()[0], pool
}

// TestCheck also proves that login and TLS reach all three: the group, the partitions and the producer.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			addr, pool := secured(t, mechanism)
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
			require.ErrorContains(t, check(func(c *kafka.Config) { c.SASL.Password = "wrong" }), "user or password is wrong")
			require.ErrorContains(t, check(func(c *kafka.Config) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} }), "x509")
			require.Error(t, check(func(c *kafka.Config) { c.TLS = nil }))
			require.ErrorContains(t, check(func(c *kafka.Config) { c.SASL = kafka.SASL{} }), "login (sasl)")
			require.ErrorContains(t, check(func(c *kafka.Config) { c.Brokers = []string{addr, "127.0.0.1:1"} }), "127.0.0.1:1")

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
	t.Run("tls to a broker without", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = ln.Close() })
		go func() { // like Kafka: a request of absurd size is answered by hanging up
			for conn, err := ln.Accept(); err == nil; conn, err = ln.Accept() {
				_, _ = conn.Read(make([]byte, 4))
				_ = conn.Close()
			}
		}()
		c, err := kafka.Open(kafka.Config{Brokers: []string{ln.Addr().String()}, TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
		require.NoError(t, err)
		require.ErrorContains(t, c.Check(t.Context()), "perhaps the broker does not speak tls")
	})
}
