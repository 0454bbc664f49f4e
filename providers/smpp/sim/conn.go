package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// maxOut is how much may wait to be written before the connection is not read and gets no deliver_sm.
	maxOut = 1 << 20
	// bindTimeout is how long a connection may take to bind.
	bindTimeout = 30 * time.Second
	// closeTimeout is how long the client may take to close after the last answer.
	closeTimeout = 5 * time.Second
)

// closing says how a connection ends once everything is written.
type closing uint8

const (
	closeNot closing = iota
	closeNormal
	closeReset
	closeHalf
)

// conn is one connection. The server's lock guards what is below the blank line.
type conn struct {
	tcp     *net.TCPConn
	nc      net.Conn
	session uint64
	started time.Time
	wake    chan struct{}
	drained chan struct{}
	done    chan struct{}
	once    sync.Once
	// lines are messages for the record; only the reader touches them.
	lines []byte
	// half is set once no more is sent; only the writer touches it.
	half bool

	account *account
	mode    uint32
	unbound bool
	closing closing
	// out waits to be written; spare is the buffer that was written last.
	out, spare []byte
	// delayed are the n answers of the present read that leave after the response delay.
	delayed  []byte
	delayedN int
	inFlight int
	counter  tps
	sequence uint32
	pending  map[uint32]*deliver
	lastSeen time.Time
}

func (c *conn) transmits() bool {
	return c.account != nil && c.mode != cmdBindReceiver
}

func (c *conn) receives() bool {
	return c.account != nil && c.mode != cmdBindTransmitter && c.closing == closeNot
}

// next returns the next sequence number of our own.
func (c *conn) next() uint32 {
	n := c.sequence
	c.sequence++
	if c.sequence > maxSequence {
		c.sequence = 1
	}
	return n
}

// send queues bytes.
func (c *conn) send(b []byte) {
	c.out = append(c.out, b...)
	c.wakeUp()
}

// finish ends the connection after what is queued; nothing that comes in is looked at any more.
func (c *conn) finish(how closing) {
	if c.closing == closeNot {
		c.closing = how
		c.wakeUp()
	}
}

func (c *conn) wakeUp() { signal(c.wake) }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// stop closes the socket; the goroutines follow.
func (c *conn) stop() {
	c.once.Do(func() {
		close(c.done)
		_ = c.tcp.Close()
	})
}

// reset closes the socket with RST.
func (c *conn) reset() {
	_ = c.tcp.SetLinger(0)
	c.stop()
}

// late takes out the deliver_sm sent before a time, in the order in which they were sent.
func (c *conn) late(before int64) []*deliver {
	var sequences []uint32
	for sequence, d := range c.pending {
		if d.sent <= before {
			sequences = append(sequences, sequence)
		}
	}
	slices.SortFunc(sequences, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(c.pending[a].sent, c.pending[b].sent), cmp.Compare(a, b))
	})
	late := make([]*deliver, len(sequences))
	for i, sequence := range sequences {
		late[i] = c.pending[sequence]
		delete(c.pending, sequence)
	}
	return late
}

// read is the goroutine that reads.
func (s *Server) read(c *conn) {
	defer s.drop(c)
	buf := make([]byte, maxPDU)
	n := 0
	for s.ready(c) {
		if c.nc.SetReadDeadline(s.readDeadline(c)) != nil {
			return
		}
		k, err := c.nc.Read(buf[n:])
		if err != nil || !s.resumed(c) {
			return
		}
		n += k
		used := s.handle(c, buf[:n], k)
		n = copy(buf, buf[used:n])
	}
}

// ready waits while too much is to be written; false means that the connection is over.
func (s *Server) ready(c *conn) bool {
	for {
		s.mu.Lock()
		full := len(c.out) > maxOut
		s.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-c.drained:
		case <-c.done:
			return false
		}
	}
}

