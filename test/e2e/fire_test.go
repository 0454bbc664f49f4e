//go:build e2e

package e2e_test

import (
	"context"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	server "github.com/herald-gateway/herald/internal/postgres/embedded"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// ownDatabase starts a database for the processes of this world, none of which brings one.
func (w *world) ownDatabase() {
	w.Helper()
	db, err := server.Start(w.Context(), server.Config{Dir: filepath.Join(w.dir, "postgres")})
	require.NoError(w, err)
	w.Cleanup(func() { _ = db.Stop(context.WithoutCancel(w.Context())) })
	w.database = db.URL()
}

// role starts a process that has only these roles, under their name.
func (w *world) role(roles string) *process {
	w.Helper()
	return w.start("serve --roles "+roles, w.folder(roles), w.place)
}

// Every role is a process of its own, and one after the other is killed under load and comes back a while later. The
// others go on: nothing is lost, only what the dispatcher had in flight is in doubt.
func TestFire_RolesAreKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{
		NoRules: true, ResponseDelay: 30 * time.Millisecond, AccountTPS: size(300, 1500),
		Faults: []sim.Fault{{Name: "status", Value: "0x64", Share: 0.2}}, // temporary: these come back through due
	})
	w.more = "dispatch: {retry: {first: 200ms, most: 1s, max: 30}}"
	w.ownDatabase()
	w.ownBroker()
	front := w.role("api,track")
	roles := map[string]*process{}
	for _, name := range []string{"dispatch", "record", "schedule"} {
		roles[name] = w.role(name)
	}
	const kills = 2
	for victim, bound := range map[string]int{"dispatch": 2 * window * kills, "record": 0, "schedule": 0} {
		l := front.put(victim, size(1200, 20000))
		for i := range kills {
			l.under(0.2 * float64(i+1))
			roles[victim].kill()
			wait(time.Second)
			roles[victim] = w.role(victim)
		}
		l.account(front, bound)
	}
	require.Positive(t, roles["schedule"].metric("herald_scheduler_rows_total", "sent"), "retries went through the scheduler")
}

// The broker is killed under load and starts again, and is frozen for longer than its clients wait. The API says so, and
// everything goes on by itself: the gateway lives and knows what it had in flight, so nothing is in doubt.
func TestFire_BrokerIsKilledAndFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{
		NoRules: true, ResponseDelay: 30 * time.Millisecond, ReceiptDelay: 100 * time.Millisecond, AccountTPS: size(300, 1000),
	})
	b := w.ownBroker()
	p := w.up()
	says := func(status int) {
		w.eventually(30*time.Second, "health says so", func() bool { return p.status("/readyz") == status })
	}
	for _, fault := range []struct {
		name   string
		strike func()
	}{
		{"killed", func() {
			b.Kill()
			says(http.StatusServiceUnavailable)
			require.NoError(t, b.Serve(t.Context()))
		}},
		{"frozen", func() { w.freeze(b, 10*time.Second) }},
	} {
		l := p.put(fault.name, size(1200, 30000))
		l.under(0.2)
		fault.strike()
		t.Logf("%s: messages flow %s after it", fault.name, l.flows())
		says(http.StatusOK)
		l.account(p, 0)
	}
}

// The database restarts under load, as an operator does it and by kill -9.
func TestFire_PostgresRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Config{
		NoRules: true, ResponseDelay: 30 * time.Millisecond, ReceiptDelay: 100 * time.Millisecond, AccountTPS: size(300, 1500),
	})
	p := w.up()
	for _, fault := range []struct {
		name string
		sig  syscall.Signal
	}{{"shutdown", syscall.SIGINT}, {"killed", syscall.SIGKILL}} {
		l := p.put(fault.name, size(2000, 30000))
		l.under(0.2)
		old := w.postgresPID()
		w.signalPostgres(fault.sig)
		w.eventually(time.Minute, "it runs again", func() bool { pid := w.postgresPID(); return pid != 0 && pid != old })
		t.Logf("%s: messages flow %s after it", fault.name, l.flows())
		l.account(p, 0)
	}
}

// Whatever the SMSC does, nothing is lost, and it is found again when it is well. What it answers, however late, is never
// in doubt; what it does not answer is.
func TestFire_SMSC(t *testing.T) {
	t.Parallel()
	// The window is full all the time.
	w := newWorld(t, sim.Config{NoRules: true, ResponseDelay: time.Duration(size(500, 100)) * time.Millisecond})
	p := w.up()
	set := func(f sim.Fault) func() { return func() { require.NoError(t, w.smsc.SetFault(f)) } }
	for _, fault := range []struct {
		name   string
		strike func()
		bound  int
	}{
		{"slow", set(sim.Fault{Name: "late_answer", Value: "2s"}), 0},
		{"throttling", set(sim.Fault{Name: "status", Value: "0x58", Share: 0.2}), 0},
		{"cut", func() { w.smsc.Cut() }, window},
		{"silent", set(sim.Fault{Name: "silent"}), 2 * window},
		{"pause", set(sim.Fault{Name: "pause"}), 2 * window},
		{"refusing", func() { set(sim.Fault{Name: "refuse_connections"})(); w.smsc.Cut() }, window},
	} {
		l := p.put(fault.name, size(1000, 10000))
		l.under(0.2)
		fault.strike()
		wait(4 * time.Second)
		w.smsc.ClearFaults()
		t.Logf("%s: messages flow %s after it", fault.name, l.flows())
		got := l.account(p, fault.bound)
		require.Equal(t, fault.bound > 0, got.redriven+got.unknown > 0, "%s: %+v", fault.name, got)
	}
}
