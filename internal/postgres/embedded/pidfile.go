//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is what postmaster.pid tells: line 1 the process, line 7 the key and the id of its shared memory, line 8 its
// state.
type pidFile struct {
	pid   int
	shmid string
	state string
}

var errEmpty = errors.New("postmaster.pid is empty")

func readPidFile(data string) (pidFile, error) {
	var p pidFile
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return p, err
	}
	if len(text) == 0 {
		return p, errEmpty
	}
	lines := strings.Split(string(text), "\n")
	p.pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return p, fmt.Errorf("postmaster.pid: %w", err)
	}
	if len(lines) > 6 {
		if f := strings.Fields(lines[6]); len(f) == 2 {
			p.shmid = f[1]
		}
	}
	if len(lines) > 7 {
		p.state = strings.TrimSpace(lines[7])
	}
	return p, nil
}

const (
	orphanFast = 20 * time.Second
	orphanNow  = 5 * time.Second
)

// clearPidFile deals with what an earlier run left, while we hold the lock of the directory. A server of ours that
// still runs is stopped. A file whose process number now belongs to a stranger is removed, if no process is attached to the
// shared memory that it names; PostgreSQL itself would refuse to start. Everything else PostgreSQL handles better.
func clearPidFile(ctx context.Context, data string) error {
	p, err := readPidFile(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if errors.Is(err, errEmpty) { // the machine stopped between the making and the writing of the file
		return os.Remove(filepath.Join(data, "postmaster.pid"))
	}
	if err != nil || p.pid <= 0 || !exists(p.pid) {
		return nil //nolint:nilerr // an unreadable file is PostgreSQL's to judge, and it says clearly what is wrong
	}
	args, err := commandLine(p.pid)
	if err != nil {
		return nil //nolint:nilerr // no /proc, or the process ended: left to PostgreSQL
	}
	if isServerOf(args, data) {
		return stopOrphan(ctx, p.pid, data)
	}
	attached, known := shmAttached(p.shmid)
	if !known {
		return nil
	}
	if attached {
		return fmt.Errorf("postmaster.pid in %s: processes of an earlier server still use its shared memory (id %s)",
			data, p.shmid)
	}
	return os.Remove(filepath.Join(data, "postmaster.pid"))
}

// exists reports whether there is a process of that number, ours or not.
func exists(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func commandLine(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00"), nil
}

// isServerOf recognises a server that was started for the data directory.
func isServerOf(args []string, data string) bool {
	if filepath.Base(args[0]) != "postgres" {
		return false
	}
	for i, arg := range args {
		if arg == "-D" && i+1 < len(args) && args[i+1] == data {
			return true
		}
	}
	return false
}

// stopOrphan stops a server that outlived the Herald that started it.
func stopOrphan(ctx context.Context, pid int, data string) error {
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGINT, orphanFast}, {syscall.SIGQUIT, orphanNow}, {syscall.SIGKILL, orphanNow}} {
		if err := syscall.Kill(pid, step.sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the server that an earlier run left (process %d): %w", pid, err)
		}
		for end := time.Now().Add(step.wait); time.Now().Before(end); {
			args, err := commandLine(pid)
			if err != nil || !isServerOf(args, data) {
				return nil //nolint:nilerr // it is gone
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("stop the server that an earlier run left (process %d): %w", pid, ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return fmt.Errorf("the server that an earlier run left (process %d) does not end", pid)
}

// shmAttached reports whether processes are attached to the System V shared memory of that id; known is false where the
// system does not tell. A server that wrote no id had made no shared memory yet.
func shmAttached(shmid string) (attached, known bool) {
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		return false, false
	}
	for _, line := range strings.Split(string(text), "\n")[1:] {
		// key shmid perms size cpid lpid nattch ...
		if f := strings.Fields(line); len(f) > 6 && f[1] == shmid {
			return f[6] != "0", true
		}
	}
	return false, true
}
