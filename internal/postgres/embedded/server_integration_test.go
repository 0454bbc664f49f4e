//go:build unix && integration

package embedded_test

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/postgres/embedded"
)

func TestServer_ColdAndWarm(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachable(t), "deep", "data")
	began := time.Now()
	s := start(t, config(dir))
	t.Logf("cold start %s", time.Since(began))
	require.NoError(t, s.Ready())
	require.Zero(t, s.Restarts())
	put(t, s, "first")
	group, err := syscall.Getpgid(s.Pid())
	require.NoError(t, err)
	require.Equal(t, s.Pid(), group, "^C in a terminal does not reach the server")
	for path, mode := range map[string]os.FileMode{dir: 0o711, s.DataDir(): 0o700, filepath.Join(dir, "run"): 0o700} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	pool := connect(t, s)
	var port, upper string
	require.NoError(t, pool.QueryRow(t.Context(), "select current_setting('listen_addresses'), upper('привет')").
		Scan(&port, &upper))
	require.Empty(t, port, "there is no TCP port")
	require.Equal(t, "ПРИВЕТ", upper)
	conn, err := pool.Acquire(t.Context()) // a client that stays connected does not delay the stop
	require.NoError(t, err)
	defer conn.Release()
	began = time.Now()
	stop(t, s)
	t.Logf("stop %s", time.Since(began))
	require.Less(t, time.Since(began), 10*time.Second)
	require.Error(t, s.Ready())
	require.Zero(t, s.Pid())
	stop(t, s)
	began = time.Now()
	s = start(t, config(dir))
	t.Logf("warm start %s", time.Since(began))
	require.Equal(t, "first", kept(t, s))
}

func TestServer_SecondInstanceIsRefused(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	s := start(t, config(dir))
	_, err := embedded.Start(t.Context(), config(dir))
	require.ErrorContains(t, err, "in use by another Herald (process "+strconv.Itoa(os.Getpid())+")")
	require.NoError(t, s.Ready())
	put(t, s, "undisturbed")
}

func TestServer_HeraldIsKilled(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	s := start(t, config(dir))
	put(t, s, "kept")
	stop(t, s)
	h := startHelper(t, dir, nil)
	pid := h.server(t)
	require.True(t, exists(pid))
	began := time.Now()
	h.kill()
	eventually(t, 5*time.Second, func() bool { return !exists(pid) }, "the server ends with Herald")
	t.Logf("server down %s after kill -9 of Herald", time.Since(began))
	require.NoFileExists(t, filepath.Join(s.DataDir(), "postmaster.pid"), "it shut down cleanly")
	s = start(t, config(dir))
	require.Equal(t, "kept", kept(t, s))
}

func TestServer_HeraldIsKilledAndStartedAtOnce(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	h := startHelper(t, dir, nil)
	h.server(t)
	h.kill()
	put(t, start(t, config(dir)), "works")
}

func TestServer_PostmasterIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, config(reachable(t)))
	put(t, s, "kept")
	pool := connect(t, s)
	require.NoError(t, pool.Ping(t.Context()))
	for round := 1; round <= 2; round++ {
		began := time.Now()
		require.NoError(t, syscall.Kill(s.Pid(), syscall.SIGKILL))
		eventually(t, 20*time.Second, func() bool { return s.Restarts() >= round && s.Ready() == nil }, "restarted")
		eventually(t, 5*time.Second, func() bool { return pool.Ping(t.Context()) == nil }, "the same pool works")
		t.Logf("back %s after kill -9 of the postmaster", time.Since(began))
	}
	require.Equal(t, "kept", kept(t, s))
}

func TestServer_BackendIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, config(reachable(t)))
	put(t, s, "kept")
	pool := connect(t, s)
	var pid int
	require.NoError(t, pool.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&pid))
	began := time.Now()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, 20*time.Second, func() bool {
		var n int
		return pool.QueryRow(t.Context(), "select count(*) from kept").Scan(&n) == nil && n == 1
	}, "the same pool works")
	t.Logf("back %s after kill -9 of a backend", time.Since(began))
	require.Zero(t, s.Restarts(), "the server deals with it itself")
	require.NoError(t, s.Ready())
}

// stopped is a directory with a server that has run; writePidFile leaves a postmaster.pid there.
func stopped(t testing.TB) (dir string, s *embedded.Server) {
	t.Helper()
	dir = reachable(t)
	s = start(t, config(dir))
	put(t, s, "kept")
	stop(t, s)
	return dir, s
}

func writePidFile(t testing.TB, s *embedded.Server, pid int) {
	t.Helper()
	text := strings.Join([]string{
		strconv.Itoa(pid), s.DataDir(), "1700000000", "5432", "/tmp", "", "  1234567  987654321", "ready", "",
	}, "\n")
	path := filepath.Join(s.DataDir(), "postmaster.pid")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	if who := serverUser(t, s); who != nil {
		require.NoError(t, os.Chown(path, int(who.Uid), int(who.Gid)))
	}
}

