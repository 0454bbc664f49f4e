package smpp_test

import (
	"encoding/binary"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/smpp"
)

// echo is an SMSC of one connection that does nothing but answer, all PDUs of a read in one write, without allocating.
func echo(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in, out := make([]byte, 1<<20), make([]byte, 0, 1<<20)
	have := 0
	for {
		n, err := conn.Read(in[have:])
		if err != nil {
			return
		}
		have += n
		used := 0
		for have-used >= 16 {
			p := in[used:have]
			length := int(binary.BigEndian.Uint32(p))
			if length > len(p) {
				break
			}
			command := binary.BigEndian.Uint32(p[4:])
			body := ""
			if command == submit {
				body = "0123456789\x00"
			}
			out = binary.BigEndian.AppendUint32(out, uint32(16+len(body)))
			out = binary.BigEndian.AppendUint32(out, command|resp)
			out = binary.BigEndian.AppendUint32(out, 0)
			out = append(append(out, p[12:16]...), body...)
			used += length
		}
		have = copy(in, in[used:have])
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func startEcho(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	return ln.Addr().String()
}

// benchAccount is an account at echo that is bound.
func benchAccount(tb testing.TB, binds, window int) providers.Provider {
	tb.Helper()
	setup, a := setupOf(startEcho(tb), func(c *smpp.Config) { c.Binds, c.Window = binds, window })
	setup.Log = slog.New(slog.DiscardHandler)
	var err error
	a.Provider, err = smpp.New(setup)
	require.NoError(tb, err)
	tb.Cleanup(func() { closeNow(tb, a) })
	require.Eventually(tb, func() bool { return a.window.Size() == binds*window }, 5*time.Second, time.Millisecond)
	return a.Provider
}

func benchMessage() *providers.Message {
	m := text("10000", "Your order 5531 is ready. Come and get it until Sunday, we are open till 10 p.m.")
	m.TTL = time.Hour
	return m
}

func BenchmarkSubmit(b *testing.B) {
	for _, bb := range []struct {
		name          string
		binds, window int
	}{{"1x10", 1, 10}, {"1x100", 1, 100}, {"1x1000", 1, 1000}, {"4x100", 4, 100}} {
		b.Run(bb.name, func(b *testing.B) {
			p := benchAccount(b, bb.binds, bb.window)
			m := benchMessage()
			left, all := make(chan struct{}, bb.binds*bb.window), b.Context()
			done := func(_ *providers.Message, r providers.Result) {
				if r.Outcome != delivery.OutcomeAccepted {
					b.Errorf("%+v", r)
				}
				<-left
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				left <- struct{}{}
				if err := p.Submit(all, m, done); err != nil {
					b.Fatal(err)
				}
			}
			for len(left) > 0 {
				runtime.Gosched()
			}
		})
	}
}

// TestSubmitAllocations guards the cost of the hot path: Submit to done, the SMSC's side not counted.
func TestSubmitAllocations(t *testing.T) { //nolint:paralleltest // counts what the whole process allocates
	p := benchAccount(t, 1, 100)
	m := benchMessage()
	finished := make(chan struct{}, 1)
	ctx, done := t.Context(), func(*providers.Message, providers.Result) { finished <- struct{}{} }
	n := testing.AllocsPerRun(2000, func() {
		if err := p.Submit(ctx, m, done); err != nil {
			t.Error(err)
		}
		<-finished
	})
	if !raceEnabled { // the race detector makes pools forget
		require.LessOrEqual(t, n, 1.0, "Submit to done allocates too often")
	}
	sizer := p.(providers.Sizer)
	require.Zero(t, testing.AllocsPerRun(100, func() { sizer.Size(m) }))
}
