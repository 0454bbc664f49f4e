package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/app"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/postgres"
	server "github.com/herald-gateway/herald/internal/postgres/embedded"
	"github.com/herald-gateway/herald/providers/smpp"
)

const (
	apiKey = "hk_bench"
	// startWithin is how long a process may take until it is ready.
	startWithin = time.Minute
	// partitions of the bulk topic and of the topic of events.
	partitions = 4
)

// rig is an installation under measurement.
type rig struct {
	opts    Options
	dir     string
	db      *server.Server
	sql     *postgres.DB
	brokers []string
	broker  *process // nil: an external Kafka
	smsc    *process
	smpp    string
	kafka   *kafka.Client
	prefix  string
	closers []func()
}

// newRig starts everything but the gateway.
func newRig(ctx context.Context, opts Options) (r *rig, err error) {
	dir, err := os.MkdirTemp(opts.Dir, "herald-bench")
	if err != nil {
		return nil, err
	}
	r = &rig{opts: opts, dir: dir, prefix: fmt.Sprintf("bench%d", time.Now().UnixMilli())}
	r.closers = append(r.closers, func() { _ = os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the database's user passes through
		return nil, err
	}
	for _, start := range []func(context.Context) error{r.startPostgres, r.startBroker, r.startSMSC} {
		if err := start(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) close() {
	for _, stop := range slices.Backward(r.closers) {
		stop()
	}
}

func (r *rig) startPostgres(ctx context.Context) (err error) {
	r.db, err = server.Start(ctx, server.Config{Dir: filepath.Join(r.dir, "postgres")})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() { _ = r.db.Stop(context.WithoutCancel(ctx)) })
	if r.sql, err = postgres.Open(ctx, postgres.Config{URL: r.db.URL()}); err == nil {
		r.closers = append(r.closers, r.sql.Close)
	}
	return err
}

func (r *rig) startBroker(ctx context.Context) (err error) {
	r.brokers = r.opts.Brokers
	if len(r.brokers) == 0 {
		addr, err := freeAddr(ctx)
		if err != nil {
			return err
		}
		if r.broker, err = r.spawn("broker", "bench", "broker", "--data", filepath.Join(r.dir, "kafka"), "--listen", addr); err != nil {
			return err
		}
		r.closers = append(r.closers, func() { r.broker.stop() })
		r.brokers = []string{addr}
	}
	r.kafka, err = kafka.Open(kafka.Config{Brokers: r.brokers, Prefix: r.prefix, ClientID: "herald-bench"})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, r.kafka.Close)
	topics := kafka.Topics(r.prefix, true)
	for i := range topics {
		topics[i].Replicas = 1
	}
	if err := until(ctx, startWithin, 100*time.Millisecond, "broker", func() (bool, error) {
		_, err := r.kafka.ClusterID(ctx)
		return err == nil, nil
	}); err != nil {
		return err
	}
	return r.kafka.EnsureTopics(ctx, topics)
}

func (r *rig) startSMSC(ctx context.Context) (err error) {
	if r.smpp, err = freeAddr(ctx); err != nil {
		return err
	}
	r.smsc, err = r.spawn("smsc", "simulate", "smsc", "--no-rules", "--listen", r.smpp, "--http", "127.0.0.1:0", "--latency",
		r.opts.Latency.String(), "--receipt-delay", r.opts.ReceiptDelay.String(),
		"--response-id", "scattered", "--receipt-id", "scattered")
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() { r.smsc.stop() })
	return until(ctx, startWithin, 20*time.Millisecond, "SMSC", func() (bool, error) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", r.smpp)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil, nil
	})
}

// account is the settings of an account at the simulator.
func (r *rig) account(systemID string, receipts bool) string {
	mode := smpp.ReceiptsNone
	if receipts {
		mode = smpp.ReceiptsFinal
	}
	return fmt.Sprintf("{addr: %q, system_id: %s, source: SHOP, binds: 2, window: %d, receipts: %s}", r.smpp, systemID,
		r.opts.Window, mode)
}

// gateway is a running herald serve.
type gateway struct {
	*process
	info app.RunInfo
}

// startGateway starts a gateway and does not wait; ready does.
func (r *rig) startGateway(name string) (*gateway, error) {
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // nothing secret but the key, whose file has its own mode
		return nil, err
	}
	cfg := filepath.Join(dir, "herald.yaml")
	text := fmt.Sprintf(`
data: %s
process: %s
log: {level: warn, format: text}
http: {private: "127.0.0.1:0", public: "127.0.0.1:0"}
postgres: {url: %q}
kafka: {brokers: [%q], prefix: %s, replicas: 1, partitions: {transactional: %[6]d, bulk: %[6]d, events: %[6]d, dead: 1}}
providers:
  - {name: smsc, type: smpp, channel: sms, settings: %[7]s}
`, dir, name, r.db.URL(), strings.Join(r.brokers, `", "`), r.prefix, partitions, r.account("bench", true))
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		return nil, err
	}
	_ = os.Remove(filepath.Join(dir, "run.json"))
	p, err := r.spawn(name, "serve", "--config", cfg)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() { p.stop() })
	return &gateway{process: p}, nil
}

