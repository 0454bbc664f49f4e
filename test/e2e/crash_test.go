//go:build e2e

package e2e_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// Jobs, three kill -9 of the whole process at random moments, one of the database: nothing is lost, nothing is sent twice
// silently, and the ledger adds up whenever it can be asked.
func TestCrash_NothingIsLostAndNothingIsSentTwiceSilently(t *testing.T) {
	const kills = 3
	w := newWorld(t, sim.Config{
		NoRules: true, ResponseDelay: 30 * time.Millisecond, ReceiptDelay: 100 * time.Millisecond,
		AccountTPS: size(700, 3000),
	})
	p := w.up()
	l := p.put("crash", size(6000, 50000))
	for range kills {
		wait(time.Duration(1000+rand.IntN(1500)) * time.Millisecond)
		if ledger, ok := p.ledger(l.sale); ok {
			requireSum(t, ledger)
		}
		p.kill()
		p = w.up()
	}
	wait(time.Duration(500+rand.IntN(1000)) * time.Millisecond)
	w.signalPostgres(syscall.SIGKILL)
	l.account(p, 2*window*kills)
}

// Producers that know nothing of keys write to Kafka themselves: a job is its place in the log then, also when the place is
// read again after a kill.
func TestCrash_RecordsWithoutKey(t *testing.T) {
	const kills = 3
	w := newWorld(t, sim.Config{NoRules: true, ResponseDelay: 30 * time.Millisecond, AccountTPS: size(700, 3000)})
	p := w.up()
	list := jobs(size(5000, 30000), "bare", delivery.CategoryMarketing, keyText("bare"))
	w.write(p, delivery.LaneBulk, list)
	for range kills {
		wait(time.Duration(800+rand.IntN(1500)) * time.Millisecond)
		p.kill()
		p = w.up()
	}
	n := int64(len(list))
	var l api.Ledger
	w.eventually(3*time.Minute, "every record became a job of its own, and has a fate", func() bool {
		l, _ = p.ledger("bare")
		return l.Claimed == n && l.Pending+l.Awaiting == 0
	})
	require.Zero(t, l.Void)
	require.LessOrEqual(t, l.Unknown, int64(2*window*kills))
	texts := w.smsc.Texts()
	for text, times := range texts {
		require.Equal(t, 1, times, text)
	}
	require.LessOrEqual(t, n-int64(len(texts)), l.Unknown, "what did not arrive is unknown")
	t.Logf("%d records, %d unknown, %d of them missing", n, l.Unknown, n-int64(len(texts)))
}

// An operator's stop under load: what is in flight finishes, the rest goes on with the next start.
func TestStop_DrainsUnderLoad(t *testing.T) {
	n := size(3000, 20000)
	w := newWorld(t, sim.Config{NoRules: true, ResponseDelay: 30 * time.Millisecond, AccountTPS: 500})
	p := w.up()
	p.enqueue("sale", jobs(n, "sale", delivery.CategoryMarketing, keyText("sale")))
	w.eventually(time.Minute, "messages flow", func() bool { return w.smsc.Stats().Accepted > 300 })
	took := p.term()
	require.Less(t, took, 15*time.Second)
	require.Less(t, int(w.smsc.Stats().Accepted), n, "the stop came under load")

	p = w.up()
	l := p.settled("sale", 3*time.Minute)
	require.Zero(t, l.Unknown, "nothing is in doubt when the SMSC answers")
	require.Equal(t, int64(n), l.Delivered)
	for text, times := range w.smsc.Texts() {
		require.Equal(t, 1, times, text)
	}
	t.Logf("stopped in %s", took)
}
