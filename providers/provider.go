package providers

import (
	"context"
	"net/http"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Provider sends messages through one account. Its methods may be called from any goroutine.
type Provider interface {
	// Name is the account's name in the configuration.
	Name() string
	// Capability says what the account can do; it does not change.
	Capability() Capability
	// Submit hands the message over. When it returns nil, done is called exactly once, later or before it returns, with
	// what became of the message; done must not block and must not call Submit. When it returns an error, done is never
	// called and nothing has left: the caller may submit again. Submit does not wait for an answer.
	Submit(ctx context.Context, m *Message, done func(*Message, Result)) error
	// Close stops taking messages, waits for answers until ctx ends, and takes leave of the provider. Messages without
	// an answer are then done with OutcomeUnknown.
	Close(ctx context.Context) error
}

// Capability says what a provider account can do.
type Capability struct {
	Channel delivery.Channel
	// ReportsDelivery: receipts say delivered or not. Without it acceptance is the last that is heard.
	ReportsDelivery bool
	// ReportsRead: receipts say when the message was shown.
	ReportsRead bool
	// Idempotent: the provider itself drops a second submit of the same message, so that one in doubt may be resent.
	Idempotent bool
}

// Message is a rendered, addressed message on its way to a provider. The caller does not change it until done.
type Message struct {
	ID        delivery.ID
	Attempt   int // 1 for the first Submit
	Category  delivery.Category
	To        string // the address: E.164, e-mail address, token
	Sender    string // the name that the job asks for; empty: the account's own
	Content   delivery.Body
	ExpiresAt time.Time     // when the message is no use any more
	TTL       time.Duration // how long the provider may try; 0: until ExpiresAt
	// Resend says that an earlier copy may have arrived: the message was in doubt and is sent again knowingly.
	Resend bool
}

// Result is what became of a submitted message, classified by the provider.
type Result struct {
	Outcome     delivery.Outcome
	Reason      delivery.Reason // of a refusal
	ProviderIDs []string        // in the provider's canonical form, one per part, in order
	Parts       int             // parts that the provider took and bills
	Code        string          // the provider's own code, as its documentation writes it
	Detail      string          // for people; never an address or a text
	RetryAfter  time.Duration   // how long to wait, when the provider says so
	// NotAttempt: nothing left this process, so that it counts as no attempt.
	NotAttempt bool
}

// Sizer is a provider whose messages may take more than one slot of the window and token of the rate: a long SMS takes
// one per part. A message that cannot be sized has size 1 and is refused by Submit.
type Sizer interface {
	Size(m *Message) int
}

// Sink takes what providers tell after acceptance. It returns nil only when all of it is durable; otherwise the
// provider does not acknowledge and will be told again.
type Sink interface {
	Receipts(ctx context.Context, batch []delivery.Receipt) error
	Replies(ctx context.Context, batch []delivery.Reply) error
}

// ReceiptSource is a provider that gets receipts over its own connection (SMPP) rather than by webhook. Listen is
// called once, before the first Submit.
type ReceiptSource interface {
	Listen(Sink)
}

// WebhookRequest is an HTTP request that a provider sent to us, read in full.
type WebhookRequest struct {
	Header http.Header
	Path   string
	Query  string
	Remote string
	Body   []byte
}

// Webhook is a provider that tells receipts by HTTP. ParseWebhook appends them to dst; an error means that the request
// is not the provider's or cannot be read.
type Webhook interface {
	ParseWebhook(r WebhookRequest, dst []delivery.Receipt) ([]delivery.Receipt, error)
}