func (r *rig) ready(ctx context.Context, g *gateway) error {
	return until(ctx, startWithin, 10*time.Millisecond, "gateway", func() (bool, error) {
		select {
		case <-g.done:
			return false, fmt.Errorf("the gateway ended: %s", r.logEnd(g.name))
		default:
		}
		b, err := os.ReadFile(filepath.Join(r.dir, g.name, "run.json"))
		return err == nil && json.Unmarshal(b, &g.info) == nil, nil
	})
}

func (r *rig) logEnd(name string) string {
	b, _ := os.ReadFile(filepath.Join(r.dir, name+".log")) //nolint:gosec // in our own directory
	return string(b[max(0, len(b)-2000):])
}

// get asks a gateway's private listener.
func (g *gateway) get(ctx context.Context, path string) ([]byte, error) {
	return g.do(ctx, http.MethodGet, path, nil)
}

func (g *gateway) do(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.info.Private+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, b)
	}
	return b, err
}

func (g *gateway) ledger(ctx context.Context, launch string) (l api.Ledger, err error) {
	b, err := g.get(ctx, "/api/v1/launches/"+url.PathEscape(launch)+"/ledger")
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(b, &l)
}

type metrics map[string]*dto.MetricFamily

func (g *gateway) metrics(ctx context.Context) (metrics, error) {
	b, err := g.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(string(b)))
}

// value adds up a family's samples.
func (m metrics) value(name string) (total float64) {
	for _, s := range m[name].GetMetric() {
		total += s.GetCounter().GetValue() + s.GetGauge().GetValue() + s.GetUntyped().GetValue()
	}
	return total
}

// quantile estimates a quantile of what a histogram's series with the given label value has taken since older metrics, nil
// for all of it. It is linear within a bucket.
func (m metrics) quantile(older metrics, name, label string, q float64) float64 {
	now, before := m.histogram(name, label), older.histogram(name, label)
	want := q * float64(now.GetSampleCount()-before.GetSampleCount())
	var below, from float64
	for i, b := range now.GetBucket() {
		c := float64(b.GetCumulativeCount())
		if before != nil {
			c -= float64(before.GetBucket()[i].GetCumulativeCount())
		}
		if c >= want {
			return from + (b.GetUpperBound()-from)*(want-below)/max(c-below, 1)
		}
		below, from = c, b.GetUpperBound()
	}
	return from
}

func (m metrics) histogram(name, label string) *dto.Histogram {
	for _, s := range m[name].GetMetric() {
		for _, l := range s.GetLabel() {
			if l.GetValue() == label {
				return s.GetHistogram()
			}
		}
	}
	return nil
}

// fill puts n bulk jobs of a launch on Kafka.
func (r *rig) fill(ctx context.Context, launch string, n int) error {
	p := kafka.NewProducer(r.kafka, kafka.ProducerConfig{})
	return errors.Join(r.write(ctx, p, launch, 0, n), p.Close())
}

// write writes the jobs of a launch from one number to another.
func (r *rig) write(ctx context.Context, p *kafka.Producer, launch string, from, to int) error {
	const batch = 2000
	for ; from < to; from += batch {
		records := make([]delivery.Record, 0, batch)
		for i := from; i < min(from+batch, to); i++ {
			rec, err := delivery.JobRecord(r.kafka.TopicName(delivery.LaneBulk), r.job(delivery.LaneBulk, launch, i))
			if err != nil {
				return err
			}
			records = append(records, rec)
		}
		if err := p.Write(ctx, records); err != nil {
			return err
		}
	}
	return nil
}

// job is the i-th job of a launch: a text of about eighty characters with two values in it, each to its own phone.
func (r *rig) job(lane delivery.Lane, launch string, i int) *delivery.Job {
	names := [...]string{"Anna", "Boris", "Vera", "Grigory", "Daria", "Elena"}
	j := &delivery.Job{
		V: 1, Category: delivery.CategoryMarketing, Launch: launch,
		Recipient: &delivery.Recipient{Phone: fmt.Sprintf("+79%09d", i%1_000_000_000)},
		Data:      map[string]any{"name": names[i%len(names)], "order": fmt.Sprintf("%08d", i)},
		Content:   &delivery.Content{SMS: &delivery.SMS{Text: "{{ name }}, your order {{ order }} is packed. Come and take it until Sunday, 10-22."}},
	}
	if lane == delivery.LaneTransactional {
		j.Category = delivery.CategoryTransactional
	}
	if r.opts.Keys {
		j.Key = fmt.Sprintf("%s-%d", launch, i)
	}
	return j
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
