package sim

import "time"

// deliver is a deliver_sm on its way: on the agenda, in the queue of its account or in flight on a connection.
type deliver struct {
	account *account
	body    []byte
	// origin is the connection of the message; other asks for a different one.
	origin *conn
	other  bool
	// sent is when it was last written, in nanoseconds; 0 is never.
	sent int64
}

// account is all that belongs to one system_id. The server's lock guards it.
type account struct {
	systemID string
	conns    []*conn
	// ready are due and wait for a connection with room in its window.
	ready queue
	// waiting counts all deliver_sm that are not settled.
	waiting int
	// turn is where the search for a connection starts.
	turn    int
	counter tps
}

// tps counts within a second of the clock.
type tps struct {
	second int64
	n      int
}

// over counts one more and tells whether that is above the limit; 0 is no limit.
func (t *tps) over(now time.Time, limit int) bool {
	if limit == 0 {
		return false
	}
	if second := now.Unix(); second != t.second {
		t.second, t.n = second, 0
	}
	t.n++
	return t.n > limit
}

// pick returns a connection that can take d, or nil.
func (a *account) pick(d *deliver, window int) *conn {
	var second *conn
	others := false
	for i := range a.conns {
		c := a.conns[(a.turn+i)%len(a.conns)]
		if !c.receives() {
			continue
		}
		free := len(c.pending) < window && len(c.out) < maxOut
		if !d.other || c != d.origin {
			others = true
			if free {
				a.turn = (a.turn + i + 1) % len(a.conns)
				return c
			}
		} else if free {
			second = c
		}
	}
	if others {
		return nil
	}
	return second
}

// account returns the account of a system_id, a new one if need be.
func (s *Server) account(systemID string) *account {
	a := s.accounts[systemID]
	if a == nil {
		a = &account{systemID: systemID}
		s.accounts[systemID] = a
	}
	return a
}

// pump sends what is ready as far as the windows allow.
func (s *Server) pump(a *account, now time.Time) {
	window := s.cfg.DeliverWindow
	if r := s.rules.links[faultDeliverWindow]; r != nil {
		window = int(r.number)
	}
	for {
		d := a.ready.front()
		if d == nil {
			return
		}
		c := a.pick(d, window)
		if c == nil {
			return
		}
		a.ready.pop()
		if d.sent != 0 {
			s.ledger.stats.DeliversRepeated++
		}
		d.sent = now.UnixNano()
		s.ledger.stats.Delivers++
		sequence := c.next()
		c.pending[sequence] = d
		var start int
		c.out, start = begin(c.out, cmdDeliver, statusOK, sequence)
		c.out = end(append(c.out, d.body...), start)
		c.wakeUp()
	}
}

// acknowledged settles a deliver_sm or has it sent again.
func (s *Server) acknowledged(c *conn, h header, now time.Time) {
	d := c.pending[h.sequence]
	if d == nil {
		return
	}
	delete(c.pending, h.sequence)
	switch {
	case h.status == statusOK:
		s.ledger.stats.DeliversAcked++
		d.account.waiting--
	case s.cfg.RefusedIsFinal:
		s.ledger.stats.DeliversRefused++
		d.account.waiting--
	default:
		s.ledger.stats.DeliversRefused++
		s.later(task{at: now.Add(s.cfg.RetryDelay).UnixNano(), deliver: d})
	}
	s.pump(d.account, now)
}

// queue is first in, first out.
type queue struct {
	items []*deliver
	head  int
}

func (q *queue) push(d *deliver) { q.items = append(q.items, d) }

// pushFront puts items, in their order, before all others.
func (q *queue) pushFront(items []*deliver) {
	q.items, q.head = append(items, q.items[q.head:]...), 0
}

func (q *queue) front() *deliver {
	if q.head == len(q.items) {
		return nil
	}
	return q.items[q.head]
}

func (q *queue) pop() {
	q.items[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head > 1000 && q.head*2 > len(q.items):
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
}
