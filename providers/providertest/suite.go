package providertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// many is how many messages a check of a crowd sends: less than a window.
const many = 20

// Run runs the suite. Each check has a rig of its own; checks run in parallel.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, check := range map[string]func(*bench){
		"accepted once with ids":                     accepted,
		"long messages":                              long,
		"refused recipient":                          refusal(Recipient, delivery.OutcomeRecipient),
		"refused content":                            refusal(Content, delivery.OutcomeContent),
		"refused for now":                            refusal(Temporary, delivery.OutcomeTemporary),
		"refused settings":                           refusal(Fatal, delivery.OutcomeFatal),
		"expired before submit":                      refusal(Expired, delivery.OutcomeExpired),
		"unknown sender":                             refusal(BadSender, delivery.OutcomeContent),
		"throttled is not failed":                    throttled,
		"no answer is unknown in time":               silence,
		"accepted and cut is unknown":                cutAfter,
		"cut: unknown or never sent":                 cut,
		"works again after a cut":                    again,
		"a peer that stalls holds up nobody":         stall,
		"close waits for answers":                    closeGracefully,
		"close keeps its deadline":                   closeInTime,
		"close is final":                             closeTwice,
		"cancelled submit":                           cancelled,
		"receipts reach the sink":                    receipts,
		"receipts are repeated when the sink fails":  receiptsAgain,
		"a negative receipt says so":                 undelivered,
		"receipts before the answer":                 early,
		"secrets do not print":                       secrets,
		"capability and name do not change":          constant,
		"done does not hold up other messages' done": concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(h.setup(t))
		})
	}
}

func accepted(b *bench) {
	list := b.send(Accepted, many)
	seen := map[string]bool{}
	for id, r := range b.results(list) {
		require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "%+v", r)
		require.NotEmpty(b.t, r.ProviderIDs, "message %s has no id of the provider", id)
		require.GreaterOrEqual(b.t, r.Parts, 1)
		for _, ref := range r.ProviderIDs {
			require.False(b.t, seen[ref], "id %q was given twice", ref)
			seen[ref] = true
		}
	}
	for _, m := range list {
		require.Equal(b.t, 1, b.Taken(m))
	}
}

func long(b *bench) {
	m := b.message(Long)
	sizer, ok := b.Provider.(providers.Sizer)
	require.True(b.t, ok, "an account with long messages sizes them")
	size := sizer.Size(m)
	require.Greater(b.t, size, 1)
	require.NoError(b.t, b.submit(m))
	r := b.results([]*providers.Message{m})[m.ID]
	require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "%+v", r)
	require.Equal(b.t, size, r.Parts)
	require.Len(b.t, r.ProviderIDs, size, "one id a part")
}

func refusal(c Case, want delivery.Outcome) func(*bench) {
	return func(b *bench) {
		m, r := b.one(c)
		require.Equal(b.t, want, r.Outcome, "%+v", r)
		require.Empty(b.t, r.ProviderIDs)
		require.Zero(b.t, r.Parts, "a refusal is not billed")
		require.Zero(b.t, b.Taken(m))
		require.NotContains(b.t, r.Detail, m.To, "a detail holds no address")
	}
}

func throttled(b *bench) {
	m, r := b.one(ThrottledOnce)
	require.Equal(b.t, delivery.OutcomeThrottled, r.Outcome, "%+v", r)
	require.Zero(b.t, b.Taken(m))
	b.mu.Lock()
	delete(b.answers, m.ID)
	b.mu.Unlock()
	require.NoError(b.t, b.submit(m))
	r = b.results([]*providers.Message{m})[m.ID]
	require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "%+v", r)
	require.Equal(b.t, 1, b.Taken(m))
}

func silence(b *bench) {
	_, r := b.one(NoAnswer)
	require.Equal(b.t, delivery.OutcomeUnknown, r.Outcome, "%+v", r)
	require.GreaterOrEqual(b.t, r.after, b.AnswerTime/2, "it was given up too early")
	require.Less(b.t, r.after, 2*b.AnswerTime+time.Second)
	_, r = b.one(Accepted)
	require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "the account goes on")
}

func cutAfter(b *bench) {
	m, r := b.one(CutAfter)
	require.Equal(b.t, delivery.OutcomeUnknown, r.Outcome, "%+v", r)
	require.Equal(b.t, 1, b.Taken(m))
}

func cut(b *bench) {
	b.inject(Hold)
	list := b.send(Accepted, many)
	b.inject(Cut)
	for _, m := range list {
		r := b.results(list)[m.ID]
		switch {
		case r.Outcome == delivery.OutcomeUnknown:
		case r.NotAttempt:
			require.Zero(b.t, b.Taken(m), "what never left cannot have been taken")
		default:
			require.Fail(b.t, "a message without an answer is neither unknown nor unsent", "%+v", r)
		}
	}
}

func again(b *bench) {
	b.inject(Cut)
	b.works()
}

// works waits until the account sends again.
func (b *bench) works() {
	b.t.Helper()
	b.eventually(func() bool {
		m := b.message(Accepted)
		if b.submit(m) != nil {
			return false
		}
		return b.results([]*providers.Message{m})[m.ID].Outcome == delivery.OutcomeAccepted
	}, "the account never works again")
}

