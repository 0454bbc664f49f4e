package smpp

import "time"

// keep looks after the time: answers that do not come, a peer that falls silent.
func (s *session) keep() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			s.tick(now)
		case <-s.quit:
			return
		}
	}
}

func (s *session) tick(now time.Time) {
	timeout := now.Add(-s.cfg.RespTimeout).UnixNano()
	var lost, gone []shot
	s.mu.Lock()
	if len(s.ring) > 0 {
		mask := uint32(len(s.ring) - 1)
		for ; s.oldest != s.next; s.oldest = after(s.oldest) {
			p := &s.ring[s.oldest&mask]
			if p.state != slotFlying || p.sequence != s.oldest {
				continue
			}
			if p.sent > timeout {
				break
			}
			p.state = slotZombie
			s.flying--
			s.zombies++
			lost = append(lost, shot{p.flight, p.part})
		}
		s.buryLocked(now)
	}
	wake := s.pumpLocked(&gone)
	tooMany := s.zombies > zombieWindows*s.cfg.Window
	piledUp := s.zombies > s.cfg.Window/2
	s.mu.Unlock()
	if wake {
		s.signal()
	}
	if len(lost) > 0 {
		s.metrics.timeouts.Add(float64(len(lost)))
		s.hooks.roomier()
	}
	for _, p := range lost {
		p.flight.answered(s, int(p.part), answer{verdict: timedOut})
	}
	for _, p := range gone {
		p.flight.answered(s, int(p.part), answer{verdict: withdrawn})
	}
	if tooMany {
		s.fail(errZombies)
		return
	}
	s.lifeSign(now, piledUp)
}

// buryLocked frees the slots of answers that will not come any more.
func (s *session) buryLocked(now time.Time) {
	mask, bound := uint32(len(s.ring)-1), now.Add(-zombieLife).UnixNano()
	for ; s.ancient != s.oldest; s.ancient = after(s.ancient) {
		p := &s.ring[s.ancient&mask]
		if p.state != slotZombie || p.sequence != s.ancient {
			continue
		}
		if p.sent > bound {
			return
		}
		*p = slot{}
		s.zombies--
	}
}

// lifeSign asks a peer that is silent, or that leaves half a window unanswered, and cuts one that says nothing.
func (s *session) lifeSign(now time.Time, piledUp bool) {
	last := s.lastIn.Load()
	if s.asked != 0 {
		switch {
		case last >= s.asked:
			s.asked = 0
		case now.UnixNano()-s.asked > int64(askPatience):
			s.fail(errSilent)
			return
		default:
			return
		}
	}
	if now.UnixNano()-last >= int64(s.cfg.EnquireLink) || piledUp && !s.piledUp {
		s.asked = now.UnixNano()
		s.request(cmdEnquireLink)
	}
	s.piledUp = piledUp
}

// settle tells every part that is left how it ended. It runs once, when nothing else of the session runs any more.
func (s *session) settle() {
	type end struct {
		shot
		verdict verdict
	}
	var ends []end
	s.mu.Lock()
	s.draining = true
	mask := uint32(max(len(s.ring), 1) - 1)
	for n := s.oldest; s.flying > 0 && n != s.next; n = after(n) {
		p := &s.ring[n&mask]
		if p.state != slotFlying || p.sequence != n {
			continue
		}
		ends = append(ends, end{shot{p.flight, p.part}, s.verdictLocked(p)})
		s.flying--
	}
	for _, p := range s.pending {
		ends = append(ends, end{p, notSent})
	}
	s.ring, s.pending, s.out = nil, nil, nil
	s.mu.Unlock()
	s.hooks.roomier()
	for _, e := range ends {
		e.flight.answered(s, int(e.part), answer{verdict: e.verdict})
	}
}

// verdictLocked says what became of a part without an answer. Over plain TCP a PDU that a failing write did not take to
// its end cannot have been accepted; TLS tells nothing about the end of what it took.
func (s *session) verdictLocked(p *slot) verdict {
	if p.gen == s.gen {
		return notSent
	}
	if s.broken.failed && p.gen == s.broken.gen && !s.secure && p.end > s.broken.took {
		return notSent
	}
	return cutOff
}

// idle waits until nothing is on its way, the time is over or the session has ended.
func (s *session) idle(until time.Time) {
	s.poll(until, func() bool { return s.flying == 0 })
}

// flushed waits until the writer has taken everything, the time is over or the session has ended.
func (s *session) flushed(until time.Time) {
	s.poll(until, func() bool { return len(s.out) == 0 && !s.writing })
}

// poll waits for a fact about the session that is seldom waited for: the ends of sessions.
func (s *session) poll(until time.Time, done func() bool) {
	t := time.NewTicker(tickEvery / 10)
	defer t.Stop()
	for {
		s.mu.Lock()
		ok := done()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case now := <-t.C:
			if now.After(until) {
				return
			}
		case <-s.quit:
			return
		}
	}
}

// unbind takes leave: it asks the SMSC and waits for the answer, at most until then, and then closes.
func (s *session) unbind(until time.Time) {
	s.mu.Lock()
	s.draining, s.bye = true, true
	s.mu.Unlock()
	if limit := time.Now().Add(byePatience); until.After(limit) {
		until = limit
	}
	s.request(cmdUnbind)
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.quit:
	}
	s.fail(errClosed)
}
