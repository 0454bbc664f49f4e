package smpp_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/providertest"
	"github.com/herald-gateway/herald/providers/smpp"
)

// The command ids that the scripted peer uses.
const (
	nack, submit, deliver, unbind, enquire = 0x80000000, 4, 5, 6, 0x15
	resp                                   = 0x80000000
)

// frame is a PDU.
type frame struct {
	command, status, sequence uint32
	body                      string
}

// text is the text of a submit_sm: what stands behind the mandatory fields.
func (f frame) short() string { return f.body[len(f.body)-int(f.textLength()):] }

func (f frame) textLength() byte {
	b := []byte(f.body)
	next := func() { // skips a string
		for b[0] != 0 {
			b = b[1:]
		}
		b = b[1:]
	}
	next()
	b = b[2:]
	next()
	b = b[2:]
	next()
	b = b[3:]
	next()
	next()
	return b[4]
}

func (f frame) bytes() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(f.body)))
	for _, n := range []uint32{f.command, f.status, f.sequence} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, f.body...)
}

// peer is the SMSC's end of a connection, driven by the test step by step.
type peer struct {
	*testing.T
	net.Conn
}

func (p *peer) recv() frame {
	p.Helper()
	b := make([]byte, 16)
	_, err := io.ReadFull(p.Conn, b)
	require.NoError(p.T, err)
	body := make([]byte, binary.BigEndian.Uint32(b)-16)
	_, err = io.ReadFull(p.Conn, body)
	require.NoError(p.T, err)
	n := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	return frame{n(4), n(8), n(12), string(body)}
}

// want reads a PDU and checks what it is.
func (p *peer) want(command, status uint32) frame {
	p.Helper()
	f := p.recv()
	require.Equal(p.T, [2]uint32{command, status}, [2]uint32{f.command, f.status}, "%+v", f)
	return f
}

func (p *peer) send(command, status, sequence uint32, body string) {
	p.Helper()
	_, err := p.Write(frame{command, status, sequence, body}.bytes())
	require.NoError(p.T, err)
}

// accept answers a submit_sm.
func (p *peer) accept(f frame, id string) { p.Helper(); p.send(submit|resp, 0, f.sequence, id+"\x00") }

// serve answers everything until the connection ends.
func (p *peer) serve() {
	b := make([]byte, 16)
	for n := 0; ; n++ {
		if _, err := io.ReadFull(p.Conn, b); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, p.Conn, int64(binary.BigEndian.Uint32(b)-16)); err != nil {
			return
		}
		f := frame{command: binary.BigEndian.Uint32(b[4:]) | resp, sequence: binary.BigEndian.Uint32(b[12:])}
		if f.command == submit|resp {
			f.body = "served\x00"
		}
		if binary.BigEndian.Uint32(b[4:])&resp == 0 {
			if _, err := p.Write(f.bytes()); err != nil {
				return
			}
		}
	}
}

// world is an account, within a bubble, whose connections the test holds in its hand.
type world struct {
	*testing.T
	*account
	dials chan *peer
	sink  *providertest.Sink

	mu      sync.Mutex
	results map[delivery.ID]providers.Result
}

// inWorld runs a test with an account of one bind and a window of 10, in a bubble with its own clock.
func inWorld(t *testing.T, change func(*smpp.Config), test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		setup, a := setupOf("smsc:2775", func(c *smpp.Config) {
			c.Binds, c.Window = 1, 10
			if change != nil {
				change(c)
			}
		})
		w := &world{
			T: t, account: a, dials: make(chan *peer, 100), sink: &providertest.Sink{},
			results: map[delivery.ID]providers.Result{},
		}
		var err error
		a.Provider, err = smpp.NewWith(setup, func(context.Context) (net.Conn, error) {
			ours, theirs := net.Pipe()
			w.dials <- &peer{t, theirs}
			return ours, nil
		})
		require.NoError(t, err)
		defer func() {
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			cancel()
			_ = a.Close(ctx)
			for len(w.dials) > 0 {
				_ = (<-w.dials).Close()
			}
		}()
		test(w)
	})
}

// bound waits for a connection and answers its bind.
func (w *world) bound() *peer {
	w.Helper()
	p := <-w.dials
	f := p.want(9, 0)
	p.send(9|resp, 0, f.sequence, "smsc\x00")
	synctest.Wait()
	return p
}

// submit hands a message over.
func (w *world) submit(body string) *providers.Message {
	w.Helper()
	m := text("00000", body)
	require.NoError(w.T, w.Submit(w.Context(), m, w.done))
	return m
}

func (w *world) done(m *providers.Message, r providers.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, again := w.results[m.ID]
	require.False(w.T, again, "done was called twice")
	w.results[m.ID] = r
}

// result is what became of a message; false while it is not done.
func (w *world) result(m *providers.Message) (providers.Result, bool) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.results[m.ID]
	return r, ok
}

func (w *world) wantOutcome(m *providers.Message, o delivery.Outcome) providers.Result {
	w.Helper()
	r, ok := w.result(m)
	require.True(w.T, ok, "the message is not done")
	require.Equal(w.T, o, r.Outcome, "%+v", r)
	return r
}

func (w *world) wantUnsent(m *providers.Message) {
	w.Helper()
	require.True(w.T, w.wantOutcome(m, delivery.OutcomeTemporary).NotAttempt)
}

func (w *world) wantOpen(m *providers.Message) {
	w.Helper()
	r, ok := w.result(m)
	require.False(w.T, ok, "done too early: %+v", r)
}

// counted is the value of one of the account's counters.
func (w *world) counted(name string) int {
	w.Helper()
	families, err := w.metrics.Gather()
	require.NoError(w.T, err)
	for _, f := range families {
		if f.GetName() == name {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	require.Fail(w.T, "no such counter", name)
	return 0
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(w *world) {
		w.bound()
		families, err := w.metrics.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, f := range families {
			m := f.GetMetric()
			require.Len(t, m, 1)
			require.Len(t, m[0].GetLabel(), 1)
			require.Equal(t, "provider", m[0].GetLabel()[0].GetName())
			require.NotEmpty(t, f.GetHelp())
			values[f.GetName()] = m[0].GetGauge().GetValue() + m[0].GetCounter().GetValue()
		}
		require.Equal(t, []float64{1, 10}, []float64{values["herald_provider_up"], values["herald_provider_window_size"]})
		require.NoError(t, w.Close(w.Context()))
		families, err = w.metrics.Gather()
		require.NoError(t, err)
		require.Empty(t, families, "an account of the same name can follow")
	})
}

// tryRecv reads a PDU; false when the connection has ended.
func (p *peer) tryRecv() (frame, bool) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(p.Conn, b); err != nil {
		return frame{}, false
	}
	body := make([]byte, binary.BigEndian.Uint32(b)-16)
	if _, err := io.ReadFull(p.Conn, body); err != nil {
		return frame{}, false
	}
	n := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	return frame{n(4), n(8), n(12), string(body)}, true
}

// readBytes reads so many octets.
func (p *peer) readBytes(n int) {
	p.Helper()
	_, err := io.ReadFull(p.Conn, make([]byte, n))
	require.NoError(p.T, err)
}
