package smpp_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/providertest"
	"github.com/herald-gateway/herald/providers/smpp"
)

func TestSession_LateAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.Listen(w.sink)
		p := w.bound()
		m := w.submit("hello")
		f := p.want(submit, 0)
		w.pass(29 * time.Second)
		w.wantOpen(m)
		w.pass(1200 * time.Millisecond)
		w.wantOutcome(m, delivery.OutcomeUnknown)
		flying, zombies, held := smpp.RingState(w.Provider)
		require.Equal(t, []int{0, 1, 1}, []int{flying, zombies, held}, "the slot is free, the answer still expected")
		go p.serve() // enquire_link
		p.accept(f, "00ABC")
		w.pass(time.Second)
		receipts, _ := w.sink.Got()
		require.Len(t, receipts, 1)
		r := receipts[0]
		require.Equal(t, delivery.Receipt{
			Provider: "mts", Ref: "abc", State: delivery.ReceiptAccepted, At: r.At, Message: m.ID, Part: 1, Parts: 1,
		}, r)
		p.accept(f, "00ABC")
		w.pass(time.Second)
		require.Equal(t, 1, w.counted("herald_smpp_foreign_responses_total"), "a second answer is nobody's")
		flying, zombies, held = smpp.RingState(w.Provider)
		require.Equal(t, []int{0, 0, 0}, []int{flying, zombies, held})
	})
}

// listen makes the embedded provider a receipt source for tests.
func (a *account) Listen(s providers.Sink) { a.Provider.(providers.ReceiptSource).Listen(s) }

func TestSession_ZombiesEndTheBind(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *smpp.Config) { c.Window, c.RespTimeout = 4, time.Second }, func(w *world) {
		p := w.bound()
		frames := make(chan frame, 100)
		go func() { // answers enquire_link only
			for {
				f, ok := p.tryRecv()
				if !ok {
					return
				}
				if f.command == enquire {
					p.send(enquire|resp, 0, f.sequence, "")
				} else {
					frames <- f
				}
			}
		}()
		var list []*providers.Message
		for range 4 {
			for range 4 {
				list = append(list, w.submit("x"))
			}
			w.pass(1200 * time.Millisecond)
		}
		for _, m := range list {
			w.wantOutcome(m, delivery.OutcomeUnknown)
		}
		flying, zombies, held := smpp.RingState(w.Provider)
		require.Equal(t, []int{0, 0, 0}, []int{flying, zombies, held}, "the bind was cut")
		require.Equal(t, 1, w.counted("herald_smpp_reconnects_total"))
		go w.bound().serve()
		w.pass(2 * time.Second)
		m := w.submit("x")
		w.wantOutcome(m, delivery.OutcomeAccepted)
	})
}

func TestSession_NumbersCollide(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.Listen(w.sink)
		p := w.bound()
		m := w.submit("hello")
		f := p.want(submit, 0)
		p.send(deliver, 0, f.sequence, string(deliverBody(4, 0, "id:7 stat:DELIVRD")))
		ack := p.want(deliver|resp, 0)
		require.Equal(t, f.sequence, ack.sequence)
		w.wantOpen(m)
		p.send(submit|resp, 0, f.sequence+64, "1\x00") // the same slot of the ring
		p.send(submit|resp, 0, f.sequence+1, "1\x00")
		w.wantOpen(m)
		p.accept(f, "7")
		r := w.wantOutcome(m, delivery.OutcomeAccepted)
		require.Equal(t, []string{"7"}, r.ProviderIDs)
		receipts, _ := w.sink.Got()
		require.Len(t, receipts, 1)
		require.Equal(t, 2, w.counted("herald_smpp_foreign_responses_total"))
	})
}

func TestSession_NumbersWrap(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		p := w.bound()
		smpp.SetNext(w.Provider, 0x7ffffffe)
		for _, want := range []uint32{0x7ffffffe, 0x7fffffff, 1, 2} {
			m := w.submit("x")
			f := p.want(submit, 0)
			require.Equal(t, want, f.sequence)
			p.accept(f, "1")
			w.wantOutcome(m, delivery.OutcomeAccepted)
		}
		m := w.submit("x")
		p.want(submit, 0)
		go p.serve()
		w.pass(31 * time.Second)
		w.wantOutcome(m, delivery.OutcomeUnknown)
	})
}

