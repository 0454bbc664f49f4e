package dispatcher_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	"github.com/herald-gateway/herald/providers"
)

// soon is enough for a job to get through; virtual time passes only while everybody waits.
const soon = 2 * time.Second

func TestDispatcher_Fates(t *testing.T) {
	t.Parallel()
	always := func(r providers.Result) func(*providers.Message) providers.Result {
		return func(*providers.Message) providers.Result { return r }
	}
	for _, c := range []struct {
		name   string
		job    func(*delivery.Job)
		answer func(*providers.Message) providers.Result
		kinds  []string
		due    int
		sent   int
	}{
		{name: "accepted", kinds: []string{"accepted"}, sent: 1},
		{
			name: "recipient refused", sent: 1, kinds: []string{"rejected{address_gone}"},
			answer: always(providers.Result{Outcome: delivery.OutcomeRecipient, Reason: delivery.ReasonAddressGone}),
		},
		{
			name: "content refused", sent: 1, kinds: []string{"failed{content}"},
			answer: always(providers.Result{Outcome: delivery.OutcomeContent, Reason: delivery.ReasonContent}),
		},
		{
			name: "temporary comes back later", sent: 1, kinds: []string{"held{retry}"}, due: 1,
			answer: always(providers.Result{Outcome: delivery.OutcomeTemporary}),
		},
		{
			name: "tries are over", sent: 1, kinds: []string{"rejected{transport}"},
			job:    func(j *delivery.Job) { j.Herald = &delivery.Internal{ID: delivery.IDAt(time.Now()), Attempt: 5} },
			answer: always(providers.Result{Outcome: delivery.OutcomeTemporary}),
		},
		{
			name: "no time left for another try", sent: 1, kinds: []string{"expired"},
			job:    func(j *delivery.Job) { j.ExpiresAt = time.Now().Add(3 * time.Second) },
			answer: always(providers.Result{Outcome: delivery.OutcomeTemporary}),
		},
		{
			name: "wrong settings hold the message", sent: 1, kinds: []string{"held{provider_down}"}, due: 1,
			answer: always(providers.Result{Outcome: delivery.OutcomeFatal, Code: "0x0000000e"}),
		},
		{
			name: "advertising in doubt is never sent again", sent: 1, kinds: []string{"unknown"},
			answer: always(providers.Result{Outcome: delivery.OutcomeUnknown}),
		},
		{
			name: "a service message in doubt is sent again twice", job: transactional, sent: 3,
			kinds:  []string{"redriven", "redriven", "unknown"},
			answer: always(providers.Result{Outcome: delivery.OutcomeUnknown}),
		},
		{
			name: "unknown template", kinds: []string{"suppressed{render_error}"},
			job: func(j *delivery.Job) { j.Template, j.Content = "autumn", nil },
		},
		{
			name: "macro without value", kinds: []string{"suppressed{render_error}"},
			job: func(j *delivery.Job) { j.Data = nil },
		},
		{
			name: "invalid phone", kinds: []string{"suppressed{invalid_address}"},
			job: func(j *delivery.Job) { j.Recipient.Phone = "+7abc" },
		},
		{
			name: "only a profile", kinds: []string{"suppressed{no_address}"},
			job: func(j *delivery.Job) { j.Recipient, j.Profile = nil, "crm:1" },
		},
		{
			name: "too late", kinds: []string{"expired"},
			job: func(j *delivery.Job) { j.ExpiresAt = time.Now().Add(-time.Second) },
		},
		{
			name: "too early", kinds: []string{"held{not_before}"}, due: 1,
			job: func(j *delivery.Job) { j.NotBefore = delivery.When{Time: time.Now().Add(time.Hour)} },
		},
		{
			name: "much too early", kinds: []string{"failed{content}"},
			job: func(j *delivery.Job) { j.NotBefore = delivery.When{Time: time.Now().Add(15 * 24 * time.Hour)} },
		},
		{
			name: "hold-out", kinds: []string{"suppressed{holdout}"},
			job: func(j *delivery.Job) { j.Herald = &delivery.Internal{ID: delivery.IDAt(time.Now()), Holdout: true} },
		},
		{
			name: "no provider for the only channel", kinds: []string{"suppressed{provider_down}"},
			job: func(j *delivery.Job) {
				j.Recipient.Email = "a@shop.example"
				j.Content = &delivery.Content{Email: &delivery.Email{Subject: "s", Text: "t"}}
			},
		},
		{
			name: "a link that cannot be used is skipped at once", sent: 1,
			kinds: []string{"suppressed{provider_down}", "accepted"},
			job: func(j *delivery.Job) {
				j.Content.Viber = &delivery.Viber{Text: "t"}
				j.Cascade = []delivery.Link{{Channel: delivery.ChannelViber}, {Channel: delivery.ChannelSMS}}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if c.answer != nil {
					w.answer = c.answer
				}
				f := setup(t, w)
				off := f.send(job(c.job))
				time.Sleep(soon)
				synctest.Wait()
				f.stop()
				require.Equal(t, c.kinds, w.kinds())
				require.Len(t, w.due, c.due)
				require.Len(t, w.submits, c.sent)
				require.True(t, w.finished[off], "the record is done")
				require.Zero(t, f.window.Used(), "every slot came back")
			})
		})
	}
}

