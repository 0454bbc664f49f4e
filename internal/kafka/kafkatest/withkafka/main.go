//go:build unix

// Command withkafka runs a command with a throw-away Apache Kafka broker: HERALD_TEST_KAFKA names its plain listener,
// HERALD_TEST_KAFKA_TLS the one with TLS and login, HERALD_TEST_KAFKA_CA the file of the authority that its certificate
// comes from, HERALD_TEST_KAFKA_LIBS the folder of its jars, for tests that need a broker to themselves. The broker is
// gone when the command has ended, whose exit status is passed on. It needs java and a folder with the broker's jars
// (deploy/dev/kafka/pom.xml).
//
//	go run ./internal/kafka/kafkatest/withkafka -libs bin/kafka go test ./internal/kafka/...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest/apache"
	"github.com/herald-gateway/herald/internal/subcommand"
)

func main() {
	libs := flag.String("libs", "bin/kafka", "folder of the broker's jars")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: withkafka [-libs FOLDER] COMMAND [ARGUMENT ...]")
		os.Exit(2)
	}
	status, err := run(*libs, flag.Arg(0), flag.Args()[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withkafka:", err)
	}
	os.Exit(status)
}

func run(libs, name string, args []string) (status int, err error) {
	dir, err := os.MkdirTemp("", "herald-kafka-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if libs, err = filepath.Abs(libs); err != nil {
		return 1, err
	}
	b, err := apache.Start(context.Background(), dir, libs)
	if err != nil {
		return 1, err
	}
	defer b.Stop()
	return subcommand.Run([]string{
		kafkatest.EnvBrokers + "=" + b.Addr(), kafkatest.EnvTLS + "=" + b.AddrTLS(), kafkatest.EnvCA + "=" + b.Authority(),
		kafkatest.EnvLibs + "=" + libs,
	}, name, args...)
}