func TestSession_Cut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		tls    bool
		second func(p *peer) // reads of the buffer with messages 2 and 3
		want   [3]bool       // in doubt
	}{
		{"nothing of the second buffer", false, func(*peer) {}, [3]bool{true, false, false}},
		{"half of the second message", false, func(p *peer) { p.readBytes(30) }, [3]bool{true, false, false}},
		{"exactly the second", false, func(p *peer) { p.recv() }, [3]bool{true, true, false}},
		{"the second and half of the third", false, func(p *peer) { p.recv(); p.readBytes(30) }, [3]bool{true, true, false}},
		{"all", false, func(p *peer) { p.recv(); p.recv() }, [3]bool{true, true, true}},
		{"half under TLS", true, func(p *peer) { p.readBytes(30) }, [3]bool{true, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(c *smpp.Config) { c.TLS = tt.tls }, func(w *world) {
				p := w.bound()
				list := []*providers.Message{w.submit("one")}
				synctest.Wait() // the writer holds it now
				list = append(list, w.submit("two"), w.submit("three"))
				p.recv()
				synctest.Wait()
				four := w.submit("four") // in the append buffer, unless all was read
				tt.second(p)
				synctest.Wait()
				if tt.name == "all" {
					p.recv()
				}
				require.NoError(t, p.Close())
				for i, m := range list {
					if tt.want[i] {
						require.False(t, w.wantOutcome(m, delivery.OutcomeUnknown).NotAttempt)
					} else {
						w.wantUnsent(m)
					}
				}
				if tt.name == "all" {
					w.wantOutcome(four, delivery.OutcomeUnknown)
				} else {
					w.wantUnsent(four)
				}
				require.Zero(t, w.window.Size())
				require.ErrorIs(t, w.Submit(w.Context(), text("1", "x"), w.done), smpp.ErrNotBound)
				go w.bound().serve()
				w.pass(2 * time.Second)
				w.wantOutcome(w.submit("again"), delivery.OutcomeAccepted)
			})
		})
	}
}

func TestSession_StalledPeer(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.bound() // and never reads again
		began := time.Now()
		var list []*providers.Message
		for range 10 {
			list = append(list, w.submit("x"))
		}
		require.Zero(t, time.Since(began), "Submit does not wait for the peer")
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.Submit(ctx, text("1", "x"), w.done), context.DeadlineExceeded, "the window is full")
		w.pass(10 * time.Second)
		for _, m := range list {
			w.wantUnsent(m)
		}
	})
}

func TestSession_LifeSigns(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		p := w.bound()
		began := time.Now()
		f := p.want(enquire, 0)
		require.InDelta(t, 30, time.Since(began).Seconds(), 0.3)
		p.send(enquire|resp, 0, f.sequence, "")
		w.pass(20 * time.Second)
		p.send(enquire, 0, 77, "") // theirs; a sign of life, too
		require.Equal(t, uint32(77), p.want(enquire|resp, 0).sequence)
		began = time.Now()
		p.want(enquire, 0)
		require.InDelta(t, 30, time.Since(began).Seconds(), 0.3)
		p.send(0x102, 0, 1, "") // alert_notification: any PDU will do
		p.want(enquire, 0)      // and now nothing more
		began = time.Now()
		_, ok := p.tryRecv()
		require.False(t, ok, "the connection is cut")
		require.InDelta(t, 10, time.Since(began).Seconds(), 0.3)
		w.bound()
	})
}

