//go:build integration

package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/embedded"
)

// TestFreeze: a broker that stops answering for longer than requests wait, and goes on. Writes end well, nothing is
// lost, and the group reads on.
func TestFreeze(t *testing.T) {
	t.Parallel()
	cmd, addr := child(t, embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	c := client(t, addr)
	require.NoError(t, c.EnsureTopics(t.Context(), kafka.Topics("herald", true)))
	topic := c.TopicName(delivery.LaneTransactional)
	p := kafka.NewProducer(c, kafka.ProducerConfig{Fast: true})
	t.Cleanup(func() { _ = p.Close() })
	consumed := consumer(t, c, topic)
	require.NoError(t, p.Write(t.Context(), slice(topic, 0, 0)))
	require.Eventually(t, func() bool { return consumed() == 25 }, 10*time.Second, tick)

	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(t, func() bool { // a thread that runs goes on until it meets the signal
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return err == nil && bytes.Contains(stat, []byte(") T "))
	}, 10*time.Second, tick)
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Write(short, slice(topic, 0, 1)), context.DeadlineExceeded)
	done := make(chan error, 1)
	go func() { done <- p.Write(t.Context(), slice(topic, 0, 2)) }()
	select {
	case err := <-done:
		require.Fail(t, "a frozen broker acknowledged", "%v", err)
	case <-time.After(12 * time.Second):
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	require.NoError(t, <-done)
	require.Eventually(t, func() bool { return consumed() >= 50 }, 20*time.Second, tick)
}
