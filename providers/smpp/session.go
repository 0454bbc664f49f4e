package smpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tickEvery     = 100 * time.Millisecond
	askPatience   = 10 * time.Second // for any PDU after an enquire_link
	drainPatience = 5 * time.Second  // for answers after the SMSC's unbind
	byePatience   = 5 * time.Second  // for the answer to our unbind
	zombieLife    = 10 * time.Minute // how long a late answer is waited for
	zombieWindows = 3
	maxOutput     = 4 << 20 // octets that wait for the writer
)

var (
	errSilent     = errors.New("no sign of life")
	errZombies    = errors.New("too many missing answers")
	errOutput     = errors.New("the peer does not read")
	errNackZero   = errors.New("generic_nack: framing lost")
	errBindState  = errors.New("the SMSC says not bound")
	errPeerUnbind = errors.New("unbound by the SMSC")
	errClosed     = errors.New("closed")
)

// verdict is how a part ended in a session.
type verdict uint8

const (
	answered  verdict = iota // by a response or a generic_nack
	notSent                  // it never left, or not as a whole
	timedOut                 // no answer in time; it may come late
	cutOff                   // the connection failed while it was on its way
	withdrawn                // its message is over, it was not sent
)

// answer is what a session tells of a part.
type answer struct {
	verdict verdict
	status  uint32
	nack    bool
	id      string // canonical
}

// hooks is what a session needs from its client.
type hooks interface {
	// inbound takes a deliver_sm and owes the response. Its body is valid during the call only.
	inbound(s *session, sequence uint32, body []byte)
	// roomier says that a window may have room again.
	roomier()
}

// slotState says what a slot of the ring is used for.
type slotState uint8

const (
	slotFree slotState = iota
	slotFlying
	slotZombie // given up, but a late answer still names the id
)

type slot struct {
	sequence uint32
	state    slotState
	part     uint8
	flight   *flight
	sent     int64  // nanoseconds
	gen      uint64 // of the output buffer
	end      int    // offset behind the PDU in that buffer
}

// shot is a part that waits for room in the window.
type shot struct {
	flight *flight
	part   uint8
}

// session is one bound connection. Make it with newSession, then run it; it lives once.
type session struct {
	cfg     *Config
	name    string // for logs: which bind
	role    role
	conn    net.Conn
	secure  bool // TLS: what a failing write took says nothing
	frames  *framer
	hooks   hooks
	metrics *metrics
	respID  IDForm

	lastIn atomic.Int64 // nanoseconds of the last PDU
	wake   chan struct{}
	quit   chan struct{} // closed when the session has failed
	wg     sync.WaitGroup
	down   func() // told once, when the session takes no more

	mu       sync.Mutex
	err      error // why it ended; set once
	draining bool  // nothing new is taken
	bye      bool  // our unbind is on its way
	ring     []slot
	next     uint32 // sequence of the next request
	oldest   uint32 // no slot before it flies
	ancient  uint32 // no slot before it is a zombie
	flying   int
	zombies  int
	pending  []shot
	out      []byte
	writing  bool // the writer has output in hand
	gen      uint64
	broken   brokenWrite

	// of the keeper
	asked   int64 // when enquire_link was sent; 0: no question is open
	piledUp bool

	// of the reader
	ids scrap
}

// scrap keeps short strings: a few hundred of them share one allocation.
type scrap struct{ page strings.Builder }

const scrapPage = 4096

func (s *scrap) keep(b []byte) string {
	if s.page.Cap()-s.page.Len() < len(b) {
		s.page = strings.Builder{}
		s.page.Grow(max(scrapPage, len(b)))
	}
	start := s.page.Len()
	s.page.Write(b)
	return s.page.String()[start:]
}

// brokenWrite is what is known of the write that failed.
type brokenWrite struct {
	failed bool
	gen    uint64
	took   int
}

func newSession(cfg *Config, name string, r role, conn net.Conn, frames *framer, h hooks, m *metrics) *session {
	size := 1
	for size < 4*cfg.Window {
		size *= 2
	}
	s := &session{
		cfg: cfg, name: name, role: r, conn: conn, secure: cfg.TLS, frames: frames, hooks: h, metrics: m,
		respID: cfg.RespID, wake: make(chan struct{}, 1), quit: make(chan struct{}), gen: 1,
		next: 2, oldest: 2, ancient: 2, // 1 was the bind
	}
	if r.sends() {
		s.ring = make([]slot, size)
	}
	s.lastIn.Store(time.Now().UnixNano())
	return s
}

// run works until the connection ends, calls down when it takes no more, and then tells every part that is left how it ended. The error is
// why.
func (s *session) run(down func()) error {
	s.down = sync.OnceFunc(down)
	s.wg.Go(s.read)
	s.wg.Go(s.write)
	s.wg.Go(s.keep)
	s.wg.Wait()
	s.down()
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the session. The first error counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	close(s.quit)
	s.mu.Unlock()
	_ = s.conn.Close()
}

