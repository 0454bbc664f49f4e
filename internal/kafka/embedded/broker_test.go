package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/embedded"
)

const childDir = "HERALD_TEST_BROKER_DIR"

// TestMain makes the test binary a broker process when a test asks for one.
func TestMain(m *testing.M) {
	if os.Getenv(childDir) == "" {
		os.Exit(m.Run())
	}
	var cfg embedded.Config
	if err := json.Unmarshal([]byte(os.Getenv(childDir)), &cfg); err != nil {
		panic(err)
	}
	b, err := embedded.Start(context.Background(), cfg)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(b.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the parent is gone
	os.Exit(0)
}

// child starts a broker in a process of its own and returns its first line: the address, or an error.
func child(t *testing.T, cfg embedded.Config) (*exec.Cmd, string) {
	t.Helper()
	setting, err := json.Marshal(cfg)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+string(setting))
	_, err = cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, line[:len(line)-1]
}

func client(t *testing.T, addr string) *kafka.Client {
	t.Helper()
	c, err := kafka.Open(kafka.Config{Brokers: []string{addr}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestStart_Settings(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]embedded.Config{
		"no directory":     {Listen: "127.0.0.1:0"},
		"open to everyone": {Dir: t.TempDir(), Listen: "0.0.0.0:0"},
		"no port":          {Dir: t.TempDir(), Listen: "127.0.0.1"},
		"bad port":         {Dir: t.TempDir(), Listen: "127.0.0.1:http"},
	} {
		_, err := embedded.Start(t.Context(), cfg)
		require.Error(t, err, name)
	}
}

func TestStart_OneProcessForADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kafka")
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	_, err = embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.ErrorIs(t, err, embedded.ErrLocked)
	_, line := child(t, embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.Contains(t, line, "error: embedded broker in "+dir+": another process uses this directory")
	require.NoError(t, b.Close(t.Context()))
	_, line = child(t, embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NotContains(t, line, "error")
}

func TestStart_PortTaken(t *testing.T) {
	t.Parallel()
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	dir := t.TempDir()
	_, err = embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: b.Addr()})
	require.ErrorContains(t, err, "address already in use")
	again, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err, "the directory is free again")
	require.NoError(t, again.Close(t.Context()))
}

// TestKill: what was acknowledged is there after a kill -9 under load, with topics, committed offsets and the cluster
// id.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("sync %v", sync), func(t *testing.T) {
			t.Parallel()
			kill(t, embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", SyncWrites: sync})
		})
	}
}

func kill(t *testing.T, cfg embedded.Config) {
	t.Helper()
	cmd, addr := child(t, cfg)
	cfg.Listen = addr
	c := client(t, addr)
	require.NoError(t, c.EnsureTopics(t.Context(), kafka.Topics("herald", true)))
	id, err := c.ClusterID(t.Context())
	require.NoError(t, err)
	topic := c.TopicName(delivery.LaneBulk)

	p := kafka.NewProducer(c, kafka.ProducerConfig{Fast: true})
	t.Cleanup(func() { _ = p.Close() })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	acked := make([]int, 4) // by writer: so many slices
	var writers sync.WaitGroup
	for w := range acked {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if p.Write(ctx, slice(topic, w, n)) == nil {
					acked[w] = n + 1
				}
			}
		})
	}
	consumed := consumer(t, c, topic)
	require.Eventually(t, func() bool { return p.Stats().Written > 2000 && consumed() > 500 }, 20*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	before := p.Stats().Written
	_, line := child(t, cfg)
	require.Equal(t, addr, line)
	require.Eventually(t, func() bool { return p.Stats().Written > before+1000 }, 20*time.Second, time.Millisecond)
	stop()
	writers.Wait()

	again, err := c.ClusterID(t.Context())
	require.NoError(t, err)
	require.Equal(t, id, again)
	got := map[string]bool{}
	require.NoError(t, c.Scan(t.Context(), topic, func(r delivery.Record) (bool, error) { got[string(r.Value)] = true; return true, nil }))
	for w, n := range acked {
		for i := range n {
			for _, r := range slice(topic, w, i) {
				require.True(t, got[string(r.Value)], "acknowledged and lost: %s", r.Value)
			}
		}
	}
	require.Eventually(t, func() bool { return consumed() >= len(got) }, 20*time.Second, tick, "the group goes on")
	offsets, err := c.CommittedOffsets(t.Context(), "g", topic)
	require.NoError(t, err)
	require.Len(t, offsets, 4)
}

const tick = 5 * time.Millisecond

func slice(topic string, writer, n int) []delivery.Record {
	list := make([]delivery.Record, 25)
	for i := range list {
		v := fmt.Appendf(nil, "%d-%d-%d", writer, n, i)
		list[i] = delivery.Record{Topic: topic, Key: v, Value: v}
	}
	return list
}

// consumer reads the topic in a group and tells how many different records came.
func consumer(t *testing.T, c *kafka.Client, topic string) func() int {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	k, err := kafka.NewConsumer(c, kafka.ConsumerConfig{Group: "g", Topic: topic, Handler: func(_ context.Context, batch []*delivery.Received) {
		mu.Lock()
		for _, r := range batch {
			seen[string(r.Value)] = true
		}
		mu.Unlock()
		for _, r := range batch {
			r.Done()
		}
	}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return func() int { mu.Lock(); defer mu.Unlock(); return len(seen) }
}
