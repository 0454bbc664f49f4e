//go:build e2e

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
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
	n := size(6000, 50000)
	w := newWorld(t, sim.Config{
		NoRules: true, ResponseDelay: 30 * time.Millisecond, ReceiptDelay: 100 * time.Millisecond,
		AccountTPS: size(700, 3000),
	})
	p := w.up()
	half := n / 2
	service := jobs(half, "service", delivery.CategoryTransactional, keyText("service"))
	sale := jobs(n-half, "sale", delivery.CategoryMarketing, keyText("sale"))
	p.enqueue("service", service)
	p.enqueue("sale", sale)

	const kills = 3
	for range kills {
		wait(time.Duration(1000+rand.IntN(1500)) * time.Millisecond)
		if l, ok := p.ledger("sale"); ok {
			requireSum(t, l)
		}
		p.kill()
		p = w.up()
	}
	wait(time.Duration(500+rand.IntN(1000)) * time.Millisecond)
	w.killPostgres()

	limit := time.Duration(size(4, 15)) * time.Minute
	serviceLedger := p.settled("service", limit)
	saleLedger := p.settled("sale", limit)
	require.Equal(t, int64(half), serviceLedger.Audience)
	require.Equal(t, int64(n-half), saleLedger.Audience)

	texts := w.smsc.Texts()
	var doubled []string
	for i := range half {
		text := fmt.Sprintf("service-%d", i)
		require.Positive(t, texts[text], "%s never reached the SMSC", text)
		if texts[text] > 1 {
			doubled = append(doubled, text)
		}
	}
	redriven := map[delivery.ID]bool{}
	for _, m := range p.messages("service", "redriven") {
		redriven[m.Job] = true
	}
	require.LessOrEqual(t, len(doubled), 2*window*kills)
	require.GreaterOrEqual(t, len(redriven), len(doubled), "every double is listed as redriven")

	missing := 0
	for i := range n - half {
		text := fmt.Sprintf("sale-%d", i)
		require.LessOrEqual(t, texts[text], 1, "%s was sent twice", text)
		if texts[text] == 0 {
			missing++
		}
	}
	unknown := p.messages("sale", "unknown")
	require.LessOrEqual(t, missing, len(unknown), "what is missing is on the list of the unknown")
	require.LessOrEqual(t, len(unknown), 2*window*kills)
	require.Equal(t, saleLedger.Unknown, int64(len(unknown)))
	t.Logf("%d jobs, %d kills: %d sent twice, %d redriven, %d unknown, %d of them missing", n, kills, len(doubled),
		len(redriven), len(unknown), missing)

	for _, label := range []string{"service", "sale"} {
		var v api.Verification
		require.Equal(t, 200, p.call(http.MethodGet, "/launches/"+label+"/ledger?verify=true", nil, &v))
		require.True(t, v.OK, v)
	}
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
