//go:build integration

package kafka_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/embedded"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
)

// TestProducer_BrokerAway: the broker is away for longer than the library tries.
func TestProducer_BrokerAway(t *testing.T) {
	t.Parallel()
	dir, listen := t.TempDir(), "127.0.0.1:0"
	start := func() *embedded.Broker {
		br, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Listen: listen})
		require.NoError(t, err)
		listen = br.Addr()
		return br
	}
	br := start()
	c := kafkatest.ClientOf(t, []string{listen})
	topic := kafkatest.Topic(t, c, "jobs", 3)
	p := kafka.NewProducer(c, kafka.ProducerConfig{})
	t.Cleanup(func() { _ = p.Close() })
	s := &sink{after: finishAll}
	b := &bundle{T: t, client: c, topic: topic, group: c.Prefix() + ".g"}
	b.consume(s)
	require.NoError(t, p.Write(t.Context(), records(topic, 0, 100)))
	b.eventually("read", func() bool { return s.len() == 100 && b.committed() == 100 })
	require.NoError(t, br.Close(t.Context()))
	require.NoError(t, br.Close(t.Context()), "twice")
	done := make(chan error, 1)
	go func() { done <- p.Write(t.Context(), records(topic, 100, 100)) }()
	require.Eventually(t, func() bool { return p.Stats().Retries > 0 || len(done) > 0 }, soon, tick)
	require.Empty(t, done, "the broker is away for longer than the library tries")
	br = start()
	t.Cleanup(func() { _ = br.Close(context.WithoutCancel(t.Context())) })
	require.NoError(t, <-done)
	begin := time.Now()
	b.eventually("consumer is back", func() bool { return len(s.values()) == 200 && b.committed() >= 200 })
	t.Logf("consumer back after %s", time.Since(begin).Round(time.Millisecond))
}

// herd is a group of members in processes of their own, and what they said.
type herd struct {
	*bundle
	cfg childConfig

	mu        sync.Mutex
	done      map[string]int         // by value
	offsets   map[int]map[int64]bool // finished, by partition
	committed map[int]int64          // highest seen
	names     map[*exec.Cmd]string
}

const perPart = 200

func newHerd(t *testing.T, c *kafka.Client, topic string, brokers []string) *herd {
	t.Helper()
	b := &bundle{T: t, client: c, topic: topic, group: c.Prefix() + ".herd"}
	return &herd{
		bundle: b, cfg: childConfig{Brokers: brokers, Group: b.group, Topic: topic, MaxPerPart: perPart, Session: b.session(2 * time.Second)}, done: map[string]int{},
		offsets: map[int]map[int64]bool{}, committed: map[int]int64{}, names: map[*exec.Cmd]string{},
	}
}

// join starts a member and returns it with a function that stops it in an orderly way.
func (h *herd) join() (cmd *exec.Cmd, leave func()) {
	h.Helper()
	setting, err := json.Marshal(h.cfg)
	require.NoError(h, err)
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(setting))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(h, err)
	out, err := cmd.StdoutPipe()
	require.NoError(h, err)
	require.NoError(h, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.line(cmd, lines.Text())
		}
	}()
	h.Cleanup(func() { _ = cmd.Process.Kill(); <-ended; _ = cmd.Wait() })
	return cmd, func() { _ = in.Close(); <-ended }
}

func (h *herd) line(cmd *exec.Cmd, line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var p int
	var offset int64
	var value string
	if n, _ := fmt.Sscanf(line, "done %d %d %s", &p, &offset, &value); n == 3 {
		h.done[value]++
		if h.offsets[p] == nil {
			h.offsets[p] = map[int64]bool{}
		}
		h.offsets[p][offset] = true
	}
	if name, ok := strings.CutPrefix(line, "client "); ok {
		h.names[cmd] = name
	}
}

func (h *herd) finished() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.done)
}

// honest says that what the group committed never went back and never passed a record without a fate.
func (h *herd) honest() {
	h.Helper()
	now, err := h.client.CommittedOffsets(h.Context(), h.group, h.topic)
	if err != nil {
		return // the broker is away
	}
	for p, next := range now {
		require.GreaterOrEqual(h, next, h.committed[p]-1, "partition %d went back", p)
		h.committed[p] = max(0, next)
		h.eventually("committed above a record without a fate", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			for o := range max(0, next) {
				if !h.offsets[p][o] {
					return false
				}
			}
			return true
		})
	}
}

func (h *herd) until(n int) {
	h.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for h.finished() < n {
		h.honest()
		require.Less(h, time.Now(), deadline, "%d of %d", h.finished(), n)
		require.NoError(h, waitABit(h.Context()))
	}
}

func waitABit(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restartable is an embedded broker and what restarts it at the same address.
func restartable(t *testing.T) (brokers []string, restart func()) {
	t.Helper()
	cfg := embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"}
	br, err := embedded.Start(t.Context(), cfg)
	require.NoError(t, err)
	cfg.Listen = br.Addr()
	t.Cleanup(func() { _ = br.Close(context.WithoutCancel(t.Context())) })
	return []string{cfg.Listen}, func() {
		require.NoError(t, br.Close(t.Context()))
		br, err = embedded.Start(t.Context(), cfg)
		require.NoError(t, err)
	}
}

// TestChaos: members join, leave, are killed and are frozen beyond their session, and the broker is restarted.
// Nothing is lost, and what comes twice is bounded by the victims' windows.
func TestChaos(t *testing.T) {
	t.Parallel()
	const total, partitions = 12_000, 6
	var brokers []string
	restart := func() {}
	if kafkatest.External() {
		brokers = kafkatest.Broker(t)
	} else {
		brokers, restart = restartable(t)
	}
	c := kafkatest.ClientOf(t, brokers)
	topic := kafkatest.Topic(t, c, "jobs", partitions)
	h := newHerd(t, c, topic, brokers)
	h.producer = kafka.NewProducer(c, kafka.ProducerConfig{})
	t.Cleanup(func() { _ = h.producer.Close() })
	h.write(0, total/4)

	first, leaveFirst := h.join()
	h.until(total / 16)
	victim, _ := h.join()
	h.until(total / 8)
	h.write(total/4, total/4)
	leaveFirst()
	_ = first
	h.until(total / 3)
	before := h.repeats()
	require.Zero(t, before, "joins and leaves repeat nothing")

	require.NoError(t, victim.Process.Kill())
	h.mu.Lock()
	name := h.names[victim]
	h.mu.Unlock()
	require.NoError(t, c.SendOff(t.Context(), h.group, name))
	frozen, _ := h.join()
	h.write(total/2, total/4)
	h.until(total * 5 / 8)
	require.LessOrEqual(t, h.repeats(), perPart*partitions, "a killed member")

	require.NoError(t, frozen.Process.Signal(syscall.SIGSTOP))
	_, leaveLast := h.join() // takes over when the frozen one's session is over
	h.until(total * 3 / 4)
	require.NoError(t, frozen.Process.Signal(syscall.SIGCONT)) // now a zombie: it may finish, and must not commit
	h.write(total*3/4, total/8)
	h.until(total * 13 / 16)
	restart()
	h.write(total*7/8, total/8)
	h.until(total)
	leaveLast()
	h.honest()
	require.LessOrEqual(t, h.repeats(), 4*perPart*partitions)
	t.Logf("%d records, %d repeats", total, h.repeats())
}

func (h *herd) repeats() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, times := range h.done {
		n += times - 1
	}
	return n
}