func TestSession_OddPDUs(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.Listen(w.sink)
		p := w.bound()
		p.send(0x00010203, 0, 5, "vendor")
		require.Equal(t, uint32(5), p.want(nack, 3).sequence)
		p.send(3, 0, 6, "query\x00") // query_sm
		p.want(nack, 3)
		p.send(0x103, 0, 7, "data")
		require.Equal(t, uint32(7), p.want(0x80000103, 3).sequence)
		p.send(0x80000003, 0, 8, "") // a response that nobody asked for
		p.send(deliver, 0, 9, "\x00\x01")
		p.want(deliver|resp, 1)
		p.send(deliver, 0, 10, string(deliverBody(4, 0, "id:1", "\x04\x24\x10\x00x"))) // TLV past the end
		p.want(deliver|resp, 1)
		p.send(deliver, 0, 11, string(deliverBody(0, 0, "", tlv(0x424, strings.Repeat("big ", 1250)))))
		p.want(deliver|resp, 0)
		p.send(deliver, 0, 12, string(deliverBody(4, 0, "no id at all")))
		p.want(deliver|resp, 0)
		m := w.submit("x") // the bind still works
		f := p.want(submit, 0)
		p.send(submit|resp, 0, f.sequence, "an id without an end")
		require.Empty(t, w.wantOutcome(m, delivery.OutcomeAccepted).ProviderIDs)
		m = w.submit("x")
		p.send(submit|resp, 0, p.want(submit, 0).sequence, "") // no body
		require.Empty(t, w.wantOutcome(m, delivery.OutcomeAccepted).ProviderIDs)
		require.Equal(t, 3, w.counted("herald_smpp_malformed_pdus_total"))
		require.Equal(t, 1, w.counted("herald_smpp_unparsed_receipts_total"))
		_, replies := w.sink.Got()
		require.Len(t, replies, 1)

		_, err := p.Write([]byte{0, 0, 0, 15, 0, 0, 0, 0})
		require.NoError(t, err)
		_, _ = p.tryRecv()
		_, ok := p.tryRecv()
		require.False(t, ok, "after a length that is impossible the stream is lost")
		w.bound()
	})
}

func TestSession_GenericNack(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		p := w.bound()
		for status, want := range map[uint32]delivery.Outcome{
			0x58: delivery.OutcomeThrottled, 0x03: delivery.OutcomeFatal, 0: delivery.OutcomeUnknown,
		} {
			m := w.submit("x")
			p.send(nack, status, p.want(submit, 0).sequence, "")
			w.wantOutcome(m, want)
		}
		m := w.submit("x")
		p.want(submit, 0)
		p.send(nack, 2, 0, "")
		w.wantOutcome(m, delivery.OutcomeUnknown)
		w.bound()
	})
}

func TestSession_NotBoundAnyMore(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		p := w.bound()
		m := w.submit("x")
		p.send(submit|resp, 4, p.want(submit, 0).sequence, "")
		w.wantUnsent(m)
		w.bound()
	})
}

func TestSession_WindowAndContext(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *smpp.Config) { c.Window = 2 }, func(w *world) {
		p := w.bound()
		require.Equal(t, 2, w.window.Size())
		first, second := w.submit("1"), w.submit("2")
		f := p.want(submit, 0)
		p.want(submit, 0)
		ctx, cancel := context.WithCancel(w.Context())
		errs := make(chan error, 2)
		go func() { errs <- w.Submit(ctx, text("1", "cancelled"), w.done) }()
		synctest.Wait()
		third := text("1", "3")
		go func() { errs <- w.Submit(w.Context(), third, w.done) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-errs, context.Canceled)
		require.Empty(t, errs, "the third one waits")
		p.accept(f, "1")
		require.NoError(t, <-errs)
		require.Equal(t, "3", p.want(submit, 0).short())
		w.wantOutcome(first, delivery.OutcomeAccepted)
		w.wantOpen(second)
		w.wantOpen(third)
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("waits, unbinds, waits for the answer", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			m := w.submit("x")
			closed := make(chan error, 1)
			go func() { closed <- w.Close(w.Context()) }()
			f := p.want(submit, 0)
			w.pass(3 * time.Second)
			require.ErrorIs(t, w.Submit(w.Context(), text("1", "x"), w.done), smpp.ErrClosed)
			require.Zero(t, w.window.Size())
			p.accept(f, "1")
			f = p.want(unbind, 0)
			w.wantOutcome(m, delivery.OutcomeAccepted)
			require.Empty(t, closed)
			p.send(unbind|resp, 0, f.sequence, "")
			require.NoError(t, <-closed)
		})
	})
	t.Run("a silent peer holds it up for 5 seconds", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			began := time.Now()
			closed := make(chan error, 1)
			go func() { closed <- w.Close(w.Context()) }()
			p.want(unbind, 0)
			require.NoError(t, <-closed)
			require.InDelta(t, 5, time.Since(began).Seconds(), 0.1)
		})
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			sent := w.submit("1")
			p.want(submit, 0)
			unsent := w.submit("2") // the writer holds it, nobody reads
			ctx, cancel := context.WithTimeout(w.Context(), 2*time.Second)
			defer cancel()
			began := time.Now()
			require.ErrorIs(t, w.Close(ctx), context.DeadlineExceeded)
			require.InDelta(t, 2, time.Since(began).Seconds(), 0.2)
			w.wantOutcome(sent, delivery.OutcomeUnknown)
			w.wantUnsent(unsent)
		})
	})
	t.Run("while connecting", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			<-w.dials
			synctest.Wait()
			began := time.Now()
			require.NoError(t, w.Close(w.Context()))
			require.Zero(t, time.Since(began))
		})
	})
}