// resumed waits while the server is told not to read.
func (s *Server) resumed(c *conn) bool {
	for {
		s.mu.Lock()
		barrier := s.resume
		s.mu.Unlock()
		if barrier == nil {
			return true
		}
		select {
		case <-barrier:
		case <-c.done:
			return false
		}
	}
}

func (s *Server) readDeadline(c *conn) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closing == closeNormal {
		return time.Now().Add(closeTimeout)
	}
	if c.account == nil {
		return c.started.Add(bindTimeout)
	}
	return time.Now().Add(s.cfg.IdleTimeout)
}

// handle looks at all complete PDUs and returns the bytes they take. fresh is how many bytes the last read brought.
func (s *Server) handle(c *conn, buf []byte, fresh int) (used int) {
	now := time.Now()
	s.mu.Lock()
	c.lastSeen = now
	reset := s.resetAfter(fresh)
	if reset >= 0 {
		buf = buf[:len(buf)-fresh+reset]
	}
	for c.closing == closeNot {
		h, body, n, err := nextFrame(buf[used:])
		if err != nil {
			s.ledger.stats.Malformed++
			c.send(appendBare(nil, cmdNack, statusCommandLength, 0))
			c.finish(closeNormal)
		}
		if n == 0 {
			break
		}
		used += n
		s.pdu(c, h, body, now)
	}
	if c.closing != closeNot {
		used = len(buf)
	}
	if c.delayedN > 0 {
		s.later(task{at: now.Add(s.cfg.ResponseDelay).UnixNano(), conn: c, answers: c.delayed, n: c.delayedN})
		c.delayed, c.delayedN = nil, 0
	}
	if reset >= 0 {
		c.out = c.out[:0]
	}
	s.mu.Unlock()
	s.record.write(&c.lines)
	if reset >= 0 {
		c.reset()
		return used
	}
	c.wakeUp()
	return used
}

// resetAfter tells how many of the fresh bytes may still be looked at before the connection is reset, or -1.
func (s *Server) resetAfter(fresh int) int {
	r := s.rules.links[faultResetAfter]
	if r == nil {
		return -1
	}
	if uint32(fresh) < r.number {
		r.number -= uint32(fresh)
		return -1
	}
	s.rules.clear(faultResetAfter, "")
	return int(r.number)
}

// pdu decides about one PDU.
func (s *Server) pdu(c *conn, h header, body []byte, now time.Time) {
	if s.linkFault(faultSilent) != nil {
		return
	}
	switch h.id {
	case cmdBindReceiver, cmdBindTransmitter, cmdBindTransceiver:
		s.bind(c, h, body, now)
	case cmdSubmit:
		s.submit(c, h, body, now)
	case cmdDeliver | cmdResponse:
		s.acknowledged(c, h, now)
	case cmdEnquireLink:
		s.ledger.stats.EnquireLinks++
		if s.linkFault(faultNoEnquireLink) == nil {
			c.out = appendBare(c.out, h.id|cmdResponse, statusOK, h.sequence)
		}
	case cmdUnbind:
		c.out = appendBare(c.out, h.id|cmdResponse, statusOK, h.sequence)
		c.unbound = true
		c.finish(closeNormal)
	case cmdUnbind | cmdResponse:
		c.unbound = true
		c.finish(closeNormal)
	case cmdNack:
		s.ledger.stats.Nacks++
		s.acknowledged(c, h, now)
	default:
		if h.id&cmdResponse == 0 {
			c.out = appendBare(c.out, cmdNack, statusCommandID, h.sequence)
		}
	}
}

