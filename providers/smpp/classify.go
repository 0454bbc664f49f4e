package smpp

import (
	"fmt"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// The values of command_status that are used by name (SMPP 3.4 section 5.1.3).
const (
	statusOK            = 0x00
	statusMessageLength = 0x01
	statusCommandID     = 0x03
	statusBindState     = 0x04
	statusAlreadyBound  = 0x05
	statusSystemError   = 0x08
	statusSource        = 0x0a
	statusDestination   = 0x0b
	statusBindFailed    = 0x0d
	statusPassword      = 0x0e
	statusSystemID      = 0x0f
	statusQueueFull     = 0x14
	statusSubmitFailed  = 0x45
	statusSystemType    = 0x53
	statusThrottled     = 0x58
	statusTemporary     = 0x64 // ESME_RX_T_APPN
	statusUnknownError  = 0xff
)

const (
	throttlePause    = time.Second
	queueFullPause   = 5 * time.Second
	systemErrorPause = 5 * time.Second
)

// classifier says what a command_status of submit_sm_resp means, for one account.
type classifier struct {
	over map[uint32]delivery.Outcome
}

// classify gives the result for a refusal. The number of the attempt decides about statuses that some SMSCs use for
// anything: they are worth a repeat, then the recipient is given up.
func (c *classifier) classify(status uint32, m *providers.Message) providers.Result {
	r := providers.Result{Code: statusCode(status), Detail: statusText(status)}
	r.Outcome, r.Reason, r.RetryAfter, r.NotAttempt = classOf(status, m)
	if o, ok := c.over[status]; ok {
		if o != r.Outcome {
			r.Reason, r.RetryAfter, r.NotAttempt = reasonOf(o), 0, false
		}
		r.Outcome = o
	}
	return r
}

// classOf is the table of outcomes.
func classOf(
	status uint32, m *providers.Message,
) (o delivery.Outcome, why delivery.Reason, wait time.Duration, free bool) {
	switch status {
	case statusThrottled:
		return delivery.OutcomeThrottled, delivery.ReasonTransport, throttlePause, true
	case statusQueueFull:
		return delivery.OutcomeThrottled, delivery.ReasonTransport, queueFullPause, true
	case statusDestination, 0x65, 0xfe:
		return delivery.OutcomeRecipient, delivery.ReasonUnreachable, 0, false
	case 0x101:
		return delivery.OutcomeRecipient, delivery.ReasonPolicy, 0, false
	case statusTemporary, 0x102:
		return delivery.OutcomeTemporary, delivery.ReasonTransport, 0, false
	case statusSystemError:
		return delivery.OutcomeTemporary, delivery.ReasonTransport, systemErrorPause, false
	case statusBindState, statusAlreadyBound:
		return delivery.OutcomeTemporary, delivery.ReasonTransport, 0, true
	case statusSubmitFailed, statusUnknownError:
		return untilAttempt(2, m)
	case 0x66, statusMessageLength, 0x43, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0x103, 0x104:
		return delivery.OutcomeContent, delivery.ReasonContent, 0, false
	case statusSource:
		if m.Sender != "" {
			return delivery.OutcomeContent, delivery.ReasonContent, 0, false
		}
		return delivery.OutcomeFatal, delivery.ReasonProviderDown, 0, false
	}
	if settingsStatus(status) {
		return delivery.OutcomeFatal, delivery.ReasonProviderDown, 0, false
	}
	o, why, wait, free = untilAttempt(1, m)
	if o == delivery.OutcomeRecipient {
		why = delivery.ReasonVendor
	}
	return o, why, wait, free
}

// settingsStatus says that a status is about the account's settings or a mistake of ours, so that every message would
// fail.
func settingsStatus(status uint32) bool {
	switch status {
	case 0x02, statusCommandID, 0x06, 0x07, 0x15, 0x44, statusSystemType, 0x54, 0x55, 0x61, 0x62, 0x63, 0x100:
		return true
	}
	return status >= 0x33 && status <= 0x42 || status >= 0x48 && status <= 0x51
}

// untilAttempt is temporary up to that attempt, then the recipient's fault.
func untilAttempt(n int, m *providers.Message) (delivery.Outcome, delivery.Reason, time.Duration, bool) {
	if m.Attempt <= n {
		return delivery.OutcomeTemporary, delivery.ReasonTransport, 0, false
	}
	return delivery.OutcomeRecipient, delivery.ReasonUnreachable, 0, false
}

// reasonOf is the reason of an outcome that the account's own map decided.
func reasonOf(o delivery.Outcome) delivery.Reason {
	switch o {
	case delivery.OutcomeRecipient:
		return delivery.ReasonUnreachable
	case delivery.OutcomeContent:
		return delivery.ReasonContent
	case delivery.OutcomeFatal:
		return delivery.ReasonProviderDown
	case delivery.OutcomeThrottled, delivery.OutcomeTemporary:
		return delivery.ReasonTransport
	case delivery.OutcomeAccepted, delivery.OutcomeUnknown, delivery.OutcomeExpired:
	}
	return delivery.ReasonNone
}

// statusCode writes a command_status as operators' documents do.
func statusCode(status uint32) string { return fmt.Sprintf("0x%08X", status) }

// statusText is what the specification calls a status.
func statusText(status uint32) string { return pdu.Status(status).Error() }