func stall(b *bench) {
	b.inject(Stall)
	var list []*providers.Message
	for range many {
		m := b.message(Accepted)
		if err := b.submit(m); err == nil {
			list = append(list, m)
		}
	}
	for _, r := range b.results(list) {
		require.True(b.t, r.Outcome == delivery.OutcomeUnknown || r.NotAttempt, "%+v", r)
	}
	took, _ := b.close(2 * time.Second)
	require.Less(b.t, took, 4*time.Second)
}

func closeGracefully(b *bench) {
	list := b.send(Accepted, many)
	_, err := b.close(b.patience)
	require.NoError(b.t, err)
	b.mu.Lock()
	done := len(b.answers)
	b.mu.Unlock()
	require.Equal(b.t, many, done, "Close returned before all were done")
	for _, r := range b.results(list) {
		require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "%+v", r)
	}
}

func closeInTime(b *bench) {
	b.inject(Hold)
	list := b.send(Accepted, many)
	within := min(300*time.Millisecond, b.AnswerTime/2)
	took, err := b.close(within)
	require.ErrorIs(b.t, err, context.DeadlineExceeded)
	require.Less(b.t, took, within+2*time.Second)
	b.mu.Lock()
	done := len(b.answers)
	b.mu.Unlock()
	require.Equal(b.t, many, done, "what is left is done when Close returns")
	for _, r := range b.results(list) {
		require.True(b.t, r.Outcome == delivery.OutcomeUnknown || r.NotAttempt, "%+v", r)
	}
}

func closeTwice(b *bench) {
	_, err := b.close(b.patience)
	require.NoError(b.t, err)
	_, err = b.close(b.patience)
	require.NoError(b.t, err, "closing twice is harmless")
	m := b.message(Accepted)
	require.Error(b.t, b.submit(m), "a closed account takes nothing")
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.answers, "done is not called after an error")
	require.Zero(b.t, b.Window.Size(), "a closed account has no window")
}

func cancelled(b *bench) {
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	m := b.message(Accepted)
	calls := make(chan struct{}, 2)
	err := b.Provider.Submit(ctx, m, func(*providers.Message, providers.Result) { calls <- struct{}{} })
	if err != nil {
		require.Zero(b.t, b.Taken(m), "an error means that nothing left")
		require.Empty(b.t, calls, "done is not called after an error")
		return
	}
	b.eventually(func() bool { return len(calls) == 1 }, "done is never called")
}

// told waits until the sink knows a state of all ids of the results.
func (b *bench) told(results map[delivery.ID]answer, want delivery.ReceiptState) {
	b.t.Helper()
	if _, ok := b.Provider.(providers.ReceiptSource); !ok {
		b.t.Skip("receipts come by another way")
	}
	b.eventually(func() bool {
		states := b.sink.states()
		for _, r := range results {
			for _, ref := range r.ProviderIDs {
				if states[ref] != want {
					return false
				}
			}
		}
		return true
	}, "receipts never come as %d", want)
	got, _ := b.sink.Got()
	for i := range got {
		require.Equal(b.t, b.Provider.Name(), got[i].Provider)
		require.WithinDuration(b.t, time.Now(), got[i].At, 5*time.Minute)
	}
}

func receipts(b *bench) { b.told(b.results(b.send(Accepted, many)), delivery.ReceiptDelivered) }

func receiptsAgain(b *bench) {
	b.sink.Fail(2)
	b.told(b.results(b.send(Accepted, many)), delivery.ReceiptDelivered)
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	require.Zero(b.t, b.sink.fail, "the sink was asked often enough to fail")
}

func undelivered(b *bench) {
	b.told(b.results(b.send(Undelivered, 1)), delivery.ReceiptUndelivered)
}

func early(b *bench) {
	results := b.results(b.send(EarlyReceipt, many))
	for _, r := range results {
		require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "%+v", r)
	}
	b.told(results, delivery.ReceiptDelivered)
}

func secrets(b *bench) {
	b.results(b.send(Accepted, 1))
	b.inject(Cut)
	b.works()
	_, _ = b.close(b.patience) // quiet, so that its fields may be read
	printed := b.Printed() + fmt.Sprintf("%v %+v %#v", b.Provider, b.Provider, b.Provider)
	require.NotEmpty(b.t, b.Secrets)
	for _, s := range b.Secrets {
		require.NotContains(b.t, printed, s)
	}
}

func constant(b *bench) {
	name, can := b.Provider.Name(), b.Provider.Capability()
	require.NotEmpty(b.t, name)
	b.results(b.send(Accepted, 1))
	require.Equal(b.t, name, b.Provider.Name())
	require.Equal(b.t, can, b.Provider.Capability())
}

// concurrent submits from several goroutines at once.
func concurrent(b *bench) {
	lists := make(chan []*providers.Message, 4)
	for range cap(lists) {
		go func() {
			var list []*providers.Message
			for range many / 4 {
				if m := b.Message(Accepted); b.submit(m) == nil {
					list = append(list, m)
				}
			}
			lists <- list
		}()
	}
	for range cap(lists) {
		list := <-lists
		require.Len(b.t, list, many/4)
		for _, r := range b.results(list) {
			require.Equal(b.t, delivery.OutcomeAccepted, r.Outcome, "%+v", r)
		}
	}
}