func TestUnbindBySMSC(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		p := w.bound()
		m := w.submit("x")
		f := p.want(submit, 0)
		p.send(unbind, 0, 9, "")
		synctest.Wait()
		require.Zero(t, w.window.Size(), "nothing new is sent on it")
		require.ErrorIs(t, w.Submit(w.Context(), text("1", "x"), w.done), smpp.ErrNotBound)
		w.pass(2 * time.Second)
		w.wantOpen(m)
		p.accept(f, "1")
		w.wantOutcome(m, delivery.OutcomeAccepted)
		require.Equal(t, uint32(9), p.want(unbind|resp, 0).sequence)
		began := time.Now()
		w.bound()
		require.InDelta(t, 1, time.Since(began).Seconds(), 0.3)
	})
}

func TestBind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		status   uint32
		least    time.Duration
		most     time.Duration
		state    string
		complain bool
	}{
		{"wrong password", 0x0e, 4 * time.Minute, 6 * time.Minute, "credentials refused", true},
		{"wrong system id", 0x0f, 4 * time.Minute, 6 * time.Minute, "credentials refused", true},
		{"already bound", 0x05, 24 * time.Second, 36 * time.Second, "waiting", false},
		{"system error", 0x08, 800 * time.Millisecond, 1200 * time.Millisecond, "waiting", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(w *world) {
				p := <-w.dials
				f := p.want(9, 0)
				require.Equal(t, "herald\x00"+password+"\x00\x00\x34\x00\x00\x00", f.body)
				p.send(9|resp, tt.status, f.sequence, "")
				synctest.Wait()
				require.Equal(t, tt.state, w.status().Binds[0].State)
				require.NotEmpty(t, w.status().LastError)
				began := time.Now()
				w.bound()
				require.GreaterOrEqual(t, time.Since(began), tt.least)
				require.LessOrEqual(t, time.Since(began), tt.most)
				require.Equal(t, "bound", w.status().Binds[0].State)
				require.Equal(t, 1, w.status().BindsUp)
				require.Equal(t, tt.complain, strings.Contains(w.log.String(), "level=ERROR"))
				require.NotContains(t, w.log.String(), password)
			})
		})
	}
	t.Run("silent peer", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			began := time.Now()
			p := <-w.dials
			p.want(9, 0)
			w.bound()
			require.InDelta(t, 11, time.Since(began).Seconds(), 0.5)
			require.Contains(t, w.log.String(), "bind_timeout")
		})
	})
	t.Run("pauses grow and stay below 36 s", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			last := time.Now()
			for i := range 10 {
				p := <-w.dials
				if pause := time.Since(last); i > 0 {
					require.LessOrEqual(t, pause, 36*time.Second)
					require.GreaterOrEqual(t, pause, min(24*time.Second, 800*time.Millisecond<<(i-1)))
				}
				last = time.Now()
				require.NoError(t, p.Close())
			}
		})
	})
	t.Run("what follows the answer in one segment is not lost", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.Listen(w.sink)
			p := <-w.dials
			f := p.want(9, 0)
			segment := frame{9 | resp, 0, f.sequence, "smsc\x00"}.bytes()
			segment = append(segment, frame{deliver, 0, 1, string(deliverBody(4, 0, "id:1 stat:DELIVRD"))}.bytes()...)
			_, err := p.Write(segment)
			require.NoError(t, err)
			p.want(deliver|resp, 0)
		})
	})
}

func TestLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 40) // 3 parts
	t.Run("throttled part goes again alone", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			a, b, c := p.want(submit, 0), p.want(submit, 0), p.want(submit, 0)
			require.Equal(t, long, a.short()[6:]+b.short()[6:]+c.short()[6:])
			ref := smpp.Reference(m.ID)
			require.Equal(t, []byte{5, 0, 3, ref, 3, 2}, []byte(b.short()[:6]))
			p.accept(a, "1")
			p.send(submit|resp, 0x58, b.sequence, "")
			p.accept(c, "3")
			w.wantOpen(m)
			began := time.Now()
			again := p.want(submit, 0)
			require.GreaterOrEqual(t, time.Since(began), time.Second)
			require.Equal(t, b.body, again.body, "%s", hex.EncodeToString([]byte(again.body)))
			p.accept(again, "2")
			r := w.wantOutcome(m, delivery.OutcomeAccepted)
			require.Equal(t, []string{"1", "2", "3"}, r.ProviderIDs)
			require.Equal(t, 3, r.Parts)
		})
	})
	t.Run("throttled three times is partial", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			p.accept(p.want(submit, 0), "1")
			p.accept(p.want(submit, 0), "2")
			for range 3 {
				p.send(submit|resp, 0x58, p.want(submit, 0).sequence, "")
			}
			r := w.wantOutcome(m, delivery.OutcomeContent)
			require.Equal(t, delivery.ReasonPartial, r.Reason)
			require.Equal(t, 2, r.Parts)
			require.Contains(t, r.Detail, "partial 2/3")
			require.False(t, r.NotAttempt)
		})
	})
	t.Run("all throttled is throttled", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			for range 3 {
				p.send(submit|resp, 0x58, p.want(submit, 0).sequence, "")
			}
			require.True(t, w.wantOutcome(m, delivery.OutcomeThrottled).NotAttempt)
		})
	})
	t.Run("after a refusal the rest stays", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(c *smpp.Config) { c.Window = 1 }, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			p.accept(p.want(submit, 0), "1")
			p.send(submit|resp, 0x0b, p.want(submit, 0).sequence, "")
			r := w.wantOutcome(m, delivery.OutcomeRecipient)
			require.Equal(t, 1, r.Parts, "what was accepted is billed")
			require.Contains(t, r.Detail, "partial 1/3")
			next := w.submit("next")
			require.Equal(t, "next", p.want(submit, 0).short(), "the third part was not sent")
			w.wantOpen(next)
		})
	})
	t.Run("a part in doubt makes the message unknown", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.Listen(w.sink)
			p := w.bound()
			m := w.submit(long)
			p.accept(p.want(submit, 0), "1")
			f := p.want(submit, 0)
			p.accept(p.want(submit, 0), "3")
			go p.serve()
			w.pass(31 * time.Second)
			r := w.wantOutcome(m, delivery.OutcomeUnknown)
			require.Equal(t, []string{"1", "", "3"}, r.ProviderIDs)
			p.accept(f, "2")
			w.pass(time.Second)
			receipts, _ := w.sink.Got()
			require.Len(t, receipts, 1)
			require.Equal(t, [2]int{2, 3}, [2]int{receipts[0].Part, receipts[0].Parts})
		})
	})
	t.Run("parts that did not leave go on the next bind", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(c *smpp.Config) { c.Window = 1 }, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			f := p.want(submit, 0)
			p.accept(f, "1")
			synctest.Wait() // the second part is with the writer
			require.NoError(t, p.Close())
			w.wantOpen(m)
			p = w.bound()
			w.pass(time.Second)
			for _, id := range []string{"2", "3"} {
				p.accept(p.want(submit, 0), id)
			}
			require.Equal(t, []string{"1", "2", "3"}, w.wantOutcome(m, delivery.OutcomeAccepted).ProviderIDs)
		})
	})
	t.Run("a bind that never comes back ends it", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(c *smpp.Config) { c.Window = 1 }, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			p.accept(p.want(submit, 0), "1")
			require.NoError(t, p.Close())
			w.pass(3 * time.Minute)
			require.Equal(t, delivery.ReasonPartial, w.wantOutcome(m, delivery.OutcomeContent).Reason)
		})
	})
	t.Run("close ends it", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			p.accept(p.want(submit, 0), "1")
			p.accept(p.want(submit, 0), "2")
			p.send(submit|resp, 0x14, p.want(submit, 0).sequence, "") // 5 s
			ctx, cancel := context.WithTimeout(w.Context(), time.Second)
			defer cancel()
			require.Error(t, w.Close(ctx))
			require.Equal(t, delivery.ReasonPartial, w.wantOutcome(m, delivery.OutcomeContent).Reason)
		})
	})
	t.Run("too long", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(c *smpp.Config) { c.MaxParts = 2 }, func(w *world) {
			w.bound()
			m := w.submit(long)
			w.wantOutcome(m, delivery.OutcomeContent)
			require.Equal(t, 1, w.Provider.(providers.Sizer).Size(m))
		})
	})
	t.Run("payload", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(c *smpp.Config) { c.Long = smpp.LongPayload }, func(w *world) {
			p := w.bound()
			m := w.submit(long)
			require.Equal(t, 1, w.Provider.(providers.Sizer).Size(m))
			f := p.want(submit, 0)
			require.Zero(t, f.textLength())
			require.True(t, strings.HasSuffix(f.body, tlv(0x424, long)))
			p.accept(f, "1")
			require.Equal(t, 1, w.wantOutcome(m, delivery.OutcomeAccepted).Parts)
			w.submit("short")
			require.Equal(t, "short", p.want(submit, 0).short())
		})
	})
}

