//go:build e2e

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// soon is how long a command may take to say that the brokers do not take it; most of it is the start of the database.
const soon = time.Minute

// A broker that refuses the settings ends `herald config check` and the start of `herald serve` at once, with one line
// that names the setting.
func TestKafka_EachFaultOfTheSettingsNamesItself(t *testing.T) {
	secured, ca := kafkatest.Secured(t, "PLAIN")
	plain := kafkatest.Broker(t)[0]
	const login = "sasl: {mechanism: plain, user: " + kafkatest.User + ", password: %s}"
	encryption := fmt.Sprintf("tls: {enabled: true, ca_file: %q}", ca)
	good := fmt.Sprintf(login, kafkatest.Password)

	w := newWorld(t, sim.Config{})
	require.Contains(t, w.says("config", "check", "--config", w.kafkaConfig(secured, encryption, good)), "is good")
	for _, tc := range []struct {
		name, broker   string
		settings       []string
		setting, fault string
	}{
		{
			"wrong password", secured,
			[]string{encryption, fmt.Sprintf(login, "wrong")},
			"kafka.sasl.password", "user or password is wrong",
		},
		{
			"unknown authority", secured,
			[]string{"tls: {enabled: true}", good},
			"kafka.tls.ca_file", "its certificate comes from an unknown authority",
		},
		{
			"another name", secured,
			[]string{fmt.Sprintf("tls: {enabled: true, ca_file: %q, server_name: kafka.example}", ca), good},
			"kafka.tls.server_name", "its certificate is for another name",
		},
		{"no tls", secured, []string{good}, "kafka.tls.enabled", "it expects tls on this port"},
		{"no tls and no login", secured, nil, "kafka.tls.enabled", "it expects tls on this port"},
		{"no login", secured, []string{encryption}, "kafka.sasl.mechanism", "it expects a login"},
		{"tls to a plain port", plain, []string{encryption}, "kafka.tls.enabled", "it does not speak tls on this port"},
	} {
		config := w.kafkaConfig(tc.broker, tc.settings...)
		want := fmt.Sprintf("%s: broker %s: %s: ", tc.setting, tc.broker, tc.fault)
		for command, prefix := range map[string]string{"config check": "herald: ", "serve": "herald: start broker: "} {
			began := time.Now()
			out := w.refuses(append(strings.Fields(command), "--config", config)...)
			require.Less(t, time.Since(began), soon, "%s, %s", tc.name, command)
			line := spoken(out)
			require.Len(t, line, 1, "%s, %s: %s", tc.name, command, out)
			require.True(t, strings.HasPrefix(line[0], prefix+want), "%s, %s: %s", tc.name, command, line[0])
		}
	}
}

// Every broker of the list is tried. One that is away is no fault of the settings: the check names it, and a start waits
// for it and says so.
func TestKafka_BrokersThatAreAway(t *testing.T) {
	w := newWorld(t, sim.Config{})
	there := kafkatest.Broker(t)[0]
	began := time.Now()
	out := w.refuses("config", "check", "--config", w.kafkaConfig("127.0.0.1:1, "+there+", 127.0.0.1:2"))
	require.Less(t, time.Since(began), soon)
	lines := spoken(out)
	require.Len(t, lines, 2, out)
	require.Contains(t, lines[0], "kafka.brokers: broker 127.0.0.1:1 cannot be reached: ")
	require.Contains(t, lines[1], "kafka.brokers: broker 127.0.0.1:2 cannot be reached: ")

	cmd := exec.CommandContext(t.Context(), binary, "serve", "--data", w.dir, "--config", w.kafkaConfig("127.0.0.1:1"))
	log := new(logged)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	w.eventually(soon, "it says what it waits for", func() bool {
		return strings.Contains(log.String(), "broker away, waiting") &&
			strings.Contains(log.String(), "kafka.brokers: broker 127.0.0.1:1 cannot be reached")
	})
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), log.String())
}

// kafkaConfig writes the configuration of a process that uses these brokers.
func (w *world) kafkaConfig(brokers string, settings ...string) string {
	w.Helper()
	text := fmt.Sprintf("http: {private: \"127.0.0.1:0\", public: \"127.0.0.1:0\"}\nlog: {level: warn, format: json}\n"+
		"kafka:\n  brokers: [%s]\n", brokers)
	for _, s := range settings {
		text += "  " + s + "\n"
	}
	file, err := os.CreateTemp(w.TempDir(), "*.yaml")
	require.NoError(w, err)
	_, err = file.WriteString(text)
	require.NoError(w, err)
	require.NoError(w, file.Close())
	return file.Name()
}

// spoken are the lines of an output that are not of the log.
func spoken(out string) (lines []string) {
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '{' {
			lines = append(lines, line)
		}
	}
	return lines
}

// logged is what a running process has written so far.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
