//go:build unix

package embedded

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// child is a program that runs as the server's user, in a process group of its own, so that ^C in a terminal reaches
// only Herald, which stops it when its own work is done.
type child struct {
	pid  int
	out  *tail
	done chan struct{} // closed when it has ended and err is set
	err  error
}

// startChild starts the program. It ends with death when this process is killed.
func startChild(who account, death syscall.Signal, out *tail, path string, args ...string) (*child, error) {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // our own programs; they are stopped by signals, in order
	cmd.Dir = "/"                      // our own directory may be closed to the server's user
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	tiedToParent(cmd.SysProcAttr, death)
	if who.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid}
	}
	c := &child{out: out, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal belongs to the thread that forked. The thread is held until the child has ended, and ends
		// with this goroutine.
		runtime.LockOSThread()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	return c, <-started
}

// signal does nothing when the child has ended.
func (c *child) signal(sig syscall.Signal) {
	select {
	case <-c.done:
	default:
		_ = syscall.Kill(c.pid, sig)
	}
}

// environment is ours without what would change where the server listens or in which language it speaks.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "LC_") {
			env = append(env, v)
		}
	}
	return env
}

const tailSize = 4096

// tail keeps the last 4 KB of what a program says, for the text of an error, and passes on what a server says about
// itself. What it says about statements is left to those who sent them: it may quote what recipients must not find in a
// log.
type tail struct {
	log *slog.Logger

	mu   sync.Mutex
	last []byte
	line []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - tailSize; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	t.line = append(t.line, p...)
	for {
		line, rest, ok := bytes.Cut(t.line, []byte("\n"))
		if !ok {
			break
		}
		t.say(string(line))
		t.line = rest
	}
	if len(t.line) > tailSize {
		t.line = nil
	}
	return len(p), nil
}

func (t *tail) say(line string) {
	if t.log == nil {
		return
	}
	for severity, level := range map[string]slog.Level{
		"LOG:  ": slog.LevelDebug, "FATAL:  ": slog.LevelWarn, "PANIC:  ": slog.LevelError,
	} {
		if _, text, ok := strings.Cut(line, severity); ok {
			t.log.Log(context.Background(), level, "postgres server says", "said", text)
			return
		}
	}
}

// String is what the program said last.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}