// gateSink takes receipts only when it is let.
type gateSink struct {
	providertest.Sink
	gate chan error
}

func (s *gateSink) Receipts(ctx context.Context, batch []delivery.Receipt) error {
	select {
	case err := <-s.gate:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Sink.Receipts(ctx, batch)
}

func TestReceipts_AcknowledgedWhenDurable(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		p := w.bound()
		receipt := string(deliverBody(4, 0, "id:1 stat:DELIVRD"))
		p.send(deliver, 0, 1, receipt)
		w.pass(5 * time.Second)
		acks := make(chan frame, 20_000)
		go func() {
			for f, ok := p.tryRecv(); ok; f, ok = p.tryRecv() {
				if f.command == deliver|resp {
					acks <- f
				}
			}
		}()
		w.pass(time.Second)
		require.Empty(t, acks, "nobody listens yet")
		sink := &gateSink{gate: make(chan error)}
		w.Listen(sink)
		w.pass(time.Second)
		require.Empty(t, acks, "it is not durable")
		sink.gate <- context.DeadlineExceeded
		require.Equal(t, uint32(0x64), (<-acks).status, "it is to be sent again")
		p.send(deliver, 0, 2, receipt)
		sink.gate <- nil
		require.Zero(t, (<-acks).status)

		for n := range uint32(11_000) { // the sink is stuck: above the queue they are refused at once
			p.send(deliver, 0, n+1, receipt)
		}
		synctest.Wait()
		require.Greater(t, len(acks), 400)
		for range len(acks) {
			require.Equal(t, uint32(0x64), (<-acks).status)
		}
		close(sink.gate)
		w.pass(time.Second)
		require.Greater(t, len(acks), 9_900)
		for range len(acks) {
			require.Zero(t, (<-acks).status)
		}
	})
}

func TestReplies(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.Listen(w.sink)
		p := w.bound()
		say := func(sequence uint32, body []byte) {
			p.send(deliver, 0, sequence, string(body))
			p.want(deliver|resp, 0)
		}
		say(1, deliverBody(0, 8, ucs2("СТОП")))
		say(2, deliverBody(0, 8, ucs2("СТОП"))) // again
		say(3, deliverBody(0x40, 0, "\x05\x00\x03\x07\x02\x02world"))
		say(4, deliverBody(0x40, 0, "\x05\x00\x03\x07\x02\x01hello "))
		say(5, deliverBody(0, 0, "A", tlv(0x20c, "\x00\x01"), tlv(0x20e, "\x02"), tlv(0x20f, "\x01")))
		say(6, deliverBody(0x40, 0, "\x05\x00\x03\x08\x02\x03alone")) // part 3 of 2
		w.pass(time.Second)
		_, replies := w.sink.Got()
		var texts []string
		for _, r := range replies {
			require.Equal(t, []string{"79161234567", "SHOP", "mts"}, []string{r.From, r.To, r.Provider})
			texts = append(texts, r.Text)
		}
		require.Equal(t, []string{"СТОП", "СТОП", "hello world", "alone"}, texts)
		require.Equal(t, replies[0].ID, replies[1].ID, "a repeat has the same id")
		require.NotEqual(t, replies[0].ID, replies[2].ID)
		go p.serve()
		w.pass(62 * time.Second)
		_, replies = w.sink.Got()
		require.Equal(t, "A", replies[len(replies)-1].Text, "what there is of it comes after a minute")
	})
}
