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

const (
	initTimeout   = 2 * time.Minute
	removeTimeout = 5 * time.Second
)

// ensureData makes the data directory DIR/pg<major> unless it exists. It is made under another name, which is replaced
// when everything is on the disk: a crash in the middle leaves nothing that looks finished.
func ensureData(ctx context.Context, dir string, bin binaries, who account) (string, error) {
	data := filepath.Join(dir, "pg"+strconv.Itoa(bin.major))
	if _, err := os.Lstat(data); err == nil {
		return data, nil
	}
	temp := filepath.Join(dir, "init."+strconv.Itoa(bin.major))
	if err := removeAll(ctx, temp); err != nil {
		return "", err
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return "", err
	}
	if err := who.own(temp); err != nil {
		return "", err
	}
	if err := runInitdb(ctx, temp, bin, who); err != nil {
		return "", err
	}
	hba := "# Only the socket, whose directory is closed to others.\nlocal all all trust\n"
	if err := os.WriteFile(filepath.Join(temp, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return "", err
	}
	syscall.Sync() // initdb ran without
	if err := os.Rename(temp, data); err != nil {
		return "", err
	}
	return data, syncDir(dir)
}

// removeAll removes the remains of an initialisation. Its programs may take a moment to notice that they are alone.
func removeAll(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	for {
		err := os.RemoveAll(path)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func runInitdb(ctx context.Context, data string, bin binaries, who account) error {
	args := []string{
		"-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--data-checksums", "--no-sync", "--no-instructions",
	}
	if bin.major >= 17 {
		args = append(args, "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
	} else {
		args = append(args, "--locale=C.UTF-8")
	}
	out := &tail{}
	c, err := startChild(who, syscall.SIGKILL, out, bin.initdb, args...)
	if err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
		_ = syscall.Kill(-c.pid, syscall.SIGKILL) // its group: the servers that it runs too
		<-c.done
		return fmt.Errorf("initdb: %w", ctx.Err())
	}
	if c.err == nil {
		return nil
	}
	err = fmt.Errorf("initdb: %w: %s", c.err, out)
	if strings.Contains(out.String(), "could not look up effective user ID") {
		err = fmt.Errorf("%w (user id %d has no line in /etc/passwd: add one, or use nss_wrapper)", err, who.uid)
	}
	return err
}

// syncDir makes the names in the directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
