//go:build unix

package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/postgres/embedded"
)

// helperVariable makes the test binary a Herald that runs a server in the directory which it names, to be killed.
const helperVariable = "HERALD_EMBEDDED_HELPER"

func TestMain(m *testing.M) {
	dir := os.Getenv(helperVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := embedded.Start(context.Background(), config(dir))
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.Pid())
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
	os.Exit(1)
}

// config is small and, as crashes are part of the tests, durable.
func config(dir string) embedded.Config {
	return embedded.Config{Dir: dir, Settings: map[string]string{"shared_buffers": "16MB", "max_connections": "20"}}
}

// reachable is an empty directory that the server's user can reach, unlike t.TempDir when the tests run as root.
func reachable(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hpg") //nolint:usetesting // see above
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func start(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t testing.TB, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

// connect opens a pool, as Herald has one.
func connect(t testing.TB, s *embedded.Server) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.URL())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func put(t testing.TB, s *embedded.Server, text string) {
	t.Helper()
	_, err := connect(t, s).Exec(t.Context(),
		"create table if not exists kept (v text); insert into kept values ('"+text+"')", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

func kept(t testing.TB, s *embedded.Server) (all string) {
	t.Helper()
	require.NoError(t, connect(t, s).QueryRow(t.Context(), "select string_agg(v, ',' order by v) from kept").Scan(&all))
	return all
}

// eventually waits for a fact.
func eventually(t testing.TB, within time.Duration, fact func() bool, what string) {
	t.Helper()
	require.Eventually(t, fact, within, 10*time.Millisecond, what)
}

// exists is false for a process that has ended and that its new parent has not yet waited for.
func exists(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(text) > 0
}

// testBinary is a copy of the running test that every user can run.
func testBinary(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	path := filepath.Join(reachable(t), "herald.test")
	require.NoError(t, os.WriteFile(path, program, 0o700))
	require.NoError(t, os.Chmod(path, 0o755))
	return path
}

// helper is another Herald, in a process of its own.
type helper struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func startHelper(t testing.TB, dir string, who *syscall.Credential) *helper {
	t.Helper()
	cmd := exec.Command(testBinary(t))
	cmd.Env = append(os.Environ(), helperVariable+"="+dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h := &helper{cmd, bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = in.Close()
		h.kill()
	})
	return h
}

// line is what the helper says: the process of its server, or an error.
func (h *helper) line(t testing.TB) string {
	t.Helper()
	line, err := h.out.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func (h *helper) server(t testing.TB) int {
	t.Helper()
	line := h.line(t)
	pid, err := strconv.Atoi(line)
	require.NoError(t, err, line)
	return pid
}

// kill is kill -9, after which the helper is waited for.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// serverUser is who runs the server: nil for the user of this process.
func serverUser(t testing.TB, s *embedded.Server) *syscall.Credential {
	t.Helper()
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(s.DataDir(), &st))
	if int(st.Uid) == os.Geteuid() {
		return nil
	}
	return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}
}
