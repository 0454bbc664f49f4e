package dispatcher_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// back makes a job one that comes back from due.
func back(age time.Duration, turn, attempt int) func(*delivery.Job) {
	return func(j *delivery.Job) {
		id := delivery.IDAt(time.Now().Add(-age)).Job()
		j.Herald = &delivery.Internal{ID: id, Turn: turn, Attempt: attempt, Revision: 7}
	}
}

// A hold that comes too late, because the owner was declared dead meanwhile, leaves nothing behind when the job goes on.
func TestDispatcher_HoldOfALostClaimIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := setup(t, w)
		go f.owner.Run(t.Context())
		f.window.SetSize(0)
		off := f.send(job(nil))
		time.Sleep(15 * time.Second)
		w.mu.Lock()
		w.dead[f.owner.ID()] = true
		w.mu.Unlock()
		time.Sleep(8 * time.Second)
		require.Equal(t, []string{"held{provider_down}"}, w.kinds())
		f.window.SetSize(100)
		time.Sleep(soon)
		require.True(t, w.isFinished(off))
		f.stop()
		require.Equal(t, []string{"held{provider_down}", "accepted"}, w.kinds())
		require.Len(t, w.submits, 1)
		require.Empty(t, w.due)
	})
}

func TestDispatcher_HugeRecordBlocksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := setup(t, w)
		huge := bytes.Repeat([]byte("x"), 2<<20)
		bad, good := f.sendBytes(delivery.LaneBulk, huge), f.send(job(nil))
		time.Sleep(soon)
		f.stop()
		require.True(t, w.finished[bad] && w.finished[good])
		require.Len(t, w.dead2, 1)
		require.True(t, bytes.HasPrefix(huge, w.dead2[0].Value))
		require.Contains(t, string(w.dead2[0].Header(delivery.HeaderError)), "2097152 bytes")
	})
}

// While a long message waits for room, the sender neither spins, which would stop the virtual time, nor takes tokens.
func TestDispatcher_LongMessagesInASmallWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ window, size int }{{5, 3}, {4, 10}, {1, 2}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.size, w.delay = c.size, 3*time.Second
			f := setup(t, w)
			f.window.SetSize(c.window)
			for i := range 3 {
				f.send(job(func(j *delivery.Job) { j.Key = string(rune('a' + i)) }))
			}
			time.Sleep(20 * time.Second)
			require.Len(t, w.submitted(), 3)
			f.stop()
			require.Equal(t, []string{"accepted", "accepted", "accepted"}, w.kinds())
			require.Zero(t, f.window.Used())
		})
	}
}

func TestDispatcher_Patience(t *testing.T) {
	t.Parallel()
	cascade := func(j *delivery.Job) {
		back(13*time.Hour, 1000, 0)(j)
		j.Recipient.Email = "a@shop.example"
		j.Content.Email = &delivery.Email{Subject: "s", Text: "t"}
		j.Cascade = []delivery.Link{{Channel: delivery.ChannelSMS}, {Channel: delivery.ChannelEmail}}
	}
	for _, c := range []struct {
		name  string
		job   func(*delivery.Job)
		kinds []string
	}{
		{"was read late, but never held", back(13*time.Hour, 1, 0), []string{"held{provider_down}"}},
		{"held for all the time", back(13*time.Hour, 1000, 0), []string{"suppressed{provider_down}"}},
		{"goes on to the next link at once", cascade, []string{"suppressed{provider_down}", "suppressed{provider_down}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f := setup(t, w)
				f.window.SetSize(0)
				off := f.send(job(c.job))
				time.Sleep(25 * time.Second)
				require.True(t, w.isFinished(off))
				f.stop()
				require.Equal(t, c.kinds, w.kinds())
				if n := w.events[0].Next; n != nil {
					require.Zero(t, n.At)
					require.Empty(t, w.events[1].Provider, "no account was found for it")
				}
				for _, b := range w.bodies {
					kept, err := delivery.DecodeJob(b)
					require.NoError(t, err)
					require.Equal(t, 7, kept.Herald.Revision)
				}
			})
		})
	}
}

func TestDispatcher_CountsOverTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(*providers.Message) providers.Result {
			return providers.Result{Outcome: delivery.OutcomeUnknown}
		}
		f := setup(t, w)
		j := job(func(j *delivery.Job) { transactional(j); back(time.Minute, 1, 3)(j) })
		w.fates[j.Herald.ID] = delivery.Fate{Rank: delivery.RankHeld, Redriven: 2}
		f.send(j)
		time.Sleep(soon)
		require.Equal(t, []string{"unknown"}, w.kinds(), "it was sent again twice in an earlier turn")
		require.True(t, w.submits[0].resend)

		w.mu.Lock()
		w.answer = func(*providers.Message) providers.Result {
			return providers.Result{Outcome: delivery.OutcomeFatal}
		}
		w.mu.Unlock()
		f.send(job(nil))
		time.Sleep(soon)
		f.stop()
		require.Equal(t, 0, w.due[0].Attempt, "a fault of the account is no try of the message")
	})
}

// A copy that comes while the answer to the claim is on its way does not take the job for one that nobody works on.
func TestDispatcher_CopyWhileTheClaimIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lag = time.Second
		f := setup(t, w)
		first := f.send(job(nil))
		time.Sleep(200 * time.Millisecond)
		second := f.send(job(nil))
		time.Sleep(soon)
		f.stop()
		require.True(t, w.finished[first] && w.finished[second])
		require.Len(t, w.submits, 1)
	})
}
