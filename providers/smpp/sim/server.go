package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/herald-gateway/herald/internal/smstext"
)

const (
	firstID        = 0x10000000
	maxConnections = 1000
	// maxSeen bounds the messages remembered for first_status; above, all are forgotten.
	maxSeen = 1_000_000
	// sweepEvery is how often unanswered deliver_sm and silent connections are looked for.
	sweepEvery = time.Second
)

// Server is a running SMSC.
type Server struct {
	cfg    Config
	log    *slog.Logger
	ln     net.Listener
	web    *web
	record *record
	wg     sync.WaitGroup
	stop   sync.Once
	done   chan struct{}
	kick   chan struct{}

	// mu guards all that follows, and the fields of connections and accounts that say so.
	mu       sync.Mutex
	closed   bool
	conns    map[*conn]struct{}
	accounts map[string]*account
	rules    ruleSet
	// resume is closed when the server reads again; nil while it reads.
	resume    chan struct{}
	agenda    agenda
	ledger    ledger
	nextID    uint64
	sessions  uint64
	reference byte
	rng       *rand.Rand
	seen      map[uint64]struct{}
}

// Start listens and serves until Close. It fails if the configuration is not valid, an address cannot be had or the
// record cannot be opened.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("smsc simulator: %w", err)
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, log: cfg.Log,
		done: make(chan struct{}), kick: make(chan struct{}, 1),
		conns: map[*conn]struct{}{}, accounts: map[string]*account{}, seen: map[uint64]struct{}{},
		ledger: newLedger(), nextID: firstID,
		rng: rand.New(rand.NewPCG(cfg.Seed, 1)), //nolint:gosec // choices of a simulator, to be repeatable
	}
	if err := s.resetRules(); err != nil {
		return nil, fmt.Errorf("smsc simulator: %w", err)
	}
	var err error
	if s.record, err = openRecord(cfg.Record); err != nil {
		return nil, fmt.Errorf("smsc simulator: %w", err)
	}
	if s.ln, err = new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("smsc simulator: listen: %w", err), s.record.close())
	}
	if s.web, err = startWeb(s, cfg.HTTPListen); err != nil {
		return nil, errors.Join(fmt.Errorf("smsc simulator: listen: %w", err), s.ln.Close(), s.record.close())
	}
	s.wg.Go(s.accept)
	s.wg.Go(s.work)
	return s, nil
}

// Addr is the address for SMPP, with the port that was chosen.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// HTTPAddr is the address for HTTP, empty if there is none.
func (s *Server) HTTPAddr() string { return s.web.addr() }

// Close ends all connections without ceremony and waits for everything to stop. Calling it again does nothing.
func (s *Server) Close() error {
	var err error
	s.stop.Do(func() {
		s.mu.Lock()
		s.closed = true
		conns := slices.Collect(maps.Keys(s.conns))
		s.mu.Unlock()
		close(s.done)
		err = errors.Join(s.ln.Close(), s.web.close())
		for _, c := range conns {
			c.stop()
		}
		s.wg.Wait()
		err = errors.Join(err, s.record.close())
	})
	return err
}

// accept takes connections.
func (s *Server) accept() {
	for {
		raw, err := s.ln.Accept()
		if err != nil {
			select {
			case <-s.done:
				return
			case <-time.After(50 * time.Millisecond): // out of file descriptors: they may come back
				continue
			}
		}
		tcp, ok := raw.(*net.TCPConn)
		if !ok || !s.admit(tcp) {
			_ = raw.Close()
		}
	}
}

// admit starts the goroutines of a connection, unless the server is closed, full or told to refuse.
func (s *Server) admit(tcp *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConnections || s.linkFault(faultRefuse) != nil {
		return false
	}
	s.sessions++
	c := &conn{
		tcp: tcp, nc: tcp, session: s.sessions, started: time.Now(), sequence: s.cfg.FirstSequence,
		wake: make(chan struct{}, 1), drained: make(chan struct{}, 1), done: make(chan struct{}),
		pending: map[uint32]*deliver{},
	}
	if s.cfg.TLS != nil {
		c.nc = tls.Server(tcp, s.cfg.TLS)
	}
	c.lastSeen = c.started
	s.conns[c] = struct{}{}
	s.wg.Go(func() { s.read(c) })
	s.wg.Go(func() { s.write(c) })
	return true
}

