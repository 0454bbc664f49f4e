//go:build e2e

package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	broker "github.com/herald-gateway/herald/internal/kafka/embedded"
	server "github.com/herald-gateway/herald/internal/postgres/embedded"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// member starts one more process on the database and broker of p.
func (w *world) member(p *process, name string) *process {
	w.Helper()
	return w.start("serve", w.folder(name), w.placeOf(p))
}

// folder is the data directory of a further process.
func (w *world) folder(name string) string {
	dir := filepath.Join(w.dir, name)
	require.NoError(w, os.MkdirAll(dir, 0o755))
	return dir
}

// placeOf is where others find the database and the brokers that p uses.
func (w *world) placeOf(p *process) place {
	return place{cmp.Or(p.info.Database, w.database), p.info.Kafka}
}

// sessionTimeout is after how long a group of Kafka gives up a member that it does not hear.
const sessionTimeout = 10 * time.Second

// A process that is killed again and again while it starts holds nobody up: neither the one that lives beside it nor its
// own first start that stays.
func TestCluster_CrashLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{NoRules: true})
	first := w.up()
	for range size(5, 15) {
		p := w.launch("serve", w.folder("second"), w.placeOf(first))
		wait(time.Duration(200+rand.IntN(2800)) * time.Millisecond)
		p.kill()
	}
	w.member(first, "second")
	began := time.Now()
	l := first.put("sale", 600)
	w.eventually(sessionTimeout, "all parts flow", func() bool { return l.sent() == l.n })
	t.Logf("all parts flowed %s after the last start", time.Since(began))
	l.account(first, 0)
}

// A process stalls beyond its session with messages in flight and comes back, mostly once while transactional messages
// leave and once while marketing does. By then the other one reads its partitions and decides about its messages; what the zombie
// still has in hand moves no offset and records nothing a second time.
func TestCluster_Zombie(t *testing.T) {
	t.Parallel()
	const stalls = 2
	w := newWorld(t, sim.Config{NoRules: true, ResponseDelay: time.Second})
	// A process reads little ahead, so that both have work and the other one soon meets what the zombie left.
	w.more = "dispatch: {lanes: {bulk: {batch: 100, max_per_part: 200, max_in_flight: 400}}}"
	first := w.up()
	second := w.member(first, "second")
	shares := func(p *process) int { return len(p.samples("herald_consumer_lag", `lane="bulk"`)) }
	doubts := func(kind string) float64 { return first.metric("herald_doubts_total", kind) }
	alive := func() bool {
		return w.number(first, `select count(*) from owner where process = 'second' and dead_at is null`) == 1
	}
	w.eventually(time.Minute, "both read", func() bool { return shares(first) > 0 && shares(second) > 0 })
	all := shares(first) + shares(second)
	stop := w.watchOffsets(first)
	defer stop()

	l := first.put("sale", 7000)
	for _, share := range []float64{0.1, 0.6} {
		l.under(share)
		answers := second.metric("herald_provider_answers_total", "")
		w.eventually(time.Minute, "it has messages in flight", func() bool {
			return second.metric("herald_provider_answers_total", "") > answers+window &&
				second.metric("herald_provider_window_used", "") >= window/4
		})
		began, before := time.Now(), doubts("")
		require.NoError(t, second.cmd.Process.Signal(syscall.SIGSTOP))
		w.eventually(time.Minute, "the other one reads all and decides what is in doubt", func() bool {
			return shares(first) == all && !alive() && doubts("") > before
		})
		t.Logf("the other one decided %s after the stall", time.Since(began))
		require.Less(t, l.sent(), l.n, "the zombie comes back under load")
		require.NoError(t, second.cmd.Process.Signal(syscall.SIGCONT))
		w.eventually(time.Minute, "it goes on as a new owner and reads", func() bool { return alive() && shares(second) > 0 })
	}
	l.account(first, 2*window*stalls)
	t.Logf("in doubt: %.0f became redriven, %.0f unknown", doubts("redriven"), doubts("unknown"))
	w.recordedOnce(first, second)
}

// recordedOnce checks that all recorders together did not record more events than there are.
func (w *world) recordedOnce(list ...*process) {
	w.Helper()
	ends, err := w.kafka(list[0]).EndOffsets(w.Context(), w.prefix+".events")
	require.NoError(w, err)
	events, recorded := int64(0), 0.0
	for _, n := range ends {
		events += n
	}
	for _, p := range list {
		recorded += p.metric("herald_recorder_events_total", "")
	}
	require.Positive(w, recorded)
	require.LessOrEqual(w, int64(recorded), events)
}