// room is how many more messages the session would take now.
func (s *session) room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked()
}

func (s *session) roomLocked() int {
	if s.err != nil || s.draining || !s.role.sends() {
		return 0
	}
	return min(s.cfg.Window-s.flying, s.freeLocked()) - len(s.pending)
}

// freeLocked is how many slots of the ring may still be taken: it never fills up, so that a free one is always found.
func (s *session) freeLocked() int { return (zombieWindows+1)*s.cfg.Window - s.flying - s.zombies }

// up says that the session takes messages, now or when there is room.
func (s *session) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && !s.draining
}

// submit takes the first part of a message, whose PDU is frame, when there is room for it; the other parts then follow as
// slots come back. False means that nothing was taken.
func (s *session) submit(f *flight, frame []byte, parts int) bool {
	s.mu.Lock()
	if s.roomLocked() <= 0 {
		s.mu.Unlock()
		return false
	}
	wake := s.putLocked(f, 0, frame)
	for i := 1; i < parts; i++ {
		s.pending = append(s.pending, shot{f, uint8(i)})
	}
	if parts > 1 {
		wake = s.pumpLocked(nil) || wake
	}
	s.mu.Unlock()
	if wake {
		s.signal()
	}
	return true
}

// resubmit takes one part of a message that is on its way already. False means that the session is over.
func (s *session) resubmit(f *flight, part int) bool {
	s.mu.Lock()
	if s.err != nil || s.draining {
		s.mu.Unlock()
		return false
	}
	s.pending = append(s.pending, shot{f, uint8(part)})
	wake := s.pumpLocked(nil)
	s.mu.Unlock()
	if wake {
		s.signal()
	}
	return true
}

// pumpLocked sends pending parts while there is room, and says whether the writer must be woken. Parts that are not
// wanted any more are appended to gone, unless that is nil.
func (s *session) pumpLocked(gone *[]shot) (wake bool) {
	for len(s.pending) > 0 && s.flying < s.cfg.Window && s.freeLocked() > 0 && s.err == nil && !s.draining {
		p := s.pending[0]
		if p.flight.over.Load() {
			if gone == nil {
				break // somebody who can tell it comes by: an answer or the keeper
			}
			*gone = append(*gone, p)
		} else if s.putLocked(p.flight, p.part, p.flight.parts[p.part].frame) {
			wake = true
		}
		s.pending[0] = shot{}
		if s.pending = s.pending[1:]; len(s.pending) == 0 {
			s.pending = nil
		}
	}
	return wake
}

// putLocked gives the part a number and a slot, and appends its PDU to the output.
func (s *session) putLocked(f *flight, part uint8, frame []byte) (wake bool) {
	mask := uint32(len(s.ring) - 1)
	for s.ring[s.next&mask].state != slotFree {
		s.next = after(s.next)
	}
	wake = len(s.out) == 0
	start := len(s.out)
	s.out = append(s.out, frame...)
	binary.BigEndian.PutUint32(s.out[start+12:], s.next)
	s.ring[s.next&mask] = slot{
		sequence: s.next, state: slotFlying, flight: f, part: part, sent: time.Now().UnixNano(), gen: s.gen,
		end: len(s.out),
	}
	s.next = after(s.next)
	s.flying++
	return wake
}

// after is the sequence number that follows: 1 follows 0x7fffffff.
func after(sequence uint32) uint32 {
	if sequence >= maxSequence {
		return 1
	}
	return sequence + 1
}

// send appends a PDU of our own that is no message.
func (s *session) send(build func(dst []byte) []byte) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	wake := len(s.out) == 0
	s.out = build(s.out)
	full := len(s.out) > maxOutput
	s.mu.Unlock()
	if wake {
		s.signal()
	}
	if full {
		s.fail(errOutput)
	}
}

// request sends a PDU without a body under the next number.
func (s *session) request(command uint32) {
	s.send(func(dst []byte) []byte {
		dst = appendBare(dst, command, 0, s.next)
		s.next = after(s.next)
		return dst
	})
}

// respond answers a deliver_sm.
func (s *session) respond(sequence, status uint32) {
	s.send(func(dst []byte) []byte { return appendDeliverResp(dst, status, sequence) })
}

func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write writes what is in the output, all of it in one call, until the session has failed.
func (s *session) write() {
	var buf []byte
	for {
		select {
		case <-s.wake:
		case <-s.quit:
			return
		}
		s.mu.Lock()
		if s.err != nil {
			s.mu.Unlock()
			return
		}
		if len(s.out) == 0 {
			s.mu.Unlock()
			continue
		}
		buf, s.out = s.out, buf[:0]
		gen := s.gen
		s.gen++
		s.writing = true
		s.mu.Unlock()
		n, err := 0, s.conn.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
		if err == nil {
			n, err = s.conn.Write(buf)
		}
		if err != nil {
			s.mu.Lock()
			s.broken = brokenWrite{failed: true, gen: gen, took: n}
			s.mu.Unlock()
			s.fail(fmt.Errorf("write: %w", err))
			return
		}
		s.written()
	}
}