// work does what is due, until the server stops.
func (s *Server) work() {
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	nextSweep := time.Now().Add(sweepEvery)
	for {
		wait := s.runDue(time.Now(), &nextSweep)
		timer.Reset(wait)
		select {
		case <-s.done:
			return
		case <-s.kick:
		case <-timer.C:
		}
	}
}

// runDue does at most a thousand tasks under one lock, so that readers get their turn, and returns how long to wait.
func (s *Server) runDue(now time.Time, nextSweep *time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 1000 {
		t, ok := s.agenda.due(now.UnixNano())
		if !ok {
			break
		}
		if t.conn != nil {
			t.conn.inFlight -= t.n
			t.conn.send(t.answers)
			continue
		}
		a := t.deliver.account
		a.ready.push(t.deliver)
		s.pump(a, now)
	}
	if !now.Before(*nextSweep) {
		s.sweep(now)
		*nextSweep = now.Add(sweepEvery)
	}
	wait := nextSweep.Sub(now)
	if len(s.agenda.tasks) > 0 {
		wait = min(wait, time.Duration(s.agenda.tasks[0].at-now.UnixNano()))
	}
	return max(wait, 0)
}

// sweep repeats deliver_sm that were not answered and asks silent clients.
func (s *Server) sweep(now time.Time) {
	for c := range s.conns {
		if late := c.late(now.Add(-s.cfg.AckTimeout).UnixNano()); len(late) > 0 {
			c.account.ready.pushFront(late)
			s.pump(c.account, now)
		}
		if ask := s.cfg.EnquireLink; ask > 0 && c.account != nil && now.Sub(c.lastSeen) >= ask {
			c.send(appendBare(nil, cmdEnquireLink, statusOK, c.next()))
		}
	}
}

// later puts a task on the agenda.
func (s *Server) later(t task) {
	if !s.agenda.add(t) {
		return
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// linkFault returns the rule of a fault of the connection if it is in force and strikes now.
func (s *Server) linkFault(name string) *rule {
	r := s.rules.links[name]
	if r == nil || !s.strikes(r) {
		return nil
	}
	if r.fault.Count > 0 && r.left == 0 {
		s.rules.clear(name, "")
	}
	return r
}

// strikes draws by the share of the rule and takes one off its count.
func (s *Server) strikes(r *rule) bool {
	if r.fault.Share > 0 && s.rng.Float64() >= r.fault.Share {
		return false
	}
	if r.fault.Count > 0 {
		r.left--
		return r.left >= 0
	}
	return true
}

func (s *Server) resetRules() error {
	s.rules = newRuleSet()
	if !s.cfg.NoRules {
		for _, f := range suffixRules() {
			if err := s.setFault(f); err != nil {
				return err
			}
		}
	}
	for _, f := range s.cfg.Faults {
		if err := s.setFault(f); err != nil {
			return err
		}
	}
	s.checkPause()
	return nil
}

func (s *Server) setFault(f Fault) error {
	r, err := compile(f)
	if err != nil {
		return err
	}
	s.rules.set(r)
	s.checkPause()
	return nil
}

// checkPause makes or opens the barrier before which readers wait.
func (s *Server) checkPause() {
	_, paused := s.rules.links[faultPause]
	switch {
	case paused && s.resume == nil:
		s.resume = make(chan struct{})
	case !paused && s.resume != nil:
		close(s.resume)
		s.resume = nil
	}
}

// SetFault puts a fault into force, in place of one with the same name and suffix.
func (s *Server) SetFault(f Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setFault(f)
}

// ClearFault takes back the fault with this name and suffix; it may also be one of the rules by the last five digits.
func (s *Server) ClearFault(name, suffix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules.clear(name, suffix)
	s.checkPause()
}

// ClearFaults goes back to the faults of the configuration.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.resetRules() // Validate has compiled all of them
}

// Faults lists what is in force, the rules by the last five digits included.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules.list()
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.ledger.snapshot()
	st.Connections = len(s.conns)
	for _, a := range s.accounts {
		st.Binds += len(a.conns)
		st.Waiting += a.waiting
	}
	for c := range s.conns {
		st.InFlight += len(c.pending)
	}
	if s.record != nil {
		st.NotRecorded = s.record.failed.Load()
	}
	return st
}

