//go:build unix

// Command withkafka runs a command with a throw-away Apache Kafka broker: HERALD_TEST_KAFKA names its plain listener,
// HERALD_TEST_KAFKA_TLS the one with TLS and login, HERALD_TEST_KAFKA_CA the file of the authority that its certificate
// comes from. The broker is gone when the command has ended, whose exit status is passed on. It needs java and a folder with
// the broker's jars (deploy/dev/kafka/pom.xml).
//
//	go run ./internal/kafka/kafkatest/withkafka -libs bin/kafka go test ./internal/kafka/...
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
	"github.com/herald-gateway/herald/internal/subcommand"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 20 * time.Second
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
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	b := &broker{dir: dir, classes: filepath.Join(libs, "*")}
	if err := b.start(ctx); err != nil {
		return 1, err
	}
	defer b.stop()
	return subcommand.Run([]string{
		kafkatest.EnvBrokers + "=" + b.plain, kafkatest.EnvTLS + "=" + b.tls, kafkatest.EnvCA + "=" + b.authority(),
	}, name, args...)
}

// broker is one Apache Kafka that is its own controller.
type broker struct {
	dir, classes           string
	plain, tls, controller string
	cmd                    *exec.Cmd
	ended                  chan struct{}
}

func (b *broker) authority() string { return filepath.Join(b.dir, "ca.pem") }

func (b *broker) start(ctx context.Context) error {
	if err := b.addresses(ctx); err != nil {
		return err
	}
	if err := b.configure(); err != nil {
		return err
	}
	out, err := b.java(ctx, "kafka.tools.StorageTool", "random-uuid").Output()
	if err != nil {
		return fmt.Errorf("StorageTool random-uuid: %w", err)
	}
	id := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
	out, err = b.java(ctx, "kafka.tools.StorageTool", "format", "-t", string(bytes.TrimSpace(id)), "-c", b.path("server.properties"),
		"--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", kafkatest.User, kafkatest.Password),
		"--add-scram", fmt.Sprintf("SCRAM-SHA-256=[name=%s,password=%s]", kafkatest.User, kafkatest.Password)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("StorageTool format: %w: %s", err, out)
	}
	return b.serve(ctx)
}

// addresses finds three free ports; they are held together for a moment, so that they differ.
func (b *broker) addresses(ctx context.Context) error {
	for _, addr := range []*string{&b.plain, &b.tls, &b.controller} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		*addr = l.Addr().String()
	}
	return nil
}

func (b *broker) path(name string) string { return filepath.Join(b.dir, name) }

func (b *broker) java(ctx context.Context, class string, args ...string) *exec.Cmd {
	all := append([]string{
		"-Xms256m", "-Xmx512m", "-Djava.awt.headless=true", "-Dlog4j2.configurationFile=file:" + b.path("log4j2.properties"),
		"-cp", b.classes, class,
	}, args...)
	return exec.CommandContext(ctx, "java", all...) //nolint:gosec // a broker that the developer asked for
}

func (b *broker) configure() error {
	if err := b.certify(); err != nil {
		return err
	}
	listeners := fmt.Sprintf("PLAINTEXT://%s,SASL_SSL://%s", b.plain, b.tls)
	properties := []string{
		"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@" + b.controller,
		"listeners=" + listeners + ",CONTROLLER://" + b.controller, "advertised.listeners=" + listeners,
		"controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
		"log.dirs=" + b.path("data"), "auto.create.topics.enable=false", "group.initial.rebalance.delay.ms=0",
		"offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1", "share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		fmt.Sprintf("listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=%q;",
			kafkatest.User, kafkatest.Password),
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + b.path("server.pem"),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + b.authority(),
	}
	logging := []string{
		"status=error", "appender.f.type=File", "appender.f.name=f", "appender.f.fileName=" + b.path("server.log"),
		"appender.f.layout.type=PatternLayout", "rootLogger.level=warn", "rootLogger.appenderRef.f.ref=f",
	}
	return errors.Join(
		os.WriteFile(b.path("server.properties"), []byte(strings.Join(properties, "\n")), 0o600),
		os.WriteFile(b.path("log4j2.properties"), []byte(strings.Join(logging, "\n")), 0o600),
	)
}

// serve starts the broker itself and waits until both listeners accept.
func (b *broker) serve(ctx context.Context) error {
	b.cmd = b.java(context.WithoutCancel(ctx), "kafka.Kafka", b.path("server.properties"))
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C reaches the command; the broker ends after it
	var output bytes.Buffer
	b.cmd.Stdout, b.cmd.Stderr = &output, &output
	if err := b.cmd.Start(); err != nil {
		return err
	}
	b.ended = make(chan struct{})
	go func() { _ = b.cmd.Wait(); close(b.ended) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if accepts(ctx, b.plain) && accepts(ctx, b.tls) {
			return nil
		}
		select {
		case <-tick.C:
		case <-b.ended:
			text, _ := os.ReadFile(b.path("server.log"))
			return fmt.Errorf("the broker ended: %s%s", output.Bytes(), text)
		case <-ctx.Done():
			b.stop()
			return fmt.Errorf("the broker does not accept connections: %w", ctx.Err())
		}
	}
}

func accepts(ctx context.Context, addr string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (b *broker) stop() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(stopTimeout):
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
}