func TestServer_StalePidFile(t *testing.T) {
	t.Parallel()
	dir, s := stopped(t)
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	writePidFile(t, s, dead.Process.Pid)
	s = start(t, config(dir))
	require.Equal(t, "kept", kept(t, s))
	stop(t, s)
	require.NoError(t, os.WriteFile(filepath.Join(s.DataDir(), "postmaster.pid"), nil, 0o600))
	require.Equal(t, "kept", kept(t, start(t, config(dir))), "an empty file")
}

// startStranger starts a program as the server's user.
func startStranger(t testing.TB, s *embedded.Server, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser(t, s)}
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-ended
	})
	return cmd
}

func TestServer_PidIsReused(t *testing.T) {
	t.Parallel()
	dir, s := stopped(t)
	stranger := startStranger(t, s, "sleep", "600")
	writePidFile(t, s, stranger.Process.Pid)
	require.Equal(t, "kept", kept(t, start(t, config(dir))))
	require.True(t, exists(stranger.Process.Pid), "the stranger is left alone")
}

// runByHand starts a server on the data directory without Herald and waits until it is ready.
func runByHand(t testing.TB, s *embedded.Server, data string) int {
	t.Helper()
	cmd := startStranger(t, s, serverProgram(t), "-D", data, "-c", "listen_addresses=", "-c", "shared_buffers=16MB",
		"-c", "unix_socket_directories="+socketDir(t, s))
	eventually(t, 20*time.Second, func() bool {
		text, err := os.ReadFile(filepath.Join(s.DataDir(), "postmaster.pid"))
		return err == nil && strings.Contains(string(text), "ready")
	}, "the server by hand is ready")
	return cmd.Process.Pid
}

func serverProgram(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	require.NoError(t, err)
	require.NotEmpty(t, found, "install postgresql")
	return found[len(found)-1]
}

func TestServer_LiveOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir, s := stopped(t)
	orphan := runByHand(t, s, s.DataDir())
	s = start(t, config(dir))
	require.NotEqual(t, orphan, s.Pid())
	require.Equal(t, "kept", kept(t, s))
	eventually(t, time.Second, func() bool { return !exists(orphan) }, "the orphan is gone")
}

func TestServer_ForeignServerOnTheDataIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir, s := stopped(t)
	other := filepath.Join(dir, "other-name")
	require.NoError(t, os.Symlink(s.DataDir(), other))
	pid := runByHand(t, s, other)
	_, err := embedded.Start(t.Context(), config(dir))
	require.ErrorContains(t, err, "still use its shared memory")
	require.True(t, exists(pid))
}

// snapshot lists a directory with the contents of its files.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			out[path] = "dir"
			return err
		}
		text, err := os.ReadFile(path)
		out[path] = string(text)
		return err
	}))
	return out
}

func TestServer_ForeignDataIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		err   string
	}{
		"older major":      {map[string]string{"pg9/PG_VERSION": "9\n", "pg9/base/1": "data"}, "of PostgreSQL 9"},
		"newer major":      {map[string]string{"pg99/PG_VERSION": "99\n", "pg99/base/1": "data"}, "of PostgreSQL 99"},
		"wrong name":       {map[string]string{"pg15/PG_VERSION": "18\n", "pg15/base/1": "data"}, "should be named pg18"},
		"two directories":  {map[string]string{"pg15/PG_VERSION": "15\n", "pg16/PG_VERSION": "16\n"}, "several data dir"},
		"without version":  {map[string]string{"pg15/base/1": "data"}, "not a data directory"},
		"version in words": {map[string]string{"pg15/PG_VERSION": "fifteen"}, "version of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := reachable(t)
			for path, text := range c.files {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600))
			}
			before := snapshot(t, dir)
			_, err := embedded.Start(t.Context(), config(dir))
			require.ErrorContains(t, err, c.err)
			after := snapshot(t, dir)
			delete(after, filepath.Join(dir, "lock"))
			require.Equal(t, before, after)
		})
	}
}

func TestServer_CrashInInitdb(t *testing.T) {
	t.Parallel()
	dir := reachable(t)
	h := startHelper(t, dir, nil)
	var temp string
	eventually(t, 20*time.Second, func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "init.*", "PG_VERSION"))
		temp = strings.Join(found, "")
		return len(found) == 1
	}, "initdb is at work")
	h.kill()
	require.FileExists(t, temp)
	found, err := filepath.Glob(filepath.Join(dir, "pg*"))
	require.NoError(t, err)
	require.Empty(t, found, "nothing looks finished")
	put(t, start(t, config(dir)), "works")
	require.NoFileExists(t, temp)
}