// bind answers a bind.
func (s *Server) bind(c *conn, h header, body []byte, now time.Time) {
	if s.linkFault(faultSilentBind) != nil {
		return
	}
	b, ok := parseBind(body)
	var status uint32
	switch r := s.linkFault(faultBindStatus); {
	case r != nil:
		status = r.number
	case !ok:
		s.ledger.stats.Malformed++
		status = statusCommandLength
	case c.account != nil:
		status = statusAlreadyBound
	default:
		status = s.admits(string(b.systemID), string(b.password))
	}
	ctx := context.Background()
	var start int
	c.out, start = begin(c.out, h.id|cmdResponse, status, h.sequence)
	if status != statusOK {
		c.out = end(c.out, start)
		s.ledger.stats.BindsRefused++
		s.log.WarnContext(ctx, "bind refused", "session", c.session, "status", status)
		return
	}
	c.out = appendTLV(appendText(c.out, "herald-sim"), tagInterfaceVersion, []byte{0x34})
	c.out = end(c.out, start)
	c.account, c.mode = s.account(string(b.systemID)), h.id
	c.account.conns = append(c.account.conns, c)
	s.ledger.stats.Bound++
	s.log.InfoContext(ctx, "bound", "session", c.session, "system_id", c.account.systemID)
	s.pump(c.account, now)
}

// admits returns the status for a user.
func (s *Server) admits(systemID, password string) uint32 {
	if len(s.cfg.Users) > 0 {
		want, ok := s.cfg.Users[systemID]
		switch {
		case !ok:
			return statusSystemID
		case want != password:
			return statusPassword
		}
	}
	if a := s.accounts[systemID]; a != nil && s.cfg.MaxBinds > 0 && len(a.conns) >= s.cfg.MaxBinds {
		return statusBindFailed
	}
	return statusOK
}

// write is the goroutine that writes.
func (s *Server) write(c *conn) {
	for {
		select {
		case <-c.done:
			return
		case <-c.wake:
		}
		for s.flush(c) {
		}
	}
}

// flush writes what is queued and tells whether there is more.
func (s *Server) flush(c *conn) bool {
	s.mu.Lock()
	out, how := c.out, c.closing
	c.out, c.spare = c.spare[:0], nil
	slow := s.rules.links[faultOneByte] != nil
	s.mu.Unlock()
	if err := s.put(c, out, slow); err != nil {
		c.stop()
		return false
	}
	s.mu.Lock()
	if cap(out) <= maxOut {
		c.spare = out[:0]
	}
	more := len(c.out) > 0 || c.closing != how
	s.mu.Unlock()
	signal(c.drained)
	if more {
		return true
	}
	switch how {
	case closeNot:
	case closeReset:
		c.reset()
	case closeNormal, closeHalf:
		if half, ok := c.nc.(interface{ CloseWrite() error }); ok && !c.half {
			_ = half.CloseWrite()
		}
		c.half = true
		if how == closeNormal {
			// The client closes next; closing before it has read everything could lose our last answer.
			_ = c.nc.SetReadDeadline(time.Now().Add(closeTimeout))
		}
	}
	return false
}

// put writes bytes in one call, or each on its own.
func (s *Server) put(c *conn, out []byte, slow bool) error {
	if len(out) == 0 || c.half {
		return nil
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); err != nil {
		return err
	}
	if !slow {
		_, err := c.nc.Write(out)
		return err
	}
	for i := range out {
		if _, err := c.nc.Write(out[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets a connection. The deliver_sm that were in flight on it come first on the next one.
func (s *Server) drop(c *conn) {
	c.stop()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	a := c.account
	if a == nil {
		return
	}
	a.conns = slices.DeleteFunc(a.conns, func(other *conn) bool { return other == c })
	a.turn = 0
	if !c.unbound {
		s.ledger.stats.Lost++
	}
	s.log.InfoContext(context.Background(), "connection ended", "session", c.session, "system_id", a.systemID,
		"unbound", c.unbound)
	a.ready.pushFront(c.late(now.UnixNano()))
	s.pump(a, now)
	if len(a.conns) == 0 && a.waiting == 0 {
		delete(s.accounts, a.systemID)
	}
}

// accepted notes a message for the record and in memory.
func (s *Server) accepted(c *conn, m *Message) {
	if s.record != nil {
		line, err := json.Marshal(m)
		if err == nil {
			c.lines = append(append(c.lines, line...), '\n')
		}
	}
	if s.cfg.Keep {
		s.ledger.keep(*m, s.cfg.KeepLimit)
	}
}
