package kafka

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second
	// longestCall bounds reads and writes for which the library sets no deadline itself.
	longestCall = 30 * time.Second
	nameLength  = 12 // 60 random bits
)

// Config says where Kafka is and how to log in.
type Config struct {
	Brokers  []string    // host:port; any of the cluster, several for the case that one is away
	ClientID string      // how the brokers' logs name this process; default herald
	TLS      *tls.Config // nil: no TLS
	SASL     SASL
	Prefix   string       // of the names of topics; default herald
	Log      *slog.Logger // nil: no logs
}

// SASL is how a client proves who it is. The zero value is no login.
type SASL struct {
	Mechanism string // plain, scram-sha-256 or scram-sha-512, in any case; empty: no login
	User      string
	Password  string
}

// Client knows the cluster. It is safe for concurrent use; producers, consumers and followers are made from it.
type Client struct {
	cfg       Config
	dialer    *kafkago.Dialer
	mechanism sasl.Mechanism
	transport *kafkago.Transport
	admin     *kafkago.Client
	log       *slog.Logger
	name      string
	members   atomic.Int64
}

// Open checks the settings. It does not touch the network: see Check.
func Open(cfg Config) (*Client, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("kafka: no brokers are given")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("kafka: broker %q: %w", b, err)
		}
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "herald"
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "herald"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	c := &Client{cfg: cfg, mechanism: mechanism, log: cfg.Log}
	c.name = strings.ReplaceAll(cfg.ClientID, memberMark, "-") + "-" + rand.Text()[:nameLength]
	c.dialer = &kafkago.Dialer{
		ClientID: cfg.ClientID, Timeout: dialTimeout, TLS: cfg.TLS, SASLMechanism: mechanism, DialFunc: dialGuarded,
	}
	c.transport = c.newTransport(5 * time.Second)
	c.admin = &kafkago.Client{Addr: c.addr(), Timeout: requestTimeout, Transport: c.transport}
	return c, nil
}

// Close gives the idle connections back. Producers, consumers and followers are closed by their owners before.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// memberName is the client id of one membership in a group.
func (c *Client) memberName() string {
	return c.name + memberMark + strconv.FormatInt(c.members.Add(1), 10)
}

// Prefix is what the names of topics begin with.
func (c *Client) Prefix() string { return c.cfg.Prefix }

func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch strings.ToLower(s.Mechanism) {
	case "":
		return nil, nil //nolint:nilnil // no mechanism is a mechanism too: the library asks for nil
	case "plain":
		return plain.Mechanism{Username: s.User, Password: s.Password}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, s.User, s.Password)
	case "scram-sha-512":
		return scram.Mechanism(scram.SHA512, s.User, s.Password)
	}
	return nil, fmt.Errorf("sasl mechanism %q is none of plain, scram-sha-256, scram-sha-512", s.Mechanism)
}

func (c *Client) addr() net.Addr { return kafkago.TCP(c.cfg.Brokers...) }

func (c *Client) newTransport(ttl time.Duration) *kafkago.Transport {
	return &kafkago.Transport{
		Dial: (&net.Dialer{Timeout: dialTimeout}).DialContext, DialTimeout: dialTimeout, IdleTimeout: time.Minute,
		MetadataTTL: ttl, ClientID: c.cfg.ClientID, TLS: c.cfg.TLS, SASL: c.mechanism,
	}
}

// guarded is a connection on which nothing waits for ever: the library asks for no deadline during login and some other
// calls, and a frozen broker would hold them.
type guarded struct{ net.Conn }

func dialGuarded(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return guarded{conn}, nil
}

func bounded(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now().Add(longestCall)
	}
	return t
}

func (g guarded) SetDeadline(t time.Time) error      { return g.Conn.SetDeadline(bounded(t)) }
func (g guarded) SetReadDeadline(t time.Time) error  { return g.Conn.SetReadDeadline(bounded(t)) }
func (g guarded) SetWriteDeadline(t time.Time) error { return g.Conn.SetWriteDeadline(bounded(t)) }

// ClusterID is the name that the cluster gave itself when it was made.
func (c *Client) ClusterID(ctx context.Context) (string, error) {
	m, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{}})
	if err != nil {
		return "", fmt.Errorf("read the cluster id: %w", err)
	}
	return m.ClusterID, nil
}

// Ping says whether any broker of the list can be reached now.
func (c *Client) Ping(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// dial opens a connection to any broker.
func (c *Client) dial(ctx context.Context) (*kafkago.Conn, error) {
	var faults []error
	for _, b := range c.cfg.Brokers {
		conn, err := c.dialer.DialContext(ctx, "tcp", b)
		if err == nil {
			return conn, nil
		}
		faults = append(faults, fmt.Errorf("broker %s: %w", b, err))
	}
	return nil, errors.Join(faults...)
}

// partitions asks a broker, not a cache, for the partitions of a topic that have a leader.
func (c *Client) partitions(ctx context.Context, topic string) ([]kafkago.Partition, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	list, err := conn.ReadPartitions(topic)
	if err != nil {
		return nil, named(err)
	}
	for _, p := range list {
		if p.Error != nil {
			return nil, fmt.Errorf("partition %d of %s: %w", p.ID, topic, p.Error)
		}
	}
	return list, nil
}

// dialPartition opens a connection to the leader of a partition.
func (c *Client) dialPartition(ctx context.Context, topic string, partition int) (*kafkago.Conn, error) {
	list, err := c.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.ID == partition {
			return c.dialer.DialPartition(ctx, "tcp", "", p)
		}
	}
	return nil, fmt.Errorf("partition %d of %s: %w", partition, topic, ErrUnknownTopic)
}