// written says that the output in hand is gone.
func (s *session) written() {
	s.mu.Lock()
	s.writing = false
	s.mu.Unlock()
}

// read handles PDUs until the connection ends.
func (s *session) read() {
	for {
		for {
			h, body, ok, err := s.frames.next()
			if err != nil {
				s.send(func(dst []byte) []byte { return appendBare(dst, cmdGenericNack, 0x02, 0) })
				s.fail(fmt.Errorf("read: %w", err))
				return
			}
			if !ok {
				break
			}
			s.lastIn.Store(time.Now().UnixNano())
			s.handle(h, body)
		}
		n, err := s.conn.Read(s.frames.space())
		s.frames.filled(n)
		if err != nil && n == 0 {
			s.fail(fmt.Errorf("read: %w", err))
			return
		}
	}
}

// handle deals with one PDU. Whatever is wrong with it, the session goes on, unless the stream itself is lost.
func (s *session) handle(h header, body []byte) {
	switch h.command {
	case cmdSubmit | cmdResponse:
		s.submitResp(h, body)
	case cmdDeliver:
		s.hooks.inbound(s, h.sequence, body)
	case cmdEnquireLink:
		s.send(func(dst []byte) []byte { return appendBare(dst, cmdEnquireLink|cmdResponse, 0, h.sequence) })
	case cmdGenericNack:
		if h.sequence == 0 {
			s.fail(errNackZero)
			return
		}
		s.tell(h.sequence, answer{status: h.status, nack: true})
	case cmdUnbind:
		s.unbound(h.sequence)
	case cmdUnbind | cmdResponse:
		s.fail(errClosed)
	case cmdEnquireLink | cmdResponse, cmdAlert: // a sign of life; no answer is due
	case cmdData: // refused for good: we never asked for any
		s.send(func(dst []byte) []byte {
			return append(appendHeader(dst, headerLen+1, cmdData|cmdResponse, statusCommandID, h.sequence), 0)
		})
	default:
		if h.command&cmdResponse != 0 {
			s.metrics.foreign.Inc()
			return
		}
		s.metrics.nacks.Inc()
		s.send(func(dst []byte) []byte { return appendBare(dst, cmdGenericNack, statusCommandID, h.sequence) })
	}
}

func (s *session) submitResp(h header, body []byte) {
	a := answer{status: h.status}
	if h.status == statusOK {
		id, err := respID(body)
		if err != nil { // accepted, but the id cannot be read: there will be no receipt to match
			s.metrics.malformed.Inc()
		}
		a.id = s.respID.Canonical(s.ids.keep(id))
	}
	s.tell(h.sequence, a)
	if h.status == statusBindState || h.status == statusAlreadyBound {
		s.fail(errBindState)
	}
}

// tell ends the part that the number stands for.
func (s *session) tell(sequence uint32, a answer) {
	s.mu.Lock()
	if len(s.ring) == 0 {
		s.mu.Unlock()
		s.metrics.foreign.Inc()
		return
	}
	p := &s.ring[sequence&uint32(len(s.ring)-1)]
	if p.state == slotFree || p.sequence != sequence {
		s.mu.Unlock()
		s.metrics.foreign.Inc()
		return
	}
	f, part, late := p.flight, int(p.part), p.state == slotZombie
	*p = slot{}
	var gone []shot
	wake := false
	if late {
		s.zombies--
	} else {
		s.flying--
		f.foresee(a) // before the slot goes to its next part
		wake = s.pumpLocked(&gone)
	}
	s.mu.Unlock()
	if wake {
		s.signal()
	}
	if late {
		s.metrics.late.Inc()
		f.late(part, a)
		return
	}
	s.hooks.roomier()
	f.answered(s, part, a)
	for _, g := range gone {
		g.flight.answered(s, int(g.part), answer{verdict: withdrawn})
	}
}

// unbound begins the end that the SMSC asked for: what is on its way may still be answered.
func (s *session) unbound(sequence uint32) {
	s.mu.Lock()
	if s.bye || s.draining {
		s.mu.Unlock()
		s.send(func(dst []byte) []byte { return appendBare(dst, cmdUnbind|cmdResponse, 0, sequence) })
		return
	}
	s.draining = true
	s.mu.Unlock()
	s.down()
	s.wg.Go(func() {
		s.idle(time.Now().Add(drainPatience))
		s.send(func(dst []byte) []byte { return appendBare(dst, cmdUnbind|cmdResponse, 0, sequence) })
		s.flushed(time.Now().Add(time.Second))
		s.fail(errPeerUnbind)
	})
}
