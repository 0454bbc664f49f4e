package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// DefaultListen is where the broker listens when nothing else is said.
const DefaultListen = "127.0.0.1:9092"

// minSession lets tests use short sessions; the clients' own setting decides otherwise.
const minSession = time.Second

// ErrLocked says that another process uses the directory.
var ErrLocked = errors.New("another process uses this directory")

// Config says where the broker keeps its data and where it listens.
type Config struct {
	Dir        string       // of the broker alone; made when it does not exist
	Listen     string       // host:port on a loopback address, default DefaultListen; port 0 takes a free one
	SyncWrites bool         // each batch is on the disk before it is acknowledged: survives a loss of power
	Log        *slog.Logger // nil: no logs
}

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	unlock  func() error
	addr    string
	once    sync.Once
	closed  chan struct{}
}

// Start locks the directory, loads what is there and listens. The error wraps ErrLocked when another process has the
// directory.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		return nil, errors.New("embedded broker: a directory is required")
	}
	if cfg.Listen == "" {
		cfg.Listen = DefaultListen
	}
	host, port, err := splitListen(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	unlock, err := lock(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("embedded broker in %s: %w", cfg.Dir, err)
	}
	cluster, err := kfake.NewCluster(options(cfg, host, port)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded broker in %s on %s: %w", cfg.Dir, cfg.Listen, err), unlock())
	}
	return &Broker{cluster: cluster, unlock: unlock, addr: cluster.ListenAddrs()[0], closed: make(chan struct{})}, nil
}

func options(cfg Config, host string, port int) []kfake.Opt {
	opts := []kfake.Opt{
		kfake.DataDir(filepath.Join(cfg.Dir, "data")),
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			_, p, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return net.Listen(network, net.JoinHostPort(host, p)) //nolint:noctx // loopback, nothing to wait for
		}),
		kfake.ClusterID("herald-" + rand.Text()), // of the first start: the data directory remembers it
		kfake.GroupMinSessionTimeout(minSession),
		kfake.WithLogger(logger{cfg.Log}),
		kfake.BrokerConfigs(map[string]string{
			"log.cleaner.backoff.ms":    "60000", // how often retention is looked at; default 1 h
			"offsets.retention.minutes": "43200", // 30 days: an installation that was off over a holiday goes on where it was
		}),
	}
	if cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	return opts
}

// splitListen refuses addresses that other hosts could reach: the broker has no login.
func splitListen(listen string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: %w", listen, err)
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("listen address %q: the port must be a number up to 65535", listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("listen address %q is not a loopback address; other hosts need an external Kafka", listen)
	}
	return host, port, nil
}

// Addr is the address for clients.
func (b *Broker) Addr() string { return b.addr }

// Close writes everything to the disk, stops and unlocks the directory. It may be called twice. After an error, because
// ctx ended first, closing goes on by itself and the directory stays locked until it is done.
func (b *Broker) Close(ctx context.Context) error {
	b.once.Do(func() {
		go func() {
			b.cluster.Close()
			_ = b.unlock()
			close(b.closed)
		}()
	})
	select {
	case <-b.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the embedded broker: %w", ctx.Err())
	}
}

// logger passes the broker's warnings and errors on. Its other messages tell of every request.
type logger struct{ log *slog.Logger }

// Logf is how the broker logs.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if l.log == nil || level > kfake.LogLevelWarn || level == kfake.LogLevelNone {
		return
	}
	to := slog.LevelWarn
	if level == kfake.LogLevelError {
		to = slog.LevelError
	}
	l.log.Log(context.Background(), to, "embedded broker", "detail", fmt.Sprintf(format, args...))
}
