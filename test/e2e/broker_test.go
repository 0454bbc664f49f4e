//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest/apache"
)

// brokerProcess is a broker in a process of its own, which a test may kill, freeze and start again.
type brokerProcess interface {
	Addr() string
	// Serve starts it again after Kill.
	Serve(ctx context.Context) error
	Kill()
	Signal(sig os.Signal) error
}

// ownBroker starts a broker for this world alone: an Apache Kafka where tests run on one, else the embedded broker.
func (w *world) ownBroker() (b brokerProcess) {
	w.Helper()
	if kafkatest.External() {
		libs := os.Getenv(kafkatest.EnvLibs)
		require.NotEmpty(w, libs, "%s is not set: an Apache Kafka of the test's own is needed", kafkatest.EnvLibs)
		own, err := apache.Start(w.Context(), w.TempDir(), libs)
		require.NoError(w, err)
		b = own
	} else {
		b = &embedded{dir: filepath.Join(w.dir, "broker"), addr: fmt.Sprintf("127.0.0.1:%d", w.port)}
		require.NoError(w, b.Serve(w.Context()))
	}
	w.Cleanup(b.Kill)
	w.brokers = b.Addr()
	return b
}

// embedded is the embedded broker alone.
type embedded struct {
	dir, addr string
	cmd       *exec.Cmd
}

var _ brokerProcess = (*embedded)(nil)

func (b *embedded) Addr() string { return b.addr }

func (b *embedded) Serve(ctx context.Context) error {
	b.cmd = exec.Command(binary, "bench", "broker", "--data", b.dir, "--listen", b.addr)
	if err := b.cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.addr)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return err
		}
		wait(20 * time.Millisecond)
	}
}

func (b *embedded) Kill() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

func (b *embedded) Signal(sig os.Signal) error { return b.cmd.Process.Signal(sig) }

// freeze stops a process for a while.
func (w *world) freeze(p interface{ Signal(sig os.Signal) error }, d time.Duration) {
	w.Helper()
	require.NoError(w, p.Signal(syscall.SIGSTOP))
	wait(d)
	require.NoError(w, p.Signal(syscall.SIGCONT))
}