// watchOffsets makes the test fail when a position goes back: what the groups have committed, and how far the recorder
// is in its own table.
func (w *world) watchOffsets(p *process) (stop func()) {
	client := w.kafka(p)
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	last := map[string]int64{}
	see := func(what string, part int, next int64) {
		key := fmt.Sprintf("%s, partition %d", what, part)
		if next < last[key] {
			w.Errorf("%s went back from %d to %d", key, last[key], next)
		}
		last[key] = next
	}
	look := func() {
		for _, l := range delivery.Lanes() {
			group := w.prefix + ".dispatcher." + l.String()
			offsets, err := client.CommittedOffsets(ctx, group, client.TopicName(l))
			if err != nil {
				continue // the coordinator is away for a moment
			}
			for part, next := range offsets {
				see(group, part, max(next, 0))
			}
		}
		_ = w.withDatabase(p, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, `select part, next from stream_offset`)
			if err != nil {
				return err
			}
			var part int
			var next int64
			_, err = pgx.ForEachRow(rows, []any{&part, &next}, func() error { see("recorder", part, max(next, 0)); return nil })
			return err
		})
	}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			look()
			wait(50 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-done; require.NotEmpty(w, last) }
}

// Two processes share the work; one leaves, one more joins and is killed, perhaps while the group rebalances. Nothing is
// lost, nothing comes twice, and nothing waits for the dead.
func TestCluster_ProcessesShareJoinAndLeave(t *testing.T) {
	t.Parallel()
	n := size(5000, 30000)
	w := newWorld(t, sim.Config{NoRules: true, ResponseDelay: 20 * time.Millisecond, AccountTPS: 400})
	first := w.up()
	second := w.member(first, "second")
	first.enqueue("sale", jobs(n, "sale", delivery.CategoryMarketing, keyText("sale")))
	progress := func(part int) {
		w.eventually(2*time.Minute, "messages flow", func() bool { return int(w.smsc.Stats().Accepted) > n*part/10 })
	}
	progress(2)
	require.GreaterOrEqual(t, int(w.smsc.Stats().Bound), 4, "both processes are bound")
	second.term()
	progress(4)
	third := w.member(first, "third")
	progress(6)
	third.kill()
	l := first.settled("sale", 3*time.Minute)
	require.LessOrEqual(t, l.Unknown, int64(2*window), "only what the killed one had in flight")
	require.Equal(t, int64(n), l.Delivered+l.Unknown)
	for text, times := range w.smsc.Texts() {
		require.Equal(t, 1, times, text)
	}
}

// The broker is away at start and again under load; the database is stopped for a while. Herald waits, says so, and goes
// on by itself; the API refuses what it cannot keep.
func TestOutage_HeraldWaitsAndGoesOn(t *testing.T) {
	n := 3000
	w := newWorld(t, sim.Config{NoRules: true, AccountTPS: 300})
	dir := filepath.Join(w.dir, "broker")
	address := fmt.Sprintf("127.0.0.1:%d", w.port)
	started := make(chan *process)
	w.brokers = address
	go func() { started <- w.up() }()
	wait(3 * time.Second) // no broker yet
	b, err := broker.Start(t.Context(), broker.Config{Dir: dir, Listen: address})
	require.NoError(t, err)
	p := <-started
	p.enqueue("sale", jobs(n, "sale", delivery.CategoryMarketing, keyText("sale")))
	w.eventually(time.Minute, "messages flow", func() bool { return w.smsc.Stats().Accepted > 200 })

	outage := time.Duration(size(8, 60)) * time.Second
	require.NoError(t, b.Close(t.Context()))
	one := map[string]any{"jobs": jobs(1, "lost", delivery.CategoryMarketing, keyText("lost"))}
	require.Equal(t, http.StatusServiceUnavailable, p.call(http.MethodPost, "/messages", one, nil))
	w.eventually(10*time.Second, "health says so", func() bool { return p.status("/readyz") == 503 })
	require.Equal(t, 200, p.status("/livez"))
	wait(outage)
	b, err = broker.Start(t.Context(), broker.Config{Dir: dir, Listen: address})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	w.eventually(30*time.Second, "health says so", func() bool { return p.status("/readyz") == 200 })

	pid := w.postgresPID()
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	stopped := w.signalFamily(pid, syscall.SIGSTOP)
	require.Equal(t, http.StatusServiceUnavailable, p.call(http.MethodPost, "/messages", one, nil))
	wait(outage)
	for _, id := range append(stopped, pid) {
		require.NoError(t, syscall.Kill(id, syscall.SIGCONT))
	}
	l := p.settled("sale", 3*time.Minute)
	require.Equal(t, int64(n), l.Delivered, l)
	for text, times := range w.smsc.Texts() {
		require.Equal(t, 1, times, text)
	}
}

