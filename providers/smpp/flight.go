package smpp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

const (
	partTries    = 3               // how often a part that was refused for now is sent
	partPatience = 2 * time.Minute // how long parts wait for another bind
	unsentPause  = time.Second     // before a part that did not leave is tried again
)

// partState is how far a part of a message is.
type partState uint8

const (
	partOpen partState = iota // on its way, or waiting for it
	partAccepted
	partDoubtful
	partRefused // for good
	partAgain   // may be sent again
)

// part is one PDU of a message.
type part struct {
	state  partState
	tries  uint8 // that reached the SMSC
	id     string
	frame  []byte // kept for repeats of a long message
	result providers.Result
}

// flight is a message on its way: all its parts, until it is done.
type flight struct {
	client *client
	msg    *providers.Message
	done   func(*providers.Message, providers.Result)
	began  time.Time
	over   atomic.Bool // parts that are not sent yet stay

	mu    sync.Mutex
	open  int // parts without an answer
	parts []part
	one   [1]part // what parts is for most messages
	id    [1]string
}

// answered takes the end of a part. When no part is open any more, the message is done or its parts go again.
func (f *flight) answered(s *session, n int, a answer) {
	r := f.result(a)
	f.mu.Lock()
	p := &f.parts[n]
	p.result = r
	p.state = stateOf(r, a.verdict)
	if p.state == partAccepted {
		p.id = a.id
	}
	if a.verdict == answered {
		p.tries++
	}
	if p.state == partRefused {
		f.over.Store(true)
	}
	if f.open--; f.open > 0 {
		f.mu.Unlock()
		return
	}
	whole, again, after := f.conclude(time.Now())
	f.open = len(again)
	f.mu.Unlock()
	if len(again) > 0 {
		f.client.later(f, again, after, s)
		return
	}
	f.finish(whole)
}

// foresee keeps parts that are not sent yet back when the answer refuses the message for good.
func (f *flight) foresee(a answer) {
	if a.status != statusOK && len(f.parts) > 1 &&
		stateOf(f.client.class.classify(a.status, f.msg), answered) == partRefused {
		f.over.Store(true)
	}
}

// finish tells the result, once.
func (f *flight) finish(r providers.Result) {
	f.done(f.msg, r)
	f.client.landed()
}

// result classifies the end of a part.
func (f *flight) result(a answer) providers.Result {
	switch a.verdict {
	case notSent, withdrawn:
		return providers.Result{
			Outcome: delivery.OutcomeTemporary, Reason: delivery.ReasonTransport, NotAttempt: true, Detail: "not sent",
		}
	case timedOut:
		return providers.Result{Outcome: delivery.OutcomeUnknown, Detail: "no answer in time"}
	case cutOff:
		return providers.Result{Outcome: delivery.OutcomeUnknown, Detail: "connection lost before the answer"}
	case answered:
	}
	switch {
	case a.status == statusOK && a.nack:
		return providers.Result{Outcome: delivery.OutcomeUnknown, Detail: "generic_nack without a status"}
	case a.status == statusOK:
		f.client.health.count(false)
		return providers.Result{Outcome: delivery.OutcomeAccepted}
	}
	r := f.client.class.classify(a.status, f.msg)
	if f.client.health.count(a.status == statusSystemError) && a.status == statusSystemError &&
		r.Outcome == delivery.OutcomeTemporary {
		r.Outcome, r.Reason = delivery.OutcomeFatal, delivery.ReasonProviderDown
		r.Detail += " for most messages"
	}
	return r
}

func stateOf(r providers.Result, v verdict) partState {
	switch r.Outcome {
	case delivery.OutcomeAccepted:
		return partAccepted
	case delivery.OutcomeUnknown:
		return partDoubtful
	case delivery.OutcomeThrottled, delivery.OutcomeTemporary:
		return partAgain
	case delivery.OutcomeRecipient, delivery.OutcomeContent, delivery.OutcomeFatal, delivery.OutcomeExpired:
	}
	if v == withdrawn {
		return partAgain
	}
	return partRefused
}

