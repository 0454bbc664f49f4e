//go:build unix

// Package apache runs an Apache Kafka broker for tests. It needs java and a folder with the broker's jars
// (deploy/dev/kafka/pom.xml).
package apache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 20 * time.Second
)

// Broker is one Apache Kafka that is its own controller, in a process of its own.
type Broker struct {
	dir, classes           string
	plain, tls, controller string
	cmd                    *exec.Cmd
	ended                  chan struct{}
}

// Start makes a broker with its data in dir and its jars in libs, and starts it. It ends by Stop or Kill.
func Start(ctx context.Context, dir, libs string) (*Broker, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	b := &Broker{dir: dir, classes: filepath.Join(libs, "*")}
	for _, step := range []func(context.Context) error{b.addresses, b.configure, b.format, b.Serve} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("apache kafka: %w", err)
		}
	}
	return b, nil
}

// Addr is the address of the plain listener.
func (b *Broker) Addr() string { return b.plain }

// AddrTLS is the address of the listener that speaks TLS and asks for a login.
func (b *Broker) AddrTLS() string { return b.tls }

// Authority is the file of the authority that the certificate of the listener with TLS comes from.
func (b *Broker) Authority() string { return filepath.Join(b.dir, "ca.pem") }

func (b *Broker) format(ctx context.Context) error {
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
	return nil
}

// addresses finds three free ports; they are held together for a moment, so that they differ.
func (b *Broker) addresses(ctx context.Context) error {
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

func (b *Broker) path(name string) string { return filepath.Join(b.dir, name) }

func (b *Broker) java(ctx context.Context, class string, args ...string) *exec.Cmd {
	all := append([]string{
		"-Xms256m", "-Xmx512m", "-Djava.awt.headless=true", "-Dlog4j2.configurationFile=file:" + b.path("log4j2.properties"),
		"-cp", b.classes, class,
	}, args...)
	return exec.CommandContext(ctx, "java", all...) //nolint:gosec // a broker that the developer asked for
}

func (b *Broker) configure(context.Context) error {
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
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + b.Authority(),
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

// Serve starts the process and waits until both listeners accept. After Stop or Kill it starts the same broker again.
func (b *Broker) Serve(ctx context.Context) error {
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
			b.Kill()
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

// Stop ends the process as an operator does, and by force when that takes too long.
func (b *Broker) Stop() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(stopTimeout):
		b.Kill()
	}
}

// Kill ends the process as kill -9 does.
func (b *Broker) Kill() {
	_ = b.cmd.Process.Kill()
	<-b.ended
}

// Signal sends the process a signal, such as SIGSTOP.
func (b *Broker) Signal(sig os.Signal) error { return b.cmd.Process.Signal(sig) }
