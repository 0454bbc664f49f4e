//go:build unix

package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	socketName = ".s.PGSQL.5432"
	// maxSocketPath stays below the 107 bytes that sun_path of sockaddr_un holds (103 on macOS).
	maxSocketPath = 100
	database      = "herald"
	superuser     = "herald"
)

// makeDir makes the directory of everything and returns its path without symbolic links.
func makeDir(dir string, who account) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(abs, 0o711); err != nil { //nolint:gosec // the server's user must pass, others cannot list
		return "", err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if who.switched && !who.mayTraverse(info) {
		if err := os.Chmod(abs, info.Mode().Perm()|0o011); err != nil {
			return "", err
		}
	}
	return abs, who.checkParents(abs)
}

// lockDir refuses a directory that another process uses. The lock ends with the process, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by another Herald (process %s)", dir, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// existingMajor is the version of the data directory that is there, 0 when there is none.
func existingMajor(dir string) (int, error) {
	found, err := filepath.Glob(filepath.Join(escapeGlob(dir), "pg[0-9]*"))
	if err != nil {
		return 0, err
	}
	if len(found) > 1 {
		return 0, fmt.Errorf("there are several data directories (%s): move away all but the one to use",
			strings.Join(found, ", "))
	}
	if len(found) == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(found[0], "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("%s is not a data directory of PostgreSQL: %w", found[0], err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("version of %s: %w", found[0], err)
	}
	if want := "pg" + strconv.Itoa(major); filepath.Base(found[0]) != want {
		return 0, fmt.Errorf("%s holds data of PostgreSQL %d: it should be named %s", found[0], major, want)
	}
	return major, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// socketDir makes the directory of the socket: DIR/run, or one in a temp directory when that path would be too long.
func socketDir(dir string, who account) (string, error) {
	run := filepath.Join(dir, "run")
	if fits(run) {
		return run, ownDir(run, who)
	}
	sum := sha256.Sum256([]byte(dir))
	name := "herald-" + hex.EncodeToString(sum[:6])
	for _, temp := range []string{os.TempDir(), "/tmp"} {
		path := filepath.Join(temp, name)
		if fits(path) && who.checkParents(path) == nil {
			return path, ownDir(path, who)
		}
	}
	return "", fmt.Errorf("no directory with a path short enough for a socket: tried %s, %s and /tmp", run, os.TempDir())
}

func fits(dir string) bool { return len(filepath.Join(dir, socketName)) <= maxSocketPath }

// ownDir makes a directory that nobody but the server's user may enter. One that exists is taken only if it is such:
// in a temp directory somebody else could have made it.
func ownDir(path string, who account) error {
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	case ok && stat.Uid != who.uid && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d: it is not used, because that user could stand between Herald and its "+
			"database; remove it", path, stat.Uid)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s may be entered by others (mode %04o): remove it or make it 0700", path, info.Mode().Perm())
	}
	return who.own(path)
}

// dsn is the connection string of a database behind the socket.
func dsn(socketDir, name string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + name}
	u.RawQuery = url.Values{"host": {socketDir}, "user": {superuser}, "sslmode": {"disable"}}.Encode()
	return u.String()
}