func TestDispatcher_RendersAndAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, newWorld(t))
		f.send(job(func(j *delivery.Job) { j.Recipient.Phone = "8 (900) 000-00-01" }))
		time.Sleep(soon)
		f.stop()
		require.Equal(t, "+79000000001", f.submits[0].to)
		require.Equal(t, "Hello Olga", f.submits[0].text)
		e := f.events[0]
		require.Equal(t, []string{"r" + e.Message.String()}, e.ProviderRefs)
		require.Equal(t, e.Message, f.refs[e.ProviderRefs[0]], "receipts can find the message")
	})
}

func TestDispatcher_BadRecordGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, newWorld(t))
		bad := f.sendBytes(delivery.LaneBulk, []byte(`{"v":2,"launch":"autumn"}`))
		f.sendBytes(delivery.LaneBulk, []byte(`{"v":2,"launch":"42"}`))
		f.sendBytes(delivery.LaneBulk, []byte(`{"v":2,"launch":"a\u0000b"}`))
		good := f.send(job(nil))
		time.Sleep(soon)
		f.stop()
		require.True(t, f.finished[bad])
		require.True(t, f.finished[good])
		require.Len(t, f.dead2, 3)
		require.Equal(t, map[string]int{"autumn": 1}, f.void)
		require.Equal(t, []string{"accepted"}, f.kinds())
	})
}

func TestDispatcher_ThrottledIsDelayedAndNoAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := 0
		w.answer = func(m *providers.Message) providers.Result {
			if n++; n <= 30 {
				return providers.Result{Outcome: delivery.OutcomeThrottled}
			}
			require.Equal(t, 1, m.Attempt)
			return accepted(m)
		}
		f := setup(t, w)
		began := time.Now()
		off := f.send(job(nil))
		for !w.isFinished(off) {
			time.Sleep(100 * time.Millisecond)
		}
		require.GreaterOrEqual(t, time.Since(began), 30*time.Second, "the gate closes for a second each time")
		f.stop()
		require.Equal(t, []string{"accepted"}, w.kinds())
		require.Equal(t, 1, w.events[0].Attempt)
	})
}

func TestDispatcher_RedrivenStandsOnTheLogBeforeTheBytesLeaveAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := 0
		w.answer = func(m *providers.Message) providers.Result {
			if n++; n == 1 {
				return providers.Result{Outcome: delivery.OutcomeUnknown}
			}
			return accepted(m)
		}
		f := setup(t, w)
		f.send(job(transactional))
		time.Sleep(soon)
		f.stop()
		require.Equal(t, []string{"submit", "event redriven", "submit", "event accepted"}, w.history())
		require.False(t, w.submits[0].resend)
		require.True(t, w.submits[1].resend)
	})
}

func TestDispatcher_RepeatIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, newWorld(t))
		label := func(j *delivery.Job) { j.Launch = "autumn" }
		first := f.send(job(label))
		second := f.send(job(label)) // while the first is in work: it shares its fate
		time.Sleep(soon)
		third := f.send(job(label)) // after its fate is recorded
		time.Sleep(soon)
		f.stop()
		for _, off := range []int64{first, second, third} {
			require.True(t, f.finished[off])
		}
		require.Len(t, f.submits, 1)
		require.Equal(t, []string{"accepted"}, f.kinds())
		require.Equal(t, map[string]int{"autumn": 2}, f.void, "the launch waits for no more records")
	})
}

// A claim that a crash left behind.
func TestDispatcher_AfterACrash(t *testing.T) {
	t.Parallel()
	const deadOwner = 99
	for _, c := range []struct {
		name  string
		stage int
		fate  *delivery.Fate
		job   func(*delivery.Job)
		kinds []string
		sent  int
	}{
		{name: "not handed over: goes on", kinds: []string{"accepted"}, sent: 1},
		{name: "advertising in doubt", stage: dispatcher.StageHanded, kinds: []string{"unknown"}},
		{
			name: "service message in doubt", stage: dispatcher.StageHanded, job: transactional,
			kinds: []string{"redriven", "accepted"}, sent: 1,
		},
		{
			name: "service message redriven often enough", stage: dispatcher.StageHanded, job: transactional,
			fate: &delivery.Fate{Redriven: 2}, kinds: []string{"unknown"},
		},
		{
			name: "its outcome is recorded", stage: dispatcher.StageHanded,
			fate: &delivery.Fate{Rank: delivery.RankAccepted},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				id := delivery.IDAt(time.Now()) + 800
				w.keys["k"], w.dead[deadOwner] = id, true
				w.claims[id] = &dispatcher.Claim{ID: id, Owner: deadOwner, Stage: c.stage, Offset: 1}
				if c.fate != nil {
					w.fates[id] = *c.fate
				}
				f := setup(t, w)
				off := f.send(job(c.job))
				time.Sleep(soon)
				f.stop()
				require.Equal(t, c.kinds, w.kinds())
				require.Len(t, w.submits, c.sent)
				require.True(t, w.finished[off])
			})
		})
	}
}

