package smpp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/providertest"
	"github.com/herald-gateway/herald/providers/smpp"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

func simDefault() sim.Config { return sim.Config{} }

// load drives an account as a dispatcher does: throttled and unsent messages are submitted again.
type load struct {
	*testing.T
	*account
	sink *providertest.Sink

	mu      sync.Mutex
	results map[delivery.ID]providers.Result
	msgs    map[delivery.ID]*providers.Message
	again   chan *providers.Message
}

func newLoad(t *testing.T, a *account) *load {
	t.Helper()
	l := &load{
		T: t, account: a, sink: &providertest.Sink{}, results: map[delivery.ID]providers.Result{},
		msgs: map[delivery.ID]*providers.Message{}, again: make(chan *providers.Message, 100_000),
	}
	a.Listen(l.sink)
	return l
}

func (l *load) done(m *providers.Message, r providers.Result) {
	if r.Outcome == delivery.OutcomeThrottled || r.NotAttempt {
		l.again <- m
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.results[m.ID]; ok {
		r.Detail = "done twice"
	}
	l.results[m.ID] = r
}

// run submits messages and waits until all are done.
func (l *load) run(list []*providers.Message) {
	l.Helper()
	for _, m := range list {
		l.msgs[m.ID] = m
		l.again <- m
	}
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case m := <-l.again:
			if err := l.Submit(l.Context(), m, l.done); err != nil {
				require.ErrorIs(l.T, err, smpp.ErrNotBound)
				l.again <- m
				<-tick.C
			}
		case <-tick.C:
			l.mu.Lock()
			n := len(l.results)
			l.mu.Unlock()
			if n == len(list) {
				return
			}
		case <-deadline.C:
			require.Fail(l.T, "not all are done", "%d of %d", len(l.results), len(list))
		}
	}
}

func texts(n int, suffix, body string) []*providers.Message {
	list := make([]*providers.Message, n)
	for i := range list {
		list[i] = text(suffix, body)
	}
	return list
}

// refs are the ids of what was accepted.
func (l *load) refs(want delivery.Outcome) map[string]bool {
	l.Helper()
	refs := map[string]bool{}
	for id, r := range l.results {
		require.Equal(l.T, want, r.Outcome, "%s: %+v", id, r)
		require.NotEqual(l.T, "done twice", r.Detail)
		for _, ref := range r.ProviderIDs {
			refs[ref] = true
		}
	}
	return refs
}

// receipts waits until every id has a receipt.
func (l *load) receipts(refs map[string]bool) []delivery.Receipt {
	l.Helper()
	require.Eventually(l.T, func() bool {
		got, _ := l.sink.Got()
		have := map[string]bool{}
		for i := range got {
			have[got[i].Ref], have[got[i].AltRef] = true, true
		}
		for ref := range refs {
			if !have[ref] {
				return false
			}
		}
		return true
	}, 20*time.Second, 10*time.Millisecond, "receipts are lost")
	got, _ := l.sink.Got()
	return got
}

// TestOddReceipts reads receipts in all the ways in which the simulator writes them.
func TestOddReceipts(t *testing.T) {
	t.Parallel()
	for _, f := range sim.FaultNames() {
		if !strings.HasPrefix(f.Name, "receipt_") {
			continue
		}
		switch f.Name {
		case "receipt_part", "receipt_foreign", "receipt_one", "receipt_swapped":
			continue // say what is not true of the message
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			s := startSim(t, sim.Config{TLVs: true, ReceiptIDWidth: 12, Faults: []sim.Fault{{Name: f.Name, Value: lateValue(f)}}})
			l := newLoad(t, open(t, s.Addr(), func(c *smpp.Config) {
				c.ReceiptDetect = smpp.DetectText
				c.RespID, c.ReceiptID = smpp.IDHex, smpp.IDHex
			}))
			l.run(texts(30, "10000", "hello"))
			for _, r := range l.receipts(l.refs(delivery.OutcomeAccepted)) {
				require.Equal(t, delivery.ReceiptDelivered, r.State)
			}
		})
	}
}

func lateValue(f sim.FaultInfo) string {
	if f.Name == "receipt_late" {
		return "20ms"
	}
	return ""
}

// TestOddPeers sends to a simulator that does strange things in between: nothing may be lost and no bind may go.
func TestOddPeers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"data_sm", "alert_notification", "vendor_pdu", "big_deliver", "bad_tlv", "bad_sm_length", "enquire_link",
		"repeated_answer", "truncated_answer", "empty_answer", "one_byte", "no_enquire_link", "deliver_window",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSim(t, sim.Config{Faults: []sim.Fault{{Name: name}}})
			l := newLoad(t, open(t, s.Addr(), nil))
			l.run(texts(50, "10000", "hello"))
			l.receipts(l.refs(delivery.OutcomeAccepted))
			require.Zero(t, s.Stats().Lost, "a bind was lost")
			require.Zero(t, s.Stats().Malformed)
			require.Equal(t, uint64(50), s.Stats().Submits)
		})
	}
}

