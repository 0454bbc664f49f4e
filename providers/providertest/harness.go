package providertest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// Case is what the simulator makes of a message.
type Case string

// The cases.
const (
	Accepted      Case = "accepted"         // and delivered, when there are receipts
	Long          Case = "long"             // accepted, and takes more than one slot
	Recipient     Case = "recipient"        // refused: the recipient cannot be reached
	Content       Case = "content"          // refused: the content
	Temporary     Case = "temporary"        // refused for now
	Fatal         Case = "fatal"            // refused: every message would be
	ThrottledOnce Case = "throttled once"   // throttled, and accepted when it is sent again
	Expired       Case = "expired"          // its time is over before Submit
	NoAnswer      Case = "no answer"        // never answered
	CutAfter      Case = "accepted and cut" // accepted, the connection ends before the answer
	Undelivered   Case = "undelivered"      // accepted, the receipt says undelivered
	EarlyReceipt  Case = "early receipt"    // the receipt comes before the answer
	BadSender     Case = "bad sender"       // asks for a sender that the account does not have
)

// Fault is something that the whole simulator does.
type Fault string

// The faults.
const (
	Hold  Fault = "hold"  // takes messages and answers nothing
	Stall Fault = "stall" // stops reading
	Cut   Fault = "cut"   // ends all connections, once
	Heal  Fault = "heal"  // ends all faults
)

// Rig is a simulator and an account that sends to it.
type Rig struct {
	Provider providers.Provider
	Window   *providers.Window
	// Message makes a message that meets the case, with an id and an address that no other one has; nil when the
	// simulator knows no such case.
	Message func(Case) *providers.Message
	// Inject makes the simulator do something; false when it cannot.
	Inject func(Fault) bool
	// Taken says how often the simulator accepted the message.
	Taken func(*providers.Message) int
	// AnswerTime is the time after which the account gives up waiting for an answer.
	AnswerTime time.Duration
	// Secrets are what must not be printed, Printed is all that the account has logged and says of its state.
	Secrets []string
	Printed func() string
}

// Harness is a provider type under test.
type Harness struct {
	// Start brings up a simulator and an account, and stops both in t.Cleanup.
	Start func(t *testing.T) *Rig
	// Patience bounds every wait for something that must happen; 10 s when 0.
	Patience time.Duration
}

// Main runs a package's tests and fails when goroutines are left.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is a result that done told.
type answer struct {
	providers.Result
	after time.Duration
}

// bench is a rig in use by one test.
type bench struct {
	*Rig
	t        *testing.T
	patience time.Duration

	mu      sync.Mutex
	began   map[delivery.ID]time.Time
	answers map[delivery.ID][]answer
	sink    *Sink
}

// setup starts a rig and waits until it can send.
func (h Harness) setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		Rig: h.Start(t), t: t, patience: h.Patience, began: map[delivery.ID]time.Time{},
		answers: map[delivery.ID][]answer{}, sink: &Sink{},
	}
	if b.patience == 0 {
		b.patience = 10 * time.Second
	}
	if s, ok := b.Provider.(providers.ReceiptSource); ok {
		s.Listen(b.sink)
	}
	b.eventually(func() bool { return b.Window.Size() > 0 }, "the account never becomes ready")
	return b
}

func (b *bench) eventually(ok func() bool, what string, args ...any) {
	b.t.Helper()
	require.Eventually(b.t, ok, b.patience, 5*time.Millisecond, append([]any{what}, args...)...)
}

// message makes a message, or ends the test when the simulator has no such case.
func (b *bench) message(c Case) *providers.Message {
	b.t.Helper()
	m := b.Message(c)
	if m == nil {
		b.t.Skipf("the simulator has no case %q", c)
	}
	return m
}

func (b *bench) inject(f Fault) {
	b.t.Helper()
	if !b.Inject(f) {
		b.t.Skipf("the simulator has no fault %q", f)
	}
}

// submit hands a message over and takes the answer when it comes.
func (b *bench) submit(m *providers.Message) error {
	b.mu.Lock()
	b.began[m.ID] = time.Now()
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.t.Context(), b.patience)
	defer cancel()
	return b.Provider.Submit(ctx, m, func(got *providers.Message, r providers.Result) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.answers[got.ID] = append(b.answers[got.ID], answer{r, time.Since(b.began[got.ID])})
	})
}

// send submits messages of a case, as many as are taken.
func (b *bench) send(c Case, n int) (list []*providers.Message) {
	b.t.Helper()
	for range n {
		m := b.message(c)
		require.NoError(b.t, b.submit(m))
		list = append(list, m)
	}
	return list
}

// results waits until all of the messages are done.
func (b *bench) results(list []*providers.Message) map[delivery.ID]answer {
	b.t.Helper()
	b.eventually(func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, m := range list {
			if len(b.answers[m.ID]) == 0 {
				return false
			}
		}
		return true
	}, "messages are never done")
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[delivery.ID]answer{}
	for _, m := range list {
		require.Len(b.t, b.answers[m.ID], 1, "done is called once")
		out[m.ID] = b.answers[m.ID][0]
	}
	return out
}

// one submits a message of a case and returns its result.
func (b *bench) one(c Case) (*providers.Message, answer) {
	b.t.Helper()
	list := b.send(c, 1)
	return list[0], b.results(list)[list[0].ID]
}

// close closes the account within a time and returns what Close said and how long it took.
func (b *bench) close(within time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	began := time.Now()
	err := b.Provider.Close(ctx)
	return time.Since(began), err
}

// Sink takes receipts and replies, and fails as often as told. It may be used from any goroutine.
type Sink struct {
	mu       sync.Mutex
	fail     int
	receipts []delivery.Receipt
	replies  []delivery.Reply
	calls    int
}

var errSink = errors.New("the sink was told to fail")

// Fail makes the next n calls fail.
func (s *Sink) Fail(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = n
}

// Receipts takes a batch, or fails.
func (s *Sink) Receipts(_ context.Context, batch []delivery.Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed() {
		return errSink
	}
	s.receipts = append(s.receipts, batch...)
	return nil
}

// Replies takes a batch, or fails.
func (s *Sink) Replies(_ context.Context, batch []delivery.Reply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed() {
		return errSink
	}
	s.replies = append(s.replies, batch...)
	return nil
}

func (s *Sink) failed() bool {
	s.calls++
	if s.fail == 0 {
		return false
	}
	s.fail--
	return true
}

// Got is what was taken so far.
func (s *Sink) Got() ([]delivery.Receipt, []delivery.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.receipts), slices.Clone(s.replies)
}

// states is what receipts said, by reference.
func (s *Sink) states() map[string]delivery.ReceiptState {
	receipts, _ := s.Got()
	out := make(map[string]delivery.ReceiptState, len(receipts))
	for i := range receipts {
		out[receipts[i].Ref] = receipts[i].State
	}
	return maps.Clone(out)
}
