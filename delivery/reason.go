package delivery

// Reason says why a message was suppressed, held, refused or came back. The list is closed and the numbers are stored
// in SQL; metric labels and the texts that people read derive from it.
type Reason uint8

// The reasons of suppressed.
const (
	ReasonNone             Reason = 0
	ReasonNoAddress        Reason = 1
	ReasonInvalidAddress   Reason = 2
	ReasonAddressGone      Reason = 3 // also of rejected and bounced
	ReasonNoConsent        Reason = 4 // never gave it
	ReasonOptedOut         Reason = 5 // from everything
	ReasonChannelOptOut    Reason = 6 // from this channel
	ReasonUnsubscribed     Reason = 7 // from this topic
	ReasonBouncedBefore    Reason = 8
	ReasonComplainedBefore Reason = 9
	ReasonStopList         Reason = 10
	ReasonCapped           Reason = 11 // also of held
	ReasonBudget           Reason = 12
	ReasonCancelled        Reason = 13
	ReasonReplaced         Reason = 14
	ReasonRenderError      Reason = 15
	ReasonProviderDown     Reason = 16 // also of held
	ReasonDuplicate        Reason = 17
	ReasonHoldout          Reason = 18
)

// The reasons of held, beside ReasonCapped and ReasonProviderDown.
const (
	ReasonNotBefore  Reason = 31
	ReasonQuietHours Reason = 32
	ReasonStopped    Reason = 33
	ReasonRetry      Reason = 34
)

// The reasons of failed, rejected and bounced, beside ReasonAddressGone and ReasonUnsubscribed.
const (
	ReasonUnreachable Reason = 51
	ReasonContent     Reason = 52
	ReasonPolicy      Reason = 53
	ReasonMailbox     Reason = 54
	ReasonTransport   Reason = 55
	ReasonPartial     Reason = 56
	ReasonVendor      Reason = 57
)

//nolint:gochecknoglobals // a table that never changes
var reasonNames = newNames("reason", map[Reason]string{
	ReasonNone: "", ReasonNoAddress: "no_address", ReasonInvalidAddress: "invalid_address",
	ReasonAddressGone: "address_gone", ReasonNoConsent: "no_consent", ReasonOptedOut: "opted_out",
	ReasonChannelOptOut: "channel_opt_out", ReasonUnsubscribed: "unsubscribed",
	ReasonBouncedBefore: "bounced_before", ReasonComplainedBefore: "complained_before",
	ReasonStopList: "stop_list", ReasonCapped: "capped", ReasonBudget: "budget",
	ReasonCancelled: "cancelled", ReasonReplaced: "replaced", ReasonRenderError: "render_error",
	ReasonProviderDown: "provider_down", ReasonDuplicate: "duplicate", ReasonHoldout: "holdout",
	ReasonNotBefore: "not_before", ReasonQuietHours: "quiet_hours", ReasonStopped: "stopped",
	ReasonRetry: "retry", ReasonUnreachable: "unreachable", ReasonContent: "content", ReasonPolicy: "policy",
	ReasonMailbox: "mailbox", ReasonTransport: "transport", ReasonPartial: "partial", ReasonVendor: "vendor",
})

// Reasons lists the reasons in the order of their numbers, ReasonNone included.
func Reasons() []Reason { return reasonNames.all() }

// ParseReason reads a reason's name; the empty name is ReasonNone.
func ParseReason(s string) (Reason, error) { return reasonNames.parse(s) }

func (r Reason) String() string { return reasonNames.byNum[r] }

// MarshalText writes the name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the name.
func (r *Reason) UnmarshalText(b []byte) (err error) {
	*r, err = ParseReason(string(b))
	return err
}

// Outcome is what a provider's answer to Submit means, classified once at the edge.
type Outcome uint8

// The outcomes.
const (
	OutcomeAccepted  Outcome = 1 // the provider took the message
	OutcomeRecipient Outcome = 2 // this recipient cannot be reached by it, for good
	OutcomeContent   Outcome = 3 // this content is refused, for good
	OutcomeThrottled Outcome = 4 // too fast: wait, it is not an attempt
	OutcomeTemporary Outcome = 5 // may work later
	OutcomeUnknown   Outcome = 6 // in doubt: the bytes may have left, no answer came
	OutcomeFatal     Outcome = 7 // every message would fail: wrong settings, no credit
	OutcomeExpired   Outcome = 8 // its time was over
)

//nolint:gochecknoglobals // a table that never changes
var outcomeNames = newNames("outcome", map[Outcome]string{
	OutcomeAccepted: "accepted", OutcomeRecipient: "recipient", OutcomeContent: "content",
	OutcomeThrottled: "throttled", OutcomeTemporary: "temporary", OutcomeUnknown: "unknown", OutcomeFatal: "fatal",
	OutcomeExpired: "expired",
})

// Outcomes lists the outcomes in the order of their numbers.
func Outcomes() []Outcome { return outcomeNames.all() }

func (o Outcome) String() string { return outcomeNames.byNum[o] }
