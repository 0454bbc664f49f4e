//go:build e2e

package e2e_test

import (
	"maps"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
)

// load is jobs that are under way while something happens: a launch of each category, half of the jobs each.
type load struct {
	w             *world
	name          string
	service, sale string // labels
	n             int
	before        int                    // messages that the SMSC had taken
	ids           map[string]delivery.ID // by text
}

// put hands in n jobs. The transactional ones come first and leave first.
func (p *process) put(name string, n int) *load {
	p.w.Helper()
	l := &load{
		w: p.w, name: name, service: name + "-service", sale: name + "-sale", n: n / 2 * 2, before: p.w.taken(),
		ids: map[string]delivery.ID{},
	}
	l.enqueue(p, l.service, delivery.CategoryTransactional)
	l.enqueue(p, l.sale, delivery.CategoryMarketing)
	return l
}

func (l *load) enqueue(p *process, label string, c delivery.Category) {
	l.w.Helper()
	list := jobs(l.n/2, label, c, keyText(label))
	for i, id := range p.enqueue(label, list) {
		l.ids[list[i].Key] = id
	}
}

// taken is how many messages the SMSC took.
func (w *world) taken() int { return int(w.smsc.Stats().Accepted) }

// sent is how many of them the SMSC took.
func (l *load) sent() int { return l.w.taken() - l.before }

// under waits until a share of the load is sent, and makes sure that the rest is still to come.
func (l *load) under(share float64) {
	l.w.Helper()
	l.w.eventually(time.Minute, "messages flow", func() bool { return float64(l.sent()) >= share*float64(l.n) })
	require.Less(l.w, l.sent(), l.n, "what follows comes under load")
}

// flows waits until the SMSC takes more messages than now, if any are left, and says how long that took.
func (l *load) flows() time.Duration {
	l.w.Helper()
	before, began := l.sent(), time.Now()
	l.w.eventually(time.Minute, "messages flow again", func() bool { return l.sent() > before || before >= l.n })
	return time.Since(began)
}

// tally is what became of a load besides being delivered: what the SMSC took twice, what is listed as redriven and as
// unknown, and what the SMSC never took.
type tally struct{ twice, redriven, unknown, missing int }

// account waits until all is settled and holds it against the promises: the ledger adds up at any moment, a recount and
// the report agree with it; what did not reach the SMSC is listed as unknown; nothing reached it twice but transactional
// messages that are listed as redriven; and no more than bound of each category were in doubt.
func (l *load) account(p *process, bound int) (t tally) {
	l.w.Helper()
	l.settled(p, l.service)
	l.settled(p, l.sale)
	redriven := p.listed(l.service, "redriven")
	unknown := p.listed(l.service, "unknown")
	require.LessOrEqual(l.w, len(unknown), bound)
	require.LessOrEqual(l.w, len(redriven), bound)
	sale := p.listed(l.sale, "unknown")
	require.LessOrEqual(l.w, len(sale), bound)
	maps.Copy(unknown, sale)

	t.redriven, t.unknown = len(redriven), len(unknown)
	texts := l.w.smsc.Texts()
	for text, id := range l.ids {
		switch times := texts[text]; {
		case times == 0:
			t.missing++
			require.True(l.w, unknown[id], "%s never reached the SMSC and is not listed as unknown", text)
		case times > 1:
			t.twice++
			require.True(l.w, redriven[id], "%s came %d times and is not listed as redriven", text, times)
		}
	}
	l.w.Logf("%s: %d jobs, %d redriven, %d twice, %d unknown, %d of them missing", l.name, l.n, t.redriven, t.twice,
		t.unknown, t.missing)
	return t
}

// settled waits until a launch is finished, counts its ledger again and compares the report.
func (l *load) settled(p *process, label string) {
	l.w.Helper()
	ledger := p.settled(label, time.Duration(size(4, 15))*time.Minute)
	require.Equal(l.w, int64(l.n/2), ledger.Audience, label)
	var v api.Verification
	require.Equal(l.w, 200, p.call(http.MethodGet, "/launches/"+label+"/ledger?verify=true", nil, &v))
	require.True(l.w, v.OK, v)
	var r api.Report
	require.Equal(l.w, 200, p.call(http.MethodGet, "/launches/"+label+"/report", nil, &r))
	delivered := int64(0)
	for _, row := range r.Rows {
		delivered += row.Counts["delivered"]
	}
	require.Equal(l.w, ledger.Delivered, delivered, "each message counts once")
}

// listed is the jobs of the messages of a kind.
func (p *process) listed(label, kind string) map[delivery.ID]bool {
	ids := map[delivery.ID]bool{}
	for _, m := range p.messages(label, kind) {
		ids[m.Job] = true
	}
	return ids
}
