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
	"time"

	"github.com/herald-gateway/herald/internal/postgres/embedded"
	"github.com/herald-gateway/herald/internal/subcommand"
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

	return subcommand.Run([]string{"HERALD_TEST_DATABASE_URL=" + server.URL()}, name, args...)
}