// TestBrokenPeers meets peers that break the connection; what is not answered is unknown or goes again, and afterwards
// it works.
func TestBrokenPeers(t *testing.T) {
	t.Parallel()
	for _, f := range []sim.Fault{
		{Name: "accept_and_cut", Count: 3},
		{Name: "cut", Count: 3},
		{Name: "reset_after", Value: "1000", Count: 2},
		{Name: "length", Count: 2},
		{Name: "generic_nack_zero", Count: 2},
		{Name: "half_close", Count: 2},
		{Name: "unbind", Count: 2},
		{Name: "foreign_sequence", Count: 3},
		{Name: "no_answer", Count: 3},
		{Name: "lost_answer", Count: 3},
		{Name: "late_answer", Value: "1500ms", Count: 3},
		{Name: "bind_status", Value: "0x08", Count: 1},
		{Name: "refuse_connections", Count: 1},
	} {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			s := startSim(t, sim.Config{Faults: []sim.Fault{f}})
			l := newLoad(t, open(t, s.Addr(), func(c *smpp.Config) { c.RespTimeout, c.Window = time.Second, 10 }))
			list := texts(200, "10000", "hello")
			l.run(list)
			unknown := 0
			for id, r := range l.results {
				n := taken(s, l.msgs[id])
				switch r.Outcome {
				case delivery.OutcomeAccepted:
					require.Equal(t, 1, n)
				case delivery.OutcomeUnknown:
					unknown++
					require.LessOrEqual(t, n, 1)
				default:
					require.Fail(t, "outcome", "%+v", r)
				}
			}
			require.LessOrEqual(t, unknown, 3*20, "only what was on its way may be in doubt")
		})
	}
}

// TestCollidingNumbers is the classic case: both sides count from 1, and receipts come in the middle of answers.
func TestCollidingNumbers(t *testing.T) {
	t.Parallel()
	const n = 30_000
	s := startSim(t, sim.Config{FirstSequence: 1})
	l := newLoad(t, open(t, s.Addr(), nil))
	l.run(texts(n, "10000", "hello"))
	refs := l.refs(delivery.OutcomeAccepted)
	require.Len(t, refs, n)
	require.Len(t, l.receipts(refs), n)
	require.Equal(t, uint64(n), s.Stats().Accepted)
	require.Zero(t, s.Stats().DeliversRepeated)
}

func TestLongMessagesThroughNarrowLimits(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("Ваш заказ готов, ждём вас. ", 6) // 3 parts
	for _, long := range []string{smpp.LongUDH, smpp.LongSAR} {
		t.Run(long, func(t *testing.T) {
			t.Parallel()
			s := startSim(t, sim.Config{
				Window: 8, ResponseID: sim.IDDecimal, ReceiptID: sim.IDHexUpper, ReceiptIDWidth: 16,
				Faults: []sim.Fault{{Name: "first_status", Value: "0x58", Suffix: "3"}},
			})
			l := newLoad(t, open(t, s.Addr(), func(c *smpp.Config) {
				c.Long, c.Window, c.RespID, c.ReceiptID = long, 8, smpp.IDDecimal, smpp.IDHex
			}))
			l.run(append(texts(100, "10000", body), texts(3, "10003", body)...))
			refs := l.refs(delivery.OutcomeAccepted)
			require.Len(t, refs, 309)
			l.receipts(refs)
			require.Equal(t, uint64(309), s.Stats().Accepted, "no part is sent twice")
			require.Equal(t, map[string]int{body: 103}, s.Texts())
		})
	}
}

func TestTPS(t *testing.T) {
	t.Parallel()
	s := startSim(t, sim.Config{TPS: 100})
	l := newLoad(t, open(t, s.Addr(), nil))
	l.run(texts(300, "10000", "hello"))
	require.Len(t, l.refs(delivery.OutcomeAccepted), 300)
	require.Equal(t, uint64(300), s.Stats().Accepted)
	require.NotEmpty(t, s.Stats().Refused, "it was throttled")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	s := startSim(t, sim.Config{TLS: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}})
	l := newLoad(t, open(t, s.Addr(), func(c *smpp.Config) { c.TLS, c.CA = true, ca }))
	l.run(texts(50, "10000", "hello"))
	l.receipts(l.refs(delivery.OutcomeAccepted))

	stranger := open(t, s.Addr(), func(c *smpp.Config) { c.TLS = true })
	require.Eventually(t, func() bool { return strings.Contains(stranger.status().LastError, "certificate") },
		5*time.Second, 5*time.Millisecond)
}

func TestSenders(t *testing.T) {
	t.Parallel()
	s := startSim(t, sim.Config{})
	l := newLoad(t, open(t, s.Addr(), func(c *smpp.Config) { c.Senders = []smpp.Sender{{Name: "1234"}} }))
	own, same, listed := text("1", "own"), text("1", "same"), text("1", "listed")
	same.Sender, listed.Sender = "SHOP", "1234"
	l.run([]*providers.Message{own, same, listed})
	l.refs(delivery.OutcomeAccepted)
	got := map[string]string{}
	for _, m := range s.Messages() {
		got[m.Text] = fmt.Sprintf("%s %d/%d", m.Source, m.SourceTON, m.SourceNPI)
	}
	require.Equal(t, map[string]string{"own": "SHOP 5/0", "same": "SHOP 5/0", "listed": "1234 3/0"}, got)
}

func TestSystemErrorsOpenTheBreaker(t *testing.T) {
	t.Parallel()
	s := startSim(t, sim.Config{Faults: []sim.Fault{{Name: "status", Value: "0x08"}}})
	l := newLoad(t, open(t, s.Addr(), nil))
	l.run(texts(60, "10000", "hello"))
	count := map[delivery.Outcome]int{}
	for _, r := range l.results {
		count[r.Outcome]++
	}
	require.Equal(t, 60, count[delivery.OutcomeTemporary]+count[delivery.OutcomeFatal])
	require.GreaterOrEqual(t, count[delivery.OutcomeFatal], 30, "most answers are system errors")
	require.GreaterOrEqual(t, count[delivery.OutcomeTemporary], 19, "a few of them mean nothing")
}
