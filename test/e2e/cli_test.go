//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/bench"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// file writes a file of lines and returns its path.
func (w *world) file(name string, lines ...string) string {
	path := filepath.Join(w.TempDir(), name)
	require.NoError(w, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

func line(key, phone string) string {
	return fmt.Sprintf(`{"v":1,"key":%q,"category":"marketing","recipient":{"phone":%q},"content":{"sms":{"text":%q}}}`,
		key, phone, key)
}

// lookUp asks for the story of one job.
func (p *process) lookUp(id delivery.ID) (j api.JobReport) {
	require.Equal(p.w, 200, p.call(http.MethodGet, "/messages/"+id.String(), nil, &j))
	return j
}

// A person sends the example file, sends it again, and looks at what became of it.
func TestCLI_EnqueueAndLook(t *testing.T) {
	const examples, count = "../../examples/jobs.ndjson", 1200
	w := newWorld(t, sim.Config{NoRules: true})
	require.Contains(t, w.refuses("report", "autumn"), "no running Herald found")
	p := w.up()
	require.Contains(t, w.says("enqueue", "--launch", "autumn", examples), "1200 jobs accepted, 0 of them were known")
	l := p.settled("autumn", time.Minute)
	require.Equal(t, int64(count), l.Delivered)
	submits := w.smsc.Stats().Submits

	require.Contains(t, w.says("enqueue", "--launch", "autumn", examples), "1200 jobs accepted, 1200 of them were known")
	w.eventually(time.Minute, "the second copies are dropped", func() bool {
		return p.metric("herald_jobs_consumed_total", `result="repeat"`) == count
	})
	require.Equal(t, submits, w.smsc.Stats().Submits, "nothing is sent twice")
	require.Equal(t, int64(count), p.settled("autumn", time.Minute).Audience)

	report := w.says("report", "autumn")
	require.Regexp(t, `(?m)^audience +1200$`, report)
	require.Regexp(t, `(?m)^ +sms +delivered +1200 +100\.0 %`, report)
	require.Contains(t, report, "\nfinished\n")
	require.Contains(t, w.says("ledger", "autumn", "--verify"), "verified: the figures agree with the rows")
	var ledger api.Ledger
	require.NoError(t, json.Unmarshal([]byte(w.says("ledger", "autumn", "--json")), &ledger))
	require.Equal(t, l, ledger)
	require.Equal(t, count, strings.Count(w.says("messages", "autumn", "--kind", "delivered"), "\n"))
	require.Empty(t, w.says("messages", "autumn", "--kind", "unknown"))
	w.refuses("messages", "autumn", "--kind", "nonsense")
	require.Contains(t, w.refuses("ledger", "winter"), "404")
	require.Contains(t, w.says("migrate", "status"), "00001_main_job.sql")
	requireMetrics(t, p, "../../docs/runbook.md")
	requireMetrics(t, p, "../../docs/architecture.md")
}

// requireMetrics checks that a document names only metrics that are there.
func requireMetrics(t *testing.T, p *process, doc string) {
	t.Helper()
	text, err := os.ReadFile(doc)
	require.NoError(t, err)
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(p.info.Private + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, name := range regexp.MustCompile(`herald_[a-z_]+[a-z]`).FindAllString(string(text), -1) {
		require.Regexp(t, `(?m)^# TYPE `+name+` `, string(all), doc)
	}
}

// A file with a bad line sends nothing and names the line; failed messages are listed with their reason.
func TestCLI_BadLinesAndFailures(t *testing.T) {
	w := newWorld(t, sim.Config{NoRules: true})
	p := w.up()
	bad := w.file("bad.ndjson", line("a", "+79000000001"), `{"v":1,"category":"loud"}`, line("c", "+79000000002"), "{")
	out := w.refuses("enqueue", "--launch", "bad", bad)
	require.Contains(t, out, "nothing was sent")
	require.Contains(t, out, "line 2: ")
	require.Contains(t, out, "category")
	require.Contains(t, out, "line 4: ")
	require.NotContains(t, out, "line 1: ")
	require.Contains(t, w.refuses("ledger", "bad"), "404")

	require.NoError(t, w.smsc.SetFault(sim.Fault{Name: "status", Value: "0x0b", Suffix: "55555"}))
	w.says("enqueue", "--launch", "mixed", w.file("mixed.ndjson", line("m1", "+79000055555"), line("m2", "+79000000003")))
	require.Equal(t, int64(1), p.settled("mixed", time.Minute).Delivered)
	failed := w.says("messages", "mixed", "--kind", "failed")
	require.Equal(t, 1, strings.Count(failed, "\n"))
	require.Contains(t, failed, "sms\tsmsc\trejected\tunreachable\t")
	id, _, _ := strings.Cut(failed, "\t")
	job, err := delivery.ParseID(id)
	require.NoError(t, err)
	require.Equal(t, delivery.KindRejected.String(), p.lookUp(job).Messages[0].Timeline[0].Kind)

	w.says("enqueue", w.file("open.ndjson", strings.Replace(line("o1", "+79000000004"), `"v":1`, `"v":1,"launch":"open"`, 1)))
	w.eventually(time.Minute, "it is delivered", func() bool {
		l, ok := p.ledger("open")
		return ok && l.Delivered == 1
	})
	require.Contains(t, w.says("ledger", "open"), "not finished: more jobs may follow")
	w.says("launch", "close", "open")
	require.Contains(t, w.says("ledger", "open"), "\nfinished\n")
}

// A marketer declares an attribute, imports files, and looks at a client. A file may be larger than any other body.
func TestCLI_Profiles(t *testing.T) {
	w := newWorld(t, sim.Config{NoRules: true})
	w.up()
	w.says("attributes", "create", "bonus", "--type", "number", "--title", "Бонусы")
	w.says("attributes", "create", "bonus", "--type", "number", "--title", "Бонусы")
	require.Contains(t, w.refuses("attributes", "create", "points", "--title", "бонусы"), "this title belongs to bonus")
	require.Contains(t, w.says("attributes", "list"), "bonus  number  Бонусы")

	csv := w.file("clients.csv", "ИД;Имя;Телефон;Бонусы", "crm:1;Ольга;8 (900) 000-12-34;350,5", "crm:2;Иван;12345x;")
	out := w.refuses("profiles", "import", csv)
	require.Contains(t, out, "2 profiles: 1 created, 0 updated, 0 unchanged, 1 faulty")
	require.Contains(t, out, "line 3: phone: ")
	out = w.says("profiles", "get", "crm:1")
	require.Regexp(t, `(?m)^phone +\+79000001234$`, out)
	require.Regexp(t, `(?m)^bonus +350\.5$`, out)
	require.Contains(t, w.refuses("profiles", "get", "crm:2"), "404")
	require.Contains(t, w.refuses("profiles", "import", w.file("clients.txt", "id")), "--format")

	lines := make([]string, 300)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"id":"big:%d","city":"Пермь"%s}`, i, strings.Repeat(" ", 250<<10))
	}
	big := w.file("big.ndjson", lines...)
	require.Contains(t, w.says("profiles", "import", big), "300 profiles: 300 created")
	require.Contains(t, w.says("profiles", "import", big), "300 profiles: 0 created, 0 updated, 300 unchanged")
	log, err := os.ReadFile(filepath.Join(w.dir, "log"))
	require.NoError(t, err)
	require.NotContains(t, string(log), "79000001234", "what is known of a client is not in the log")
}

// An operator looks at dead letters, gives out keys, and checks a configuration before it is used.
func TestCLI_Operate(t *testing.T) {
	w := newWorld(t, sim.Config{NoRules: true})
	p := w.up()
	require.Empty(t, w.says("dead", "list"))
	w.produce(p, delivery.LaneBulk, []byte(`{"v":1,"launch":"mixed","cascade":[]}`))
	letters := ""
	letterCount := func(n int) func() bool {
		return func() bool { letters = w.says("dead", "list"); return strings.Count(letters, "\n") == n }
	}
	w.eventually(time.Minute, "it is a dead letter", letterCount(1))
	require.Regexp(t, `  invalid  from herald\.jobs\.bulk/\d+/0  cascade: is empty; category: is required;`, letters)
	require.Empty(t, w.says("dead", "list", "--class", "another"))
	require.Contains(t, w.says("dead", "replay", "--class", "invalid"), "1 records replayed")
	w.eventually(time.Minute, "it is as bad as it was", letterCount(2))

	key := strings.TrimSpace(w.says("apikey", "create", "shop", "--scope", "reports:read"))
	require.Regexp(t, `^shop +reports:read +good\n$`, w.says("apikey", "list"))
	admin := p.key
	p.key = key
	require.Equal(t, 404, p.call(http.MethodGet, "/launches/none/ledger", nil, nil), "it may read")
	require.Equal(t, 403, p.call(http.MethodPost, "/launches/none/close", nil, nil), "it may not write")
	w.says("apikey", "revoke", "shop")
	require.Equal(t, 401, p.call(http.MethodGet, "/launches/none/ledger", nil, nil))
	p.key = admin
	require.Contains(t, w.says("apikey", "list"), "revoked")
	require.NotContains(t, w.says("apikey", "list"), key)

	faults := w.refuses("config", "check", "--config", w.file("bad.yaml",
		"http: {private: nowhere}", "log: {level: loud}", "nonsense: 1", "dispatch: {retry: {first: 1ms}}", "providers:",
		"  - {name: a, type: smpp, channel: sms}", "  - {name: a, type: smpp, channel: sms}"))
	for _, want := range []string{
		"bad.yaml:1: http.private", "bad.yaml:2: log.level", "bad.yaml:3: nonsense", "bad.yaml:4: dispatch.retry.first",
		"bad.yaml:7: providers[1].name",
	} {
		require.Contains(t, faults, want)
	}
	faults = w.refuses("config", "check", "--config", w.file("accounts.yaml", "providers:",
		"  - {name: a, type: pigeon, channel: sms}", "  - {name: b, type: smpp, channel: smoke, settings: {window: 0}}"))
	for _, want := range []string{
		"providers[0].type", "providers[1].channel", "providers[1].settings: addr", "providers[1].settings: window",
	} {
		require.Contains(t, faults, want)
	}
	good := w.file("good.yaml", w.says("config", "print"))
	require.Contains(t, w.says("config", "check", "--config", good), "the configuration is good")
}

// An operator's stop while the SMSC is silent: it ends in time, and what nobody answered is listed as unknown.
func TestStop_SilentSMSC(t *testing.T) {
	const n = 300
	w := newWorld(t, sim.Config{NoRules: true})
	w.patience = "60s"
	p := w.up()
	require.NoError(t, w.smsc.SetFault(sim.Fault{Name: "silent"}))
	p.enqueue("sale", jobs(n, "sale", delivery.CategoryMarketing, keyText("sale")))
	w.eventually(time.Minute, "the window is full", func() bool {
		return p.metric("herald_provider_window_used", "") >= window*9/10
	})
	took := p.term()
	require.Less(t, took, 13*time.Second)
	w.smsc.ClearFaults()

	p = w.up()
	l := p.settled("sale", time.Minute)
	require.GreaterOrEqual(t, l.Unknown, int64(window*9/10))
	require.LessOrEqual(t, l.Unknown, int64(window), "no more than were in flight")
	require.Equal(t, int64(n), l.Delivered+l.Unknown)
	require.Equal(t, int(l.Unknown), strings.Count(w.says("messages", "sale", "--kind", "unknown"), "\n"))
	for text, times := range w.smsc.Texts() {
		require.Equal(t, 1, times, text)
	}
	t.Logf("stopped in %s, %d unknown", took, l.Unknown)
}

// Temporary refusals come back through due rows and end delivered.
func TestRetry_TemporaryRefusals(t *testing.T) {
	const n = 300
	w := newWorld(t, sim.Config{NoRules: true, Faults: []sim.Fault{{Name: "status", Value: "0x64", Share: 0.3}}})
	w.more = "dispatch: {retry: {first: 200ms, most: 1s, max: 30}}"
	p := w.up()
	p.enqueue("sale", jobs(n, "sale", delivery.CategoryMarketing, keyText("sale")))
	l := p.settled("sale", 90*time.Second)
	require.Equal(t, int64(n), l.Delivered, l)
	texts := w.smsc.Texts()
	require.Len(t, texts, n)
	for text, times := range texts {
		require.Equal(t, 1, times, text)
	}
	refused := p.metric("herald_provider_answers_total", `outcome="temporary"`)
	require.Greater(t, refused, float64(n)/10)
	w.eventually(10*time.Second, "each refusal was a due row", func() bool {
		return p.metric("herald_scheduler_rows_total", "") >= refused
	})
	held := 0
	for _, m := range p.messages("sale", "delivered")[:50] {
		for _, step := range p.lookUp(m.Job).Messages[0].Timeline {
			if step.Kind == delivery.KindHeld.String() {
				require.Equal(t, delivery.ReasonRetry.String(), step.Reason)
				held++
			}
		}
	}
	require.Positive(t, held, "the timeline shows them")
	t.Logf("%.0f refusals", refused)
}

// One-time codes do not wait behind a bulk campaign that fills the window.
func TestLanes_CodesDoNotWaitBehindBulk(t *testing.T) {
	const n = 4000
	w := newWorld(t, sim.Config{NoRules: true, ResponseDelay: 300 * time.Millisecond}) // 300 a second at most
	p := w.up()
	p.enqueue("sale", jobs(n, "sale", delivery.CategoryMarketing, keyText("sale")))
	w.eventually(time.Minute, "bulk fills its part of the window", func() bool {
		return p.metric("herald_provider_window_used", "") >= window*9/10
	})
	began := time.Now()
	p.enqueue("code", jobs(30, "code", delivery.CategoryTransactional, keyText("code")))
	require.Equal(t, int64(30), p.settled("code", 30*time.Second).Delivered)
	took := time.Since(began)
	l, ok := p.ledger("sale")
	require.True(t, ok)
	require.Greater(t, l.Pending, int64(n/3), "bulk is still under way")
	t.Logf("codes took %s, %d of %d bulk messages were waiting", took, l.Pending, n)
}

// The benchmark runs as it is, small: every process starts, all is delivered, and the figures are there.
func TestBench_SMS(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), binary, "bench", "sms", "--jobs", "500", "--json")
	var progress bytes.Buffer
	cmd.Stderr = &progress
	out, err := cmd.Output()
	require.NoError(t, err, progress.String())
	var res bench.Result
	require.NoError(t, json.Unmarshal(out, &res))
	for _, row := range []struct{ group, name string }{
		{"whole", "rate until the last receipt"},
		{"CPU a message", "together"},
		{"PostgreSQL", "WAL a message"},
		{"age of the job at submit", "p99"},
		{"alone: session", "rate"},
		{"alone: consumer", "rate"},
		{"alone: claims", "rate"},
		{"alone: recorder", "rate"},
		{"alone: producer of jobs", "rate"},
	} {
		require.Positive(t, res.Value(row.group, row.name), "%s, %s", row.group, row.name)
	}
}
