package smpp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/secret"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/providertest"
	"github.com/herald-gateway/herald/providers/smpp"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

func TestMain(m *testing.M) { providertest.Main(m) }

const password = "pa55word"

// syncBuffer is a buffer that several goroutines may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// account is a provider under test with what belongs to it.
type account struct {
	providers.Provider
	window  *providers.Window
	log     *syncBuffer
	metrics *prometheus.Registry
}

func (a *account) status() smpp.Status {
	return a.Provider.(interface{ Status() smpp.Status }).Status()
}

// setupOf makes what New takes, with settings changed by change.
func setupOf(addr string, change func(*smpp.Config)) (providers.Setup, *account) {
	a := &account{window: providers.NewWindow(), log: &syncBuffer{}, metrics: prometheus.NewRegistry()}
	return providers.Setup{
		Name: "mts", Channel: delivery.ChannelSMS, Window: a.window, Metrics: a.metrics,
		Log: slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Decode: func(into any) error {
			cfg := into.(*smpp.Config)
			cfg.Addr, cfg.SystemID, cfg.Password, cfg.Source = addr, "herald", secret.New(password), "SHOP"
			if change != nil {
				change(cfg)
			}
			return nil
		},
	}, a
}

// open makes an account and closes it in the end.
func open(tb testing.TB, addr string, change func(*smpp.Config)) *account {
	tb.Helper()
	setup, a := setupOf(addr, change)
	var err error
	a.Provider, err = smpp.New(setup)
	require.NoError(tb, err)
	tb.Cleanup(func() { closeNow(tb, a) })
	return a
}

func startSim(tb testing.TB, cfg sim.Config) *sim.Server {
	tb.Helper()
	cfg.Keep = true
	if cfg.Users == nil {
		cfg.Users = map[string]string{"herald": password}
	}
	s, err := sim.Start(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

var lastID atomic.Int64 // of messages, unique in this process

// text makes a message; its number is its address, too.
func text(suffix, body string) *providers.Message {
	n := lastID.Add(1)
	return &providers.Message{
		ID: delivery.ID(n << 3), Attempt: 1, Category: delivery.CategoryMarketing, To: fmt.Sprintf("+79%08d%s", n, suffix),
		Content: &delivery.SMS{Text: body}, ExpiresAt: time.Now().Add(time.Hour),
	}
}

func taken(s *sim.Server, m *providers.Message) int {
	n := 0
	for _, got := range s.Messages() {
		if "+"+got.Destination == m.To {
			n++
		}
	}
	return n
}

// caseSuffixes are the destinations that the simulator treats specially: its own rules and those set in rig.
var caseSuffixes = map[providertest.Case]string{
	providertest.Accepted: "10000", providertest.Long: "10000", providertest.Expired: "10000",
	providertest.BadSender: "10000", providertest.Recipient: "90001", providertest.ThrottledOnce: "90002",
	providertest.NoAnswer: "90003", providertest.Undelivered: "90004", providertest.CutAfter: "90007",
	providertest.EarlyReceipt: "90011", providertest.Content: "80001", providertest.Temporary: "80002",
	providertest.Fatal: "80003",
}

func rig(change func(*smpp.Config), smsc sim.Config) func(t *testing.T) *providertest.Rig {
	return func(t *testing.T) *providertest.Rig {
		t.Helper()
		smsc := smsc // of this rig
		smsc.RetryDelay = 50 * time.Millisecond
		smsc.Faults = []sim.Fault{
			{Name: "status", Suffix: "80001", Value: "0x66"},
			{Name: "status", Suffix: "80002", Value: "0x64"},
			{Name: "status", Suffix: "80003", Value: "0x15"},
		}
		s := startSim(t, smsc)
		a := open(t, s.Addr(), func(c *smpp.Config) {
			c.RespTimeout = time.Second
			if change != nil {
				change(c)
			}
		})
		return &providertest.Rig{
			Provider: a.Provider, Window: a.window, AnswerTime: time.Second, Secrets: []string{password},
			Taken: func(m *providers.Message) int { return taken(s, m) },
			Printed: func() string {
				state, err := json.Marshal(a.status())
				require.NoError(t, err)
				return a.log.String() + string(state)
			},
			Message: func(c providertest.Case) *providers.Message {
				m := text(caseSuffixes[c], "Your order is ready")
				switch c { //nolint:exhaustive // the others need nothing more
				case providertest.Long:
					m.Content = &delivery.SMS{Text: strings.Repeat("Ваш заказ готов. ", 10)}
				case providertest.Expired:
					m.ExpiresAt = time.Now().Add(-time.Second)
				case providertest.BadSender:
					m.Sender = "NOBODY"
				}
				return m
			},
			Inject: func(f providertest.Fault) bool {
				switch f {
				case providertest.Hold:
					require.NoError(t, s.SetFault(sim.Fault{Name: "silent"}))
				case providertest.Stall:
					require.NoError(t, s.SetFault(sim.Fault{Name: "pause"}))
				case providertest.Cut:
					s.Cut()
				case providertest.Heal:
					s.ClearFaults()
				}
				return true
			},
		}
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) *providertest.Rig{
		"transceiver": rig(nil, sim.Config{}),
		"pair, sar, decimal ids, TLVs": rig(func(c *smpp.Config) {
			c.Bind, c.Binds, c.Long, c.RespID, c.ReceiptID = smpp.BindPair, 1, smpp.LongSAR, smpp.IDDecimal, smpp.IDHex
		}, sim.Config{TLVs: true, ResponseID: sim.IDDecimal, ReceiptID: sim.IDHexUpper, ReceiptIDWidth: 20}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, providertest.Harness{Start: start})
		})
	}
}