// conclude decides when no part is open: what became of the message, or which parts go again, and after what pause.
// While nothing is accepted, the whole message may go back to the caller. Once a part is accepted it may not, because
// then that part would be sent and billed again: the rest goes again from here.
func (f *flight) conclude(now time.Time) (r providers.Result, again []int, after time.Duration) {
	if len(f.parts) == 1 {
		r = f.parts[0].result
		if f.parts[0].state == partAccepted {
			r.Parts = 1
			r.ProviderIDs = f.ids()
		}
		return r, nil, 0
	}
	var count [partAgain + 1]int
	var refused, repeat *part
	for i := range f.parts {
		p := &f.parts[i]
		count[p.state]++
		switch {
		case p.state == partRefused && (refused == nil || rank(p) > rank(refused)):
			refused = p
		case p.state == partAgain && (repeat == nil || rank(p) > rank(repeat)):
			repeat = p
		}
	}
	accepted := count[partAccepted]
	switch {
	case count[partDoubtful] > 0:
		r = providers.Result{Outcome: delivery.OutcomeUnknown, Detail: f.firstDoubt()}
	case refused != nil:
		r = refused.result
	case repeat == nil:
		r = providers.Result{Outcome: delivery.OutcomeAccepted}
	case accepted == 0:
		return repeat.result, nil, 0
	default:
		if again, after = f.repeats(now); len(again) > 0 {
			return r, again, after
		}
		r = repeat.result
	}
	return f.partial(r, accepted), nil, 0
}

// partial adds what was accepted to the result. A message of which the SMSC has a part never goes back to be sent again
// as a whole.
func (f *flight) partial(r providers.Result, accepted int) providers.Result {
	r.Parts, r.ProviderIDs = accepted, f.ids()
	if accepted == 0 || accepted == len(f.parts) {
		return r
	}
	r.Detail = fmt.Sprintf("partial %d/%d: %s", accepted, len(f.parts), r.Detail)
	switch r.Outcome {
	case delivery.OutcomeThrottled, delivery.OutcomeTemporary, delivery.OutcomeFatal:
		r.Outcome, r.Reason = delivery.OutcomeContent, delivery.ReasonPartial
		r.RetryAfter, r.NotAttempt = 0, false
	case delivery.OutcomeAccepted, delivery.OutcomeRecipient, delivery.OutcomeContent, delivery.OutcomeUnknown,
		delivery.OutcomeExpired:
	}
	return r
}

// rank orders results of parts: the one that says most about the message is the message's.
func rank(p *part) int {
	switch {
	case p.result.Outcome == delivery.OutcomeFatal:
		return 4
	case p.result.Outcome == delivery.OutcomeThrottled:
		return 3
	case p.result.NotAttempt:
		return 1
	}
	return 2
}

// repeats lists the parts that go again and for how long they wait. It is empty when one of them had its tries, or when
// the message's time is over.
func (f *flight) repeats(now time.Time) (again []int, after time.Duration) {
	after = unsentPause
	for i := range f.parts {
		p := &f.parts[i]
		if p.state != partAgain {
			continue
		}
		if p.tries >= partTries {
			return nil, 0
		}
		after = max(after, p.result.RetryAfter)
		again = append(again, i)
	}
	due := now.Add(after)
	if !f.client.repeats() || due.Sub(f.began) > partPatience || !f.msg.ExpiresAt.IsZero() && due.After(f.msg.ExpiresAt) {
		return nil, 0
	}
	for _, i := range again {
		f.parts[i].state = partOpen
	}
	return again, after
}

func (f *flight) firstDoubt() string {
	for i := range f.parts {
		if f.parts[i].state == partDoubtful {
			return f.parts[i].result.Detail
		}
	}
	return ""
}

// ids lists the ids of the parts in order; a part without one has the empty id. It is nil when there is none at all.
func (f *flight) ids() []string {
	var ids []string
	for i := range f.parts {
		if p := &f.parts[i]; p.state == partAccepted && p.id != "" {
			if ids == nil {
				ids = f.id[:]
				if len(f.parts) > 1 {
					ids = make([]string, len(f.parts))
				}
			}
			ids[i] = p.id
		}
	}
	return ids
}

// late takes an answer that came after its part was given up. Only an acceptance says something new.
func (f *flight) late(n int, a answer) {
	if a.status != statusOK || a.nack || a.id == "" {
		return
	}
	f.client.lateAcceptance(delivery.Receipt{
		Provider: f.client.name, Ref: a.id, State: delivery.ReceiptAccepted, At: time.Now(), Message: f.msg.ID,
		Part: n + 1, Parts: len(f.parts),
	})
}
