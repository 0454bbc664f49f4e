//go:build unix

// Command withserver runs a command with a throw-away PostgreSQL server: HERALD_TEST_DATABASE_URL names it, and it is
// gone when the command has ended, whose exit status is passed on.
//
//	go run ./internal/postgres/pgtest/withserver go test -tags integration ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/herald-gateway/herald/internal/postgres/embedded"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withserver COMMAND [ARGUMENT ...]")
		os.Exit(2)
	}
	status, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withserver:", err)
	}
	os.Exit(status)
}

// run gives the command's exit status, or 1 with an error when it could not be run.
func run(name string, args []string) (status int, err error) {
	// The command gets ^C from the terminal itself, and a SIGTERM from us; we stay to clean up after it.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	dir, err := os.MkdirTemp("", "herald-pg-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := embedded.Start(ctx, embedded.Config{Dir: dir, Settings: map[string]string{
		"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200",
	}})
	if err != nil {
		return 1, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err = errors.Join(err, server.Stop(ctx))
	}()

	cmd := exec.Command(name, args...) //nolint:gosec,noctx // it runs what it was told to, for as long as it takes
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HERALD_TEST_DATABASE_URL="+server.URL())
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig != os.Interrupt {
				_ = cmd.Process.Signal(sig)
			}
		case err := <-ended:
			var exit *exec.ExitError
			switch {
			case err == nil:
				return 0, nil
			case errors.As(err, &exit) && exit.ExitCode() >= 0:
				return exit.ExitCode(), nil
			default:
				return 1, err
			}
		}
	}
}
