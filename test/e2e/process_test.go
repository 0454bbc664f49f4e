//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/app"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/kafka/kafkatest"
	"github.com/herald-gateway/herald/providers/smpp/sim"
	"github.com/herald-gateway/herald/tracking/reports"
)

// binary is the herald that all tests run.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "herald-e2e")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "herald")
	build := exec.Command("go", "build", "-race", "-o", binary, "github.com/herald-gateway/herald/cmd/herald")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// full says that the tests run in full size.
func full() bool { return os.Getenv("HERALD_CHAOS") == "full" }

// size chooses a count by the size of the run.
func size(short, long int) int {
	if full() {
		return long
	}
	return short
}

// window is how many slots the account of the tests has: binds × window.
const window = 2 * 50

// world is a data directory, an SMSC, and the processes that share them.
type world struct {
	*testing.T
	place
	dir    string
	prefix string // of topics and groups
	smsc   *sim.Server
	port   int // of the embedded broker
	// settings are further settings of the account.
	settings string
	patience string // how long the account waits for an answer
	more     string // further configuration of every process
}

// place is the database and the brokers that a process uses. What is empty it brings itself.
type place struct{ database, brokers string }

// newWorld makes a world with its SMSC. Its first process brings database and broker, unless the tests run on an external
// Kafka.
func newWorld(t *testing.T, smsc sim.Config) *world {
	t.Helper()
	smsc.Keep = true
	s, err := sim.Start(smsc)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	w := &world{T: t, dir: dataDir(t), prefix: "herald", smsc: s, port: freePort(t), patience: "3s"}
	if kafkatest.External() {
		w.brokers, w.prefix = strings.Join(kafkatest.Broker(t), ","), kafkatest.Prefix()
	}
	return w
}

// dataDir is a directory that the database's user may enter.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "herald-data") //nolint:usetesting // the parent of t.TempDir is closed to other users
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// account is the provider that every process has, and what the test wants besides.
func (w *world) account() string {
	return fmt.Sprintf(`
providers:
  - {name: smsc, type: smpp, channel: sms, settings: {addr: %q, system_id: herald, source: SHOP, binds: 2, window: 50, resp_timeout: %s, %s}}
%s
`, w.smsc.Addr(), w.patience, w.settings, w.more)
}

// process is a running herald.
type process struct {
	w    *world
	cmd  *exec.Cmd
	info app.RunInfo
	key  string
	done chan error
}

// up starts `herald up` in the world's data directory and waits until it is ready.
func (w *world) up() *process { return w.start("up", w.dir, w.place) }

// start starts a process with the data directory dir and waits until it is ready.
func (w *world) start(command, dir string, at place) *process {
	w.Helper()
	p := w.launch(command, dir, at)
	w.eventually(time.Minute, "the process is ready", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "run.json"))
		return err == nil && json.Unmarshal(b, &p.info) == nil
	})
	return p
}

// launch starts a process and does not wait.
func (w *world) launch(command, dir string, at place) *process {
	w.Helper()
	brokers, err := json.Marshal(strings.FieldsFunc(at.brokers, func(r rune) bool { return r == ',' }))
	require.NoError(w, err)
	cfg := filepath.Join(dir, "herald.yaml")
	text := fmt.Sprintf(`
data: %s
process: %s
log: {level: info, format: text}
http: {private: "127.0.0.1:0", public: "127.0.0.1:0"}
postgres: {url: %q}
kafka: {listen: "127.0.0.1:%d", prefix: %s, brokers: %s}
%s`, dir, filepath.Base(dir), at.database, w.port, w.prefix, brokers, w.account())
	require.NoError(w, os.WriteFile(cfg, []byte(text), 0o600))
	_ = os.Remove(filepath.Join(dir, "run.json"))
	p := &process{w: w, done: make(chan error, 1)}
	p.cmd = exec.Command(binary, append(strings.Fields(command), "--config", cfg)...)
	out, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w, err)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), "HERALD_BOOTSTRAP_API_KEY=hk_test")
	require.NoError(w, p.cmd.Start())
	go func() { p.done <- p.cmd.Wait(); _ = out.Close() }()
	w.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if w.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "log"))
			w.Logf("log of %s (end):\n%s", dir, b[max(0, len(b)-12000):])
		}
	})
	p.key = "hk_test"
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	require.NoError(p.w, p.cmd.Process.Kill())
	<-p.done //nolint:errcheck // it says that the process was killed
}

