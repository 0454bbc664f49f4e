package sim

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// submit decides about a submit_sm.
func (s *Server) submit(c *conn, h header, body []byte, now time.Time) {
	s.ledger.submitted(now)
	m, status := parseSubmit(body)
	switch {
	case !c.transmits():
		status = statusBindState
	case status == statusCommandLength || status == statusTLVLength:
		s.ledger.stats.Malformed++
	case status == statusOK && s.throttled(c, now):
		status = statusThrottled
	}
	if status != statusOK {
		s.ledger.refused(status)
		s.reply(c, &plan{status: status}, h, "", now)
		return
	}
	p := s.plan(&m)
	if p.refused {
		s.refuse(c, &p, h, now)
		return
	}
	s.take(c, &p, h, &m, now)
}

// throttled counts the message against the limits.
func (s *Server) throttled(c *conn, now time.Time) bool {
	if s.cfg.Window > 0 && c.inFlight >= s.cfg.Window {
		return true
	}
	own := c.counter.over(now, s.cfg.TPS)
	return c.account.counter.over(now, s.cfg.AccountTPS) || own
}

func (s *Server) refuse(c *conn, p *plan, h header, now time.Time) {
	if p.answer == answerNormal && !p.cut {
		s.ledger.refused(p.status)
	} else {
		s.ledger.stats.Dropped++
	}
	if p.cut {
		c.finish(closeReset)
		return
	}
	s.reply(c, p, h, "", now)
	s.inject(c, p)
}

// take accepts a message: id, record, early receipts, answer, injections, receipts.
func (s *Server) take(c *conn, p *plan, h header, m *submitSM, now time.Time) {
	number := s.nextID
	s.nextID++
	s.ledger.stats.Accepted++
	id := s.cfg.ResponseID.format(number, 0)
	text, ok := decode(s.cfg.Alphabet, m.dataCoding, m.text)
	if !ok {
		s.ledger.stats.Undecodable++
	}
	if s.cfg.Keep || s.record != nil {
		s.accepted(c, newMessage(c, h, m, id, text, now))
	}
	due := now.Add(s.cfg.ResponseDelay + p.wait)
	if p.shape&shapeEarly != 0 {
		s.receipts(c, p, m, number, text, now, now)
	}
	if p.cut {
		c.finish(closeReset)
	} else {
		s.reply(c, p, h, id, now)
		s.inject(c, p)
	}
	if p.shape&shapeEarly == 0 {
		due = due.Add(s.cfg.ReceiptDelay + p.postponed)
		if s.cfg.ReceiptSpread > 0 {
			due = due.Add(time.Duration(s.rng.Int64N(int64(s.cfg.ReceiptSpread))))
		}
		s.receipts(c, p, m, number, text, now, due)
	}
}

func newMessage(c *conn, h header, m *submitSM, id, text string, now time.Time) *Message {
	return &Message{
		ID: id, Time: now.UTC(), SystemID: c.account.systemID, Session: c.session, Sequence: h.sequence,
		Source: string(m.source.digits), SourceTON: m.source.ton, SourceNPI: m.source.npi,
		Destination: string(m.destination.digits), DestTON: m.destination.ton, DestNPI: m.destination.npi,
		ESMClass: m.esmClass, DataCoding: m.dataCoding, Registered: m.registered, Validity: string(m.validity),
		UDH: append([]byte(nil), m.udh...), Reference: m.reference, Part: m.part, Total: m.total, Text: text,
	}
}

// plan asks the rules, the general ones first, so that those of a longer suffix have the last word.
func (s *Server) plan(m *submitSM) plan {
	var p plan
	var over []*rule
	first, looked := false, false
	for _, n := range s.rules.lengths {
		digits := m.destination.digits
		if n > len(digits) {
			break
		}
		for _, r := range s.rules.bySuffix[string(digits[len(digits)-n:])] {
			if r.def.once {
				if !looked {
					first, looked = s.isFirst(m), true
				}
				if !first {
					continue
				}
			}
			if !s.strikes(r) {
				continue
			}
			r.def.apply(&p, r)
			if r.fault.Count > 0 && r.left == 0 {
				over = append(over, r)
			}
		}
	}
	for _, r := range over {
		s.rules.clear(r.fault.Name, r.fault.Suffix)
	}
	return p
}

// isFirst tells whether the same part was not seen before.
func (s *Server) isFirst(m *submitSM) bool {
	key := hash(0, m.source.digits, m.destination.digits, m.udh, m.text)
	if _, ok := s.seen[key]; ok {
		return false
	}
	if len(s.seen) >= maxSeen {
		clear(s.seen)
	}
	s.seen[key] = struct{}{}
	return true
}