// A deleted fate is found by counting again, and a launch whose size is not settled is never finished.
func TestLedger_FindsWhatIsMissing(t *testing.T) {
	w := newWorld(t, sim.Config{NoRules: true})
	p := w.up()
	list := jobs(50, "sale", delivery.CategoryMarketing, keyText("sale"))
	require.Equal(t, 202, p.call(http.MethodPost, "/messages", map[string]any{"jobs": list}, nil))
	w.eventually(30*time.Second, "all are delivered", func() bool {
		l, ok := p.ledger("sale")
		return ok && l.Delivered == 50
	})
	l, _ := p.ledger("sale")
	require.False(t, l.Finished, "more may follow")
	require.Less(t, p.call(http.MethodPost, "/launches/sale/close", nil, nil), 300)
	require.True(t, p.settled("sale", 10*time.Second).Finished)

	require.Less(t, p.call(http.MethodPost, "/launches/later", map[string]any{"size": 10}, nil), 300)
	l, _ = p.ledger("later")
	require.Equal(t, int64(10), l.Pending, "jobs not yet read are pending")
	require.False(t, l.Finished)

	victim := p.messages("sale", "delivered")[7]
	w.sql(p, `delete from message where id = $1`, int64(victim.ID))
	var v api.Verification
	require.Equal(t, 200, p.call(http.MethodGet, "/launches/sale/ledger?verify=true", nil, &v))
	require.False(t, v.OK)
	require.Equal(t, []delivery.ID{victim.Job}, v.Missing)
}

// What is wrong with a job is said where it belongs, and blocks nobody.
func TestBadJobs(t *testing.T) {
	w := newWorld(t, sim.Config{NoRules: true})
	p := w.up()
	list := jobs(7, "mixed", delivery.CategoryMarketing, keyText("mixed"))
	list[0].Template, list[0].Content = "nobody-knows-it", nil
	list[1].Recipient.Phone = "+7abc"
	list[2].ExpiresAt = time.Now().Add(-time.Hour)
	list[3].Recipient, list[3].Profile = nil, "crm:1"
	list[4].Content.SMS.Text = "Hello {{ name }}"
	list[5].Content.SMS.Text = fmt.Sprintf("%01800d", 7) // 12 parts, the account takes 10
	p.enqueue("mixed", list)
	l := p.settled("mixed", time.Minute)
	require.Equal(t, int64(1), l.Delivered)
	require.Equal(t, int64(1), l.Expired)
	require.Equal(t, map[string]int64{"render_error": 2, "invalid_address": 1, "no_address": 1}, l.Suppressed)
	require.Equal(t, map[string]int64{"content": 1}, l.Failed)

	require.Equal(t, 422, p.call(http.MethodPost, "/messages", map[string]any{"jobs": []any{
		map[string]any{"v": 1, "category": "marketing", "launch": "mixed", "unknown": true},
	}}, nil))
	w.produce(p, delivery.LaneBulk, []byte(`{"v":1,"launch":"mixed","cascade":[]}`), []byte(`{`), []byte("\xff"), nil)
	good := jobs(1, "after", delivery.CategoryMarketing, keyText("after"))
	p.enqueue("after", good)
	require.Equal(t, int64(1), p.settled("after", time.Minute).Delivered, "nothing blocks")
	l, _ = p.ledger("mixed")
	require.Equal(t, int64(1), l.Void, "only the record that shows its label")
	require.Equal(t, 4, w.deadLetters(p))
}

// The database is away when the process starts. It waits, says so, and starts when the database is there.
func TestOutage_DatabaseAwayAtStart(t *testing.T) {
	w := newWorld(t, sim.Config{NoRules: true})
	cfg := server.Config{Dir: filepath.Join(w.dir, "postgres")}
	db, err := server.Start(t.Context(), cfg)
	require.NoError(t, err)
	w.database = db.URL()
	require.NoError(t, db.Stop(t.Context()))
	started := make(chan *process)
	go func() { started <- w.up() }()
	wait(3 * time.Second)
	db, err = server.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Stop(context.WithoutCancel(t.Context())) })
	p := <-started
	p.enqueue("sale", jobs(20, "sale", delivery.CategoryMarketing, keyText("sale")))
	require.Equal(t, int64(20), p.settled("sale", time.Minute).Delivered)
	require.NotZero(t, p.term())
}
