// Package kafkatest gives tests a broker. It is imported by tests only.
package kafkatest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/embedded"
)

// EnvBrokers names an external Kafka (host:port, several with commas) that tests use instead of an embedded broker.
const EnvBrokers = "HERALD_TEST_KAFKA"

// EnvLibs names the folder with the jars of that Apache Kafka, for tests that start one of their own.
const EnvLibs = "HERALD_TEST_KAFKA_LIBS"

// EnvTLS and EnvCA name the listener of the external Kafka that speaks TLS and asks for a login, and the file of the
// authority behind its certificate. User and Password log in there, by PLAIN and SCRAM.
const (
	EnvTLS   = "HERALD_TEST_KAFKA_TLS"
	EnvCA    = "HERALD_TEST_KAFKA_CA"
	User     = "herald"
	Password = "secret"
)

// External says that tests run against an external Kafka.
func External() bool { return os.Getenv(EnvBrokers) != "" }

// Broker is the address of a broker for this test: an embedded one with its data in t.TempDir, or the external one. It
// goes away with the test.
func Broker(t testing.TB) []string {
	t.Helper()
	if External() {
		return strings.Split(os.Getenv(EnvBrokers), ",")
	}
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, b.Close(ctx))
	})
	return []string{b.Addr()}
}

// Prefix is a prefix for topics and groups that no other test uses.
func Prefix() string { return "t" + strings.ToLower(rand.Text()[:10]) }

// Client is a client of Broker with its own Prefix.
func Client(t testing.TB) *kafka.Client {
	t.Helper()
	return ClientOf(t, Broker(t))
}

// ClientOf is a client of the given brokers with its own Prefix.
func ClientOf(t testing.TB, brokers []string) *kafka.Client {
	t.Helper()
	c, err := kafka.Open(kafka.Config{Brokers: brokers, Prefix: Prefix()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// Topic makes a topic with a number of partitions and returns its name, which begins with the client's prefix.
func Topic(t testing.TB, c *kafka.Client, name string, partitions int) string {
	t.Helper()
	name = c.Prefix() + "." + name
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.EnsureTopics(ctx, []kafka.Topic{{Name: name, Partitions: partitions, Retention: time.Hour}}))
	return name
}

// Fake is a broker whose faults a test decides, with its data in t.TempDir.
func Fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.DataDir(t.TempDir()), kfake.GroupMinSessionTimeout(100 * time.Millisecond),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