// Messages returns the accepted messages in order. It needs Keep, as do Counts and Texts.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger.kept)
}

// Counts returns how many accepted messages have each value of key. A message for which key is empty is left out.
func (s *Server) Counts(key func(Message) string) map[string]int {
	counts := map[string]int{}
	for _, m := range s.Messages() {
		if k := key(m); k != "" {
			counts[k]++
		}
	}
	return counts
}

// Texts returns how many times each text was accepted. Parts are joined by source, destination, reference and total,
// as a handset does; an incomplete message is not in it.
func (s *Server) Texts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.ledger.texts)
}

// Reset forgets what was counted and kept, drops the deliver_sm that wait and goes back to the faults of the
// configuration. Connections and the counter of ids stay.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger = newLedger()
	clear(s.seen)
	s.agenda.tasks = slices.DeleteFunc(s.agenda.tasks, func(t task) bool { return t.deliver != nil })
	s.agenda.fix()
	for _, a := range s.accounts {
		a.ready, a.waiting = queue{}, 0
		if len(a.conns) == 0 {
			delete(s.accounts, a.systemID)
		}
	}
	for c := range s.conns {
		clear(c.pending)
	}
	_ = s.resetRules() // Validate has compiled all of them
}

// Cut resets all connections (RST) and returns how many there were. What was not yet written is lost.
func (s *Server) Cut() int {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.reset()
	}
	return len(conns)
}

// Unbind sends an unbind on every bound connection and returns on how many. The connection is closed when the client
// answers.
func (s *Server) Unbind() int {
	return s.onBound(func(c *conn) { c.send(appendBare(nil, cmdUnbind, statusOK, c.next())) })
}

// HalfClose sends no more on any bound connection, though it stays open, and returns on how many.
func (s *Server) HalfClose() int {
	return s.onBound(func(c *conn) { c.finish(closeHalf) })
}

// Inject sends raw bytes on every bound connection and returns on how many.
func (s *Server) Inject(raw []byte) int {
	return s.onBound(func(c *conn) { c.send(raw) })
}

func (s *Server) onBound(do func(*conn)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, a := range s.accounts {
		for _, c := range a.conns {
			do(c)
			n++
		}
	}
	return n
}

// RestartIDs makes the next message get the first id again.
func (s *Server) RestartIDs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID = firstID
}

// Deliver sends an ordinary message from a handset to the client bound as systemID, in parts if it is long. It waits in
// the server until the client takes it. It fails if the text or an address is too long or too many deliver_sm wait.
func (s *Server) Deliver(systemID, source, destination, text string) error {
	if len(source) > 20 || len(destination) > 20 || len(systemID) > 15 {
		return errors.New("deliver: an address is longer than 20 characters or the system id than 15")
	}
	m, err := smstext.Split(text, smstext.Options{Alphabet: s.cfg.Alphabet})
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account(systemID)
	if a.waiting+len(m.Parts) > s.cfg.MaxPending {
		return errors.New("deliver: too many messages wait")
	}
	s.reference++
	now := time.Now()
	for i, part := range m.Parts {
		esm, payload := byte(0), part.Payload
		if len(m.Parts) > 1 {
			esm = udhBit
			payload = append([]byte{5, 0, 3, s.reference, byte(len(m.Parts)), byte(i + 1)}, payload...)
		}
		body := appendDeliverBody(nil, address{1, 1, []byte(source)}, address{1, 1, []byte(destination)}, esm,
			m.Encoding.DataCoding(), payload)
		a.waiting++
		a.ready.push(&deliver{account: a, body: body})
	}
	s.pump(a, now)
	return nil
}