// reply sends the answer as planned, now or after the delay.
func (s *Server) reply(c *conn, p *plan, h header, id string, now time.Time) {
	wait := s.cfg.ResponseDelay + p.wait
	switch {
	case p.answer == answerNone:
	case wait == 0:
		c.out = appendAnswer(c.out, p, h, id)
	case p.wait == 0:
		c.delayed = appendAnswer(c.delayed, p, h, id)
		c.delayedN++
		c.inFlight++
	default:
		s.later(task{at: now.Add(wait).UnixNano(), conn: c, answers: appendAnswer(nil, p, h, id), n: 1})
		c.inFlight++
	}
}

// appendAnswer appends a submit_sm_resp, or what the plan puts in its place.
func appendAnswer(buf []byte, p *plan, h header, id string) []byte {
	const resp = cmdSubmit | cmdResponse
	var start int
	switch p.answer {
	case answerNone:
	case answerForeign:
		other := (h.sequence ^ 0x40000000) & maxSequence
		buf, start = begin(buf, resp, statusOK, max(other, 1))
		buf = end(appendText(buf, id), start)
	case answerNack:
		buf = appendBare(buf, cmdNack, p.value, h.sequence)
	case answerNackZero:
		buf = appendBare(buf, cmdNack, p.value, 0)
	case answerTruncated:
		buf, start = begin(buf, resp, statusOK, h.sequence)
		buf = end(append(buf, id...), start)
	case answerEmpty:
		buf = appendBare(buf, resp, statusOK, h.sequence)
	case answerLength:
		start = len(buf)
		buf = appendBare(buf, resp, statusOK, h.sequence)
		binary.BigEndian.PutUint32(buf[start:], p.value)
	case answerNormal, answerTwice:
		buf, start = begin(buf, resp, p.status, h.sequence)
		if p.status == statusOK {
			buf = appendText(buf, id)
		}
		buf = end(buf, start)
		if p.answer == answerTwice {
			buf = append(buf, buf[start:]...)
		}
	}
	return buf
}

// inject sends the PDUs of the server's own that the plan asks for.
func (s *Server) inject(c *conn, p *plan) {
	for _, i := range p.injections {
		if i == injectHalfClose {
			c.finish(closeHalf)
			continue
		}
		c.out = appendInjection(c.out, i, c.next())
	}
}

func appendInjection(buf []byte, i injection, sequence uint32) []byte {
	from, to := address{1, 1, []byte("79990000001")}, address{1, 1, []byte("1234")}
	var start int
	switch i {
	case injectData:
		buf, start = begin(buf, cmdData, statusOK, sequence)
		buf = appendAddress(appendAddress(append(buf, 0), from), to)
		buf = appendTLV(append(buf, 0, 0, 0), tagPayload, "data")
	case injectAlert:
		buf, start = begin(buf, cmdAlertNotification, statusOK, sequence)
		buf = appendAddress(appendAddress(buf, from), to)
	case injectVendor:
		buf, start = begin(buf, cmdVendor, statusOK, sequence)
		buf = append(buf, "vendor"...)
	case injectBig:
		buf, start = begin(buf, cmdDeliver, statusOK, sequence)
		buf = appendDeliverBody(buf, from, to, 0, 0, nil)
		buf = appendTLV(buf, tagPayload, strings.Repeat("big ", 1250))
	case injectBadTLV:
		buf, start = begin(buf, cmdDeliver, statusOK, sequence)
		buf = appendDeliverBody(buf, from, to, 0, 0, []byte("bad tlv"))
		buf = append(buf, 0x04, 0x24, 0x10, 0x00, 'x')
	case injectBadLength:
		buf, start = begin(buf, cmdDeliver, statusOK, sequence)
		buf = appendDeliverBody(buf, from, to, 0, 0, []byte("bad"))
		buf[len(buf)-4] = 200
	case injectEnquireLink:
		return appendBare(buf, cmdEnquireLink, statusOK, sequence)
	case injectUnbind:
		return appendBare(buf, cmdUnbind, statusOK, sequence)
	case injectHalfClose:
		return buf
	}
	return end(buf, start)
}

// format writes an id with leading zeros up to width.
func (f IDForm) format(id uint64, width int) string {
	switch f {
	case IDDecimal:
		return fmt.Sprintf("%0*d", width, id)
	case IDHexUpper:
		return fmt.Sprintf("%0*X", width, id)
	case IDScattered:
		return fmt.Sprintf("%016x", mix(id))
	case IDHex:
	}
	return fmt.Sprintf("%0*x", width, id)
}

// hash is FNV-1a over the parts, mixed so that all bits are good.
func hash(seed uint64, parts ...[]byte) uint64 {
	h := 0xcbf29ce484222325 ^ seed
	for _, part := range parts {
		for _, b := range part {
			h = (h ^ uint64(b)) * 0x100000001b3
		}
		h = (h ^ 0xff) * 0x100000001b3
	}
	return mix(h)
}

// mix spreads a number over all 64 bits; different numbers stay different (the finaliser of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
