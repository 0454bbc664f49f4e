package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticks is the unit of the times in /proc/PID/stat, the same on every Linux that Go runs on.
const ticks = 10 * time.Millisecond

const stopWithin = 30 * time.Second

// process is one of the processes under measurement.
type process struct {
	name string
	cmd  *exec.Cmd
	pid  int
	done chan struct{}
}

// spawn starts this program with other arguments. Its output goes to a file in dir.
func (r *rig) spawn(name string, args ...string) (*process, error) {
	out, err := os.Create(filepath.Join(r.dir, name+".log")) //nolint:gosec // in our own directory
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(r.opts.Binary, args...) //nolint:gosec,noctx // this program; it is stopped by a signal
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "HERALD_BOOTSTRAP_API_KEY="+apiKey)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt stops this program, and it stops them
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	p := &process{name: name, cmd: cmd, pid: cmd.Process.Pid, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); _ = out.Close(); close(p.done) }()
	return p, nil
}

// stop asks the process to end, waits, and kills it when it does not.
func (p *process) stop() time.Duration {
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return time.Since(began)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stat holds the fields of /proc/PID/stat that count here.
type stat struct {
	parent         int
	own, waitedFor time.Duration // CPU time of the process, and of its children that have ended
}

func readStat(pid int) (s stat, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold spaces
	f := strings.Fields(rest)
	if len(f) < 15 {
		return s, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	n := func(i int) time.Duration {
		v, _ := strconv.ParseInt(f[i], 10, 64)
		return time.Duration(v) * ticks
	}
	s.parent, _ = strconv.Atoi(f[1])
	s.own, s.waitedFor = n(11)+n(12), n(13)+n(14)
	return s, nil
}

// cpu is the CPU time of a process and of its children until now.
func cpu(pid int) time.Duration {
	s, err := readStat(pid)
	if err != nil {
		return 0
	}
	total := s.own + s.waitedFor
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return total
	}
	for _, e := range entries {
		if child, err := strconv.Atoi(e.Name()); err == nil {
			if s, err := readStat(child); err == nil && s.parent == pid {
				total += s.own
			}
		}
	}
	return total
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most memory that a process held at once.
func peakMemory(pid int) int64 {
	return statusBytes(pid, "VmHWM")
}

// memory is the resident memory of a process now.
func memory(pid int) int64 { return statusBytes(pid, "VmRSS") }

func statusBytes(pid int, name string) int64 {
	var kib int64
	_, _ = fmt.Sscanf(procField(fmt.Sprintf("/proc/%d/status", pid), name), "%d", &kib)
	return kib << 10
}

// procField is the value of a line "name: value" of a file below /proc.
func procField(path, name string) string {
	f, err := os.Open(path) //nolint:gosec // below /proc
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// until waits until ok says so.
func until(ctx context.Context, limit, every time.Duration, what string, ok func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", what, limit)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ownAllocations is how many objects this process has allocated.
func ownAllocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
