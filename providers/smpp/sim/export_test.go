package sim

import "time"

// Feed hands bytes to the reader as if they came in two segments on a connection that is bound, and returns what would
// be written.
func (s *Server) Feed(data []byte, cut int) []byte {
	s.mu.Lock()
	c := &conn{
		session: 1, started: time.Now(), sequence: 1, mode: cmdBindTransceiver, wake: make(chan struct{}, 1),
		pending: map[uint32]*deliver{}, account: s.account("fuzz"),
	}
	s.mu.Unlock()
	cut = min(max(cut, 0), len(data))
	used := s.handle(c, data[:cut], cut)
	s.handle(c, data[used:], len(data)-cut)
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.out
}
