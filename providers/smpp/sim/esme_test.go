package sim_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/providers/smpp/sim"
)

const (
	transmitter = 2
	receiver    = 1
	transceiver = 9
	submit      = 4
	deliver     = 5
	unbind      = 6
	enquire     = 0x15
	resp        = 0x80000000
	patience    = 10 * time.Second
)

// esme is a client that does only what a test tells it to.
type esme struct {
	t    *testing.T
	conn net.Conn
	seq  uint32
}

type pdu struct {
	id, status, seq uint32
	body            string
}

// short is a submit_sm.
type short struct {
	dest, text, validity string
	esm, coding          byte
	tlvs                 string
	noReceipt            bool
}

func start(t *testing.T, cfg sim.Config) *sim.Server {
	t.Helper()
	s, err := sim.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func dial(t *testing.T, s *sim.Server) *esme {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &esme{t: t, conn: conn}
}

// bound dials and binds as user "u".
func bound(t *testing.T, s *sim.Server, mode uint32) *esme {
	t.Helper()
	e := dial(t, s)
	e.bind(mode, "u", "p")
	p := e.read()
	require.Equal(t, []uint32{mode | resp, 0, 1}, []uint32{p.id, p.status, p.seq})
	require.Equal(t, "herald-sim\x00\x02\x10\x00\x01\x34", p.body)
	return e
}

func frame(id, status, seq uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, status)
	b = binary.BigEndian.AppendUint32(b, seq)
	return append(b, body...)
}

func (e *esme) raw(b []byte) {
	e.t.Helper()
	require.NoError(e.t, e.conn.SetWriteDeadline(time.Now().Add(patience)))
	_, err := e.conn.Write(b)
	require.NoError(e.t, err)
}

func (e *esme) send(id uint32, body string) uint32 {
	e.t.Helper()
	e.seq++
	e.raw(frame(id, 0, e.seq, body))
	return e.seq
}

func (e *esme) bind(mode uint32, user, password string) {
	e.t.Helper()
	e.send(mode, user+"\x00"+password+"\x00\x00\x34\x00\x00\x00")
}

func (m short) body() string {
	registered := "\x01"
	if m.noReceipt {
		registered = "\x00"
	}
	return "\x00\x05\x00Herald\x00\x01\x01" + m.dest + "\x00" + string(m.esm) + "\x00\x00\x00" + m.validity + "\x00" +
		registered + "\x00" + string(m.coding) + "\x00" + string([]byte{byte(len(m.text))}) + m.text + m.tlvs
}

func (e *esme) submit(m short) uint32 {
	e.t.Helper()
	return e.send(submit, m.body())
}

func (e *esme) read() pdu {
	e.t.Helper()
	p, err := e.tryRead()
	require.NoError(e.t, err)
	return p
}

func (e *esme) tryRead() (pdu, error) {
	if err := e.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return pdu{}, err
	}
	var h [16]byte
	if _, err := io.ReadFull(e.conn, h[:]); err != nil {
		return pdu{}, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < 16 || n > 1<<20 {
		return pdu{}, errors.New("bad length")
	}
	body := make([]byte, n-16)
	_, err := io.ReadFull(e.conn, body)
	return pdu{
		id: binary.BigEndian.Uint32(h[4:]), status: binary.BigEndian.Uint32(h[8:]), seq: binary.BigEndian.Uint32(h[12:]),
		body: string(body),
	}, err
}

// want reads a PDU and checks its header.
func (e *esme) want(id, status, seq uint32) pdu {
	e.t.Helper()
	p := e.read()
	require.Equal(e.t, []uint32{id, status, seq}, []uint32{p.id, p.status, p.seq}, "%x %q", p.id, p.body)
	return p
}

// receipt reads a deliver_sm, answers it with status and returns its esm_class, data_coding, text and TLVs.
func (e *esme) receipt(status uint32) delivery {
	e.t.Helper()
	p := e.read()
	require.Equal(e.t, uint32(deliver), p.id, "%x", p.id)
	e.raw(frame(deliver|resp, status, p.seq, "\x00"))
	return parseDelivery(e.t, p)
}

type delivery struct {
	seq          uint32
	source, dest string
	esm, coding  byte
	text, tlvs   string
}

func parseDelivery(t *testing.T, p pdu) delivery {
	t.Helper()
	b := p.body[1:]
	address := func() string {
		i := strings.IndexByte(b[2:], 0) + 2
		s := b[2:i]
		b = b[i+1:]
		return s
	}
	d := delivery{seq: p.seq, source: address(), dest: address()}
	n := int(b[9])
	d.esm, d.coding, d.text, d.tlvs = b[0], b[7], b[10:10+n], b[10+n:]
	return d
}

// ended reads until the connection is closed.
func (e *esme) ended() {
	e.t.Helper()
	for {
		if _, err := e.tryRead(); err != nil {
			var timeout net.Error
			require.False(e.t, errors.As(err, &timeout) && timeout.Timeout(), "still open")
			return
		}
	}
}

// quiet proves that nothing more was sent: the answer to an enquire_link comes next.
func (e *esme) quiet() {
	e.t.Helper()
	seq := e.send(enquire, "")
	e.want(enquire|resp, 0, seq)
}