func TestDispatcher_WaitsForALivingOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := delivery.IDAt(time.Now()) + 800
		w.keys["k"] = id
		w.claims[id] = &dispatcher.Claim{ID: id, Owner: 77, Stage: dispatcher.StageHanded}
		f := setup(t, w)
		off := f.send(job(nil))
		time.Sleep(time.Minute)
		require.False(t, w.isFinished(off), "somebody else works on it")
		w.mu.Lock()
		w.fates[id] = delivery.Fate{Rank: delivery.RankDelivered}
		w.mu.Unlock()
		time.Sleep(soon)
		require.True(t, w.isFinished(off))
		require.Empty(t, w.submitted())
		f.stop()
	})
}

func TestDispatcher_DeclaredDeadGoesOnAsANewOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := setup(t, w)
		go f.owner.Run(t.Context())
		f.window.SetSize(0) // the job waits in its queue
		off := f.send(job(nil))
		time.Sleep(soon)
		w.mu.Lock()
		w.dead[f.owner.ID()] = true
		w.mu.Unlock()
		f.window.SetSize(100)
		time.Sleep(10 * time.Second)
		require.True(t, w.isFinished(off))
		require.Len(t, w.submitted(), 1)
		require.Equal(t, int64(2), f.owner.ID())
		f.stop()
	})
}

func TestDispatcher_HoldsWhatWaitsTooLongForAProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := setup(t, w)
		f.window.SetSize(0)
		off := f.send(job(nil))
		time.Sleep(15 * time.Second)
		require.False(t, w.isFinished(off))
		time.Sleep(15 * time.Second)
		require.True(t, w.isFinished(off))
		require.Equal(t, []string{"held{provider_down}"}, w.kinds())
		require.Equal(t, 1, w.due[0].Turn)

		// Back from due: the kept body with the next turn.
		f.window.SetSize(10)
		kept, err := delivery.DecodeJob(w.bodies[w.due[0].Message])
		require.NoError(t, err)
		require.Equal(t, 72*time.Hour, kept.ExpiresAt.Sub(w.events[0].At).Round(time.Hour))
		kept.Herald = &delivery.Internal{ID: w.due[0].Message, Turn: 1}
		f.send(kept)
		stale := f.send(job(nil)) // the first record, read again
		time.Sleep(soon)
		f.stop()
		require.Equal(t, []string{"held{provider_down}", "accepted"}, w.kinds())
		require.True(t, w.finished[stale])
		require.Len(t, w.submits, 1)
	})
}

func TestDispatcher_StoreAwayDelaysButLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.awayUntil = time.Now().Add(time.Minute)
		f := setup(t, w)
		off := f.send(job(nil))
		time.Sleep(50 * time.Second)
		require.False(t, w.isFinished(off))
		time.Sleep(30 * time.Second)
		require.True(t, w.isFinished(off))
		f.stop()
	})
}

func TestDispatcher_DrainFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay = 500 * time.Millisecond
		f := setup(t, w)
		off := f.send(job(nil))
		time.Sleep(300 * time.Millisecond)
		require.Len(t, w.submitted(), 1)
		f.stop()
		require.True(t, w.finished[off])
		require.Equal(t, []string{"accepted"}, w.kinds())
	})
}

func TestDispatcher_DrainLeavesNoDoubtAboutWhatNeverLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(*providers.Message) providers.Result {
			return providers.Result{Outcome: delivery.OutcomeThrottled, RetryAfter: time.Hour}
		}
		f := setup(t, w)
		off := f.send(job(nil))
		time.Sleep(300 * time.Millisecond)
		require.Len(t, w.submitted(), 1)
		f.stop()
		require.False(t, w.finished[off], "it goes on elsewhere")
		require.Empty(t, w.kinds())
		for _, c := range w.claims {
			require.Zero(t, c.Stage&dispatcher.StageHanded)
		}
	})
}

func TestDispatcher_ReplayedDeadLetterIsOneJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, newWorld(t))
		b, err := delivery.EncodeJob(job(func(j *delivery.Job) { j.Key = "" }))
		require.NoError(t, err)
		for off := range int64(2) {
			f.d.Handle(t.Context(), delivery.LaneBulk, []*delivery.Received{{From: f.world, Record: delivery.Record{
				Offset: off, Value: b, Time: time.Now(),
				Headers: []delivery.Header{{Key: delivery.HeaderReplayOf, Value: []byte("herald.jobs.bulk/1/7")}},
			}}})
		}
		time.Sleep(soon)
		f.stop()
		require.Len(t, f.submits, 1)
	})
}