// term ends it as an operator does, and returns how long it took.
func (p *process) term() time.Duration {
	began := time.Now()
	require.NoError(p.w, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.w, <-p.done)
	return time.Since(began)
}

// signalPostgres signals the embedded database's server.
func (w *world) signalPostgres(sig syscall.Signal) {
	pid := w.postgresPID()
	require.NotZero(w, pid)
	require.NoError(w, syscall.Kill(pid, sig))
}

// postgresPID is the process of the embedded database's server, 0 while it has none.
func (w *world) postgresPID() int {
	files, err := filepath.Glob(filepath.Join(w.dir, "postgres", "pg*", "postmaster.pid"))
	require.NoError(w, err)
	if len(files) == 0 {
		return 0
	}
	require.Len(w, files, 1)
	b, err := os.ReadFile(files[0])
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, _ := strconv.Atoi(line)
	return pid
}

// signalFamily signals the children of a process and returns their ids.
func (w *world) signalFamily(parent int, sig syscall.Signal) (children []int) {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(parent)).Output()
	for field := range strings.FieldsSeq(string(out)) {
		pid, err := strconv.Atoi(field)
		require.NoError(w, err)
		if syscall.Kill(pid, sig) == nil {
			children = append(children, pid)
		}
	}
	return children
}

// status is what a path of the private listener answers.
func (p *process) status(path string) int {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(p.info.Private + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// metric adds up the samples of a metric whose labels contain the given text.
func (p *process) metric(name, labels string) (total float64) {
	for _, v := range p.samples(name, labels) {
		total += v
	}
	return total
}

// samples are the samples of a metric whose labels contain the given text; none when the process cannot be reached.
func (p *process) samples(name, labels string) (list []float64) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(p.info.Private + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if own, rest, _ := strings.Cut(series, "{"); ok && own == name && strings.Contains(rest, labels) {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(p.w, err, line)
			list = append(list, n)
		}
	}
	return list
}

// tool runs one of herald's tools as a person would, against the process of the data directory, and returns what it said.
func (w *world) tool(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--data", w.dir}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// says runs a tool that succeeds.
func (w *world) says(args ...string) string {
	w.Helper()
	out, err := w.tool(args...)
	require.NoError(w, err, "herald %s: %s", strings.Join(args, " "), out)
	return out
}

// refuses runs a tool that fails.
func (w *world) refuses(args ...string) string {
	w.Helper()
	out, err := w.tool(args...)
	require.Error(w, err, "herald %s: %s", strings.Join(args, " "), out)
	return out
}

// sql runs a statement in the database of a process.
func (w *world) sql(p *process, statement string, args ...any) {
	require.NoError(w, w.withDatabase(p, func(conn *pgx.Conn) error {
		_, err := conn.Exec(w.Context(), statement, args...)
		return err
	}))
}

// number is what a query of one number gives.
func (w *world) number(p *process, query string, args ...any) (n int64) {
	require.NoError(w, w.withDatabase(p, func(conn *pgx.Conn) error {
		return conn.QueryRow(w.Context(), query, args...).Scan(&n)
	}))
	return n
}

func (w *world) withDatabase(p *process, do func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(w.Context(), w.placeOf(p).database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(w.Context()))
	return do(conn)
}

func (w *world) kafka(p *process) *kafka.Client {
	client, err := kafka.Open(kafka.Config{Brokers: []string{p.info.Kafka}, Prefix: w.prefix})
	require.NoError(w, err)
	w.Cleanup(client.Close)
	return client
}

// produce puts values on a lane as a foreign producer would.
func (w *world) produce(p *process, lane delivery.Lane, values ...[]byte) {
	client := w.kafka(p)
	producer := kafka.NewProducer(client, kafka.ProducerConfig{Fast: true})
	defer producer.Close()
	records := make([]delivery.Record, len(values))
	for i, v := range values {
		records[i] = delivery.Record{Topic: client.TopicName(lane), Value: v}
	}
	require.NoError(w, producer.Write(w.Context(), records))
}

// write writes jobs to Kafka as a producer without keys does.
func (w *world) write(p *process, lane delivery.Lane, jobs []*delivery.Job) {
	client := w.kafka(p)
	producer := kafka.NewProducer(client, kafka.ProducerConfig{})
	defer producer.Close()
	records := make([]delivery.Record, len(jobs))
	for i, j := range jobs {
		j.Key = ""
		var err error
		records[i], err = delivery.JobRecord(client.TopicName(lane), j)
		require.NoError(w, err)
	}
	require.NoError(w, producer.Write(w.Context(), records))
}

// deadLetters counts the dead letters.
func (w *world) deadLetters(p *process) (n int) {
	client := w.kafka(p)
	err := client.Scan(w.Context(), client.DeadTopic(), func(delivery.Record) (bool, error) { n++; return true, nil })
	require.NoError(w, err)
	return n
}

func (w *world) eventually(within time.Duration, what string, ok func() bool) {
	w.Helper()
	require.Eventually(w, ok, within, 50*time.Millisecond, what)
}

// call speaks to the API; it returns the status, 0 when the process cannot be reached.
func (p *process) call(method, path string, body, out any) int {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(p.w, err)
		in = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.info.Private+"/api/v1"+path, in)
	require.NoError(p.w, err)
	req.Header.Set("Authorization", "Bearer "+p.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	if out != nil && resp.StatusCode < 300 {
		require.NoError(p.w, json.Unmarshal(b, out), string(b))
	}
	return resp.StatusCode
}

// enqueue sends jobs in batches, declares and closes their launch, and returns the jobs' ids.
func (p *process) enqueue(label string, jobs []*delivery.Job) (ids []delivery.ID) {
	for from := 0; from < len(jobs); from += 1000 {
		part := map[string]any{"jobs": jobs[from:min(from+1000, len(jobs))], "declare": true}
		var taken struct{ IDs []delivery.ID }
		p.w.eventually(time.Minute, "jobs are accepted", func() bool {
			return p.call(http.MethodPost, "/messages", part, &taken) == 202
		})
		ids = append(ids, taken.IDs...)
	}
	p.w.eventually(time.Minute, "the launch is closed", func() bool {
		status := p.call(http.MethodPost, "/launches/"+url.PathEscape(label)+"/close", nil, nil)
		return status > 0 && status < 300
	})
	return ids
}

func (p *process) ledger(label string) (l api.Ledger, ok bool) {
	return l, p.call(http.MethodGet, "/launches/"+url.PathEscape(label)+"/ledger", nil, &l) == 200
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// requireSum checks the one equation that holds at any moment.
func requireSum(t require.TestingT, l api.Ledger) {
	require.Equal(t, l.Audience, l.Accepted+sum(l.Suppressed)+sum(l.Held)+sum(l.Failed)+l.Expired+l.Unknown+l.Pending, l)
	require.Equal(t, l.Accepted, l.Delivered+l.Awaiting+l.Open, l)
	require.GreaterOrEqual(t, l.Pending, int64(0), l)
}

// settled waits until the launch is finished with nothing awaited, looking at the ledger all the time.
func (p *process) settled(label string, within time.Duration) api.Ledger {
	p.w.Helper()
	var last api.Ledger
	deadline := time.Now().Add(within)
	for time.Now().Before(deadline) {
		if l, ok := p.ledger(label); ok {
			requireSum(p.w, l)
			if last = l; l.Finished && l.Awaiting == 0 {
				return l
			}
		}
		wait(200 * time.Millisecond)
	}
	p.w.Fatalf("launch %s is not settled: %+v", label, last)
	return last
}

func wait(d time.Duration) { <-time.After(d) }

// messages lists the messages of a launch by kind.
func (p *process) messages(label, kind string) (list []reports.MessageItem) {
	cursor := ""
	for {
		var page api.MessagePage
		path := fmt.Sprintf("/launches/%s/messages?kind=%s&limit=1000&cursor=%s", url.PathEscape(label), kind, cursor)
		require.Equal(p.w, 200, p.call(http.MethodGet, path, nil, &page))
		list = append(list, page.Items...)
		if cursor = page.Next; cursor == "" {
			return list
		}
	}
}

// jobs makes n jobs of a launch. The text of each is its key.
func jobs(n int, label string, c delivery.Category, text func(i int) string) []*delivery.Job {
	list := make([]*delivery.Job, n)
	for i := range list {
		list[i] = &delivery.Job{
			V: 1, Key: fmt.Sprintf("%s-%d", label, i), Category: c, Launch: label,
			Recipient: &delivery.Recipient{Phone: fmt.Sprintf("+7900%07d", i%80000)},
			Content:   &delivery.Content{SMS: &delivery.SMS{Text: text(i)}},
		}
	}
	return list
}

func keyText(label string) func(int) string {
	return func(i int) string { return fmt.Sprintf("%s-%d", label, i) }
}