func TestServer_LongPathAndHostileSocketDirectory(t *testing.T) {
	t.Parallel()
	base := reachable(t)
	dir := filepath.Join(base, strings.Repeat("long-path-", 12))
	s := start(t, config(dir))
	put(t, s, "kept")
	socket := socketDir(t, s)
	require.NotContains(t, socket, "long-path")
	stop(t, s)
	require.NoDirExists(t, socket)
	require.NoError(t, os.Mkdir(socket, 0o700))
	s = start(t, config(dir))
	require.Equal(t, "kept", kept(t, s), "what a run that was killed left is taken again")
	stop(t, s)

	cases := map[string]func() error{
		"may be entered by others": func() error { return errors.Join(os.Mkdir(socket, 0o700), os.Chmod(socket, 0o777)) },
		"is not a directory":       func() error { return os.Symlink(base, socket) },
	}
	if os.Geteuid() == 0 { // only root can make a directory of somebody else
		cases["belongs to user 54321"] = func() error {
			return errors.Join(os.Mkdir(socket, 0o700), os.Chown(socket, 54321, 54321))
		}
	}
	for want, hostile := range cases {
		require.NoError(t, hostile())
		_, err := embedded.Start(t.Context(), config(dir))
		require.ErrorContains(t, err, want)
		require.NoError(t, os.RemoveAll(socket))
	}
}

func socketDir(t testing.TB, s *embedded.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL())
	require.NoError(t, err)
	return u.Query().Get("host")
}

// hangable makes a folder of programs whose server hangs at its start while the file at the returned path exists.
func hangable(t testing.TB) (binDir, flag string) {
	t.Helper()
	binDir = reachable(t)
	flag = filepath.Join(binDir, "hang")
	real := serverProgram(t)
	require.NoError(t, os.Symlink(filepath.Join(filepath.Dir(real), "initdb"), filepath.Join(binDir, "initdb")))
	script := "#!/bin/sh\n[ \"$1\" = -D ] && [ -e " + flag + " ] && exec sleep 600\nexec " + real + " \"$@\"\n"
	path := filepath.Join(binDir, "postgres")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	require.NoError(t, os.Chmod(path, 0o755))
	return binDir, flag
}

func TestServer_RestartThatHangs(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	var flag string
	cfg.BinDir, flag = hangable(t)
	cfg.StartTimeout = 4 * time.Second
	s := start(t, cfg)
	put(t, s, "kept")
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	require.NoError(t, syscall.Kill(s.Pid(), syscall.SIGKILL))
	eventually(t, 20*time.Second, func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "did not start within 4s")
	}, "the start times out")
	eventually(t, 20*time.Second, func() bool { return s.Restarts() >= 2 }, "supervision goes on")
	require.NoError(t, os.Remove(flag))
	eventually(t, 20*time.Second, func() bool { return s.Ready() == nil }, "it runs again")
	require.Equal(t, "kept", kept(t, s))
}

func TestServer_StopDuringRestart(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	var flag string
	cfg.BinDir, flag = hangable(t)
	s := start(t, cfg)
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	require.NoError(t, syscall.Kill(s.Pid(), syscall.SIGKILL))
	eventually(t, 10*time.Second, func() bool { return s.Restarts() == 1 }, "the restart is under way")
	began := time.Now()
	stop(t, s)
	require.Less(t, time.Since(began), 3*time.Second)
	put(t, start(t, config(cfg.Dir)), "the directory is free")
}

func TestServer_StopInAHurry(t *testing.T) {
	t.Parallel()
	s := start(t, config(reachable(t)))
	require.NoError(t, syscall.Kill(s.Pid(), syscall.SIGSTOP)) // it hears only SIGKILL
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	require.NoError(t, s.Stop(ctx))
	require.Less(t, time.Since(began), 15*time.Second)
}

func TestServer_StartIsGivenUp(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	var flag string
	cfg.BinDir, flag = hangable(t)
	stop(t, start(t, cfg))
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	cfg.StartTimeout = time.Second
	_, err := embedded.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "did not start within 1s")
	require.NoError(t, os.Remove(flag))
	put(t, start(t, config(cfg.Dir)), "the directory is free")
}

func TestServer_SettingThatDoesNotExist(t *testing.T) {
	t.Parallel()
	cfg := config(reachable(t))
	cfg.Settings["no_such_setting"] = "1"
	_, err := embedded.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "no_such_setting", "the server's own words are in the error")
}

func TestRoot_ParentIsClosed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // another user starts the server as itself
	}
	closed := filepath.Join(reachable(t), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	_, err := embedded.Start(t.Context(), config(filepath.Join(closed, "data")))
	require.ErrorContains(t, err, "cannot enter "+closed+" (mode 0700)")
}

func TestRoot_UserWithoutName(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // only root can become another user
	}
	dir := reachable(t)
	require.NoError(t, os.Chown(dir, 54321, 54321))
	h := startHelper(t, dir, &syscall.Credential{Uid: 54321, Gid: 54321})
	require.Contains(t, h.line(t), "could not look up effective user ID 54321")
}

// TestNormalUser runs all the tests of the server once more as a user without privileges.
func TestNormalUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // they run as one anyway
	}
	const nobody = 65534
	home := reachable(t)
	require.NoError(t, os.Chown(home, nobody, nobody))
	cmd := exec.CommandContext(t.Context(), testBinary(t), "-test.run=^TestServer_", "-test.count=1")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+home, "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
