package sim

import (
	"encoding/binary"
	"fmt"
	"time"
)

// foreignID makes an id that was never given.
const foreignID = 0xe0000000

// receipts makes the receipts of an accepted message and puts them on the agenda, or at once into the queue if they are
// to come before the answer.
func (s *Server) receipts(c *conn, p *plan, m *submitSM, number uint64, text string, now, due time.Time) {
	for _, st := range s.states(p, m, number) {
		if !s.asked(m, st) {
			continue
		}
		copies := 1
		if p.shape&shapeTwice != 0 {
			copies = 2
		}
		for range copies {
			if c.account.waiting >= s.cfg.MaxPending {
				s.ledger.stats.DeliversDropped++
				continue
			}
			s.ledger.stats.Receipts[st.String()]++
			c.account.waiting++
			d := &deliver{
				account: c.account, origin: c, other: p.shape&shapeOther != 0,
				body: s.receiptBody(p.shape, m, number, text, st, now, due),
			}
			if p.shape&shapeEarly == 0 {
				s.later(task{at: due.UnixNano(), deliver: d})
				continue
			}
			c.account.ready.pushFront([]*deliver{d})
			s.pump(c.account, now)
		}
	}
}

// states returns what becomes of the message, one receipt each.
func (s *Server) states(p *plan, m *submitSM, number uint64) []state {
	last := m.total > 1 && m.part == m.total
	switch {
	case s.cfg.Receipts == ReceiptsNone, p.shape&shapeNone != 0, p.shape&shapeOnce != 0 && m.total > 1 && !last:
		return nil
	case last && p.lastState != 0:
		return []state{p.lastState}
	case p.states != nil:
		return p.states
	}
	return s.drawn(m, number)
}

// drawn chooses by the rates. Parts of one message draw the same number.
func (s *Server) drawn(m *submitSM, number uint64) []state {
	r := s.cfg.Rates
	if r == (Rates{}) {
		return []state{stateDelivered}
	}
	key := binary.BigEndian.AppendUint64(nil, number)
	if m.total > 1 {
		key = binary.BigEndian.AppendUint16(nil, m.reference)
	}
	x := float64(hash(s.cfg.Seed, m.source.digits, m.destination.digits, key)>>11) / (1 << 53)
	for _, c := range []struct {
		share float64
		state state
	}{
		{r.Undelivered, stateUndeliverable}, {r.Expired, stateExpired}, {r.Rejected, stateRejected}, {r.NoReceipt, 0},
	} {
		if x -= c.share; x < 0 {
			if c.state == 0 {
				return nil
			}
			return []state{c.state}
		}
	}
	return []state{stateDelivered}
}

// asked tells whether registered_delivery, or the configuration, wants a receipt of this state.
func (s *Server) asked(m *submitSM, st state) bool {
	if s.cfg.Receipts == ReceiptsAll {
		return true
	}
	switch m.registered & 3 {
	case 1:
		return true
	case 2:
		return st.failed()
	case 3:
		return !st.failed()
	default:
		return false
	}
}

// receiptBody makes the body of a deliver_sm with a receipt.
func (s *Server) receiptBody(look shape, m *submitSM, number uint64, text string, st state, now, due time.Time) []byte {
	if look&shapeForeign != 0 {
		number += foreignID
	}
	from, to := m.destination, m.source
	if look&shapeSwapped != 0 {
		from, to = to, from
	}
	esm, coding := byte(0x04), byte(0)
	if look&shapePlain != 0 {
		esm = 0
	}
	report := []byte(s.receiptText(look, number, text, st, now, due))
	if look&shapeUCS2 != 0 {
		coding = 8
		wide := make([]byte, 0, 2*len(report))
		for _, b := range report {
			wide = append(wide, 0, b)
		}
		report = wide
	}
	body := make([]byte, 0, 320)
	if look&shapePayload != 0 {
		body = appendDeliverBody(body, from, to, esm, coding, nil)
		body = appendTLV(body, tagPayload, report)
	} else {
		body = appendDeliverBody(body, from, to, esm, coding, report)
	}
	if (s.cfg.TLVs || look&shapeTLVOnly != 0) && look&shapeTextOnly == 0 {
		body = appendTLV(body, tagReceiptedID, s.cfg.ResponseID.format(number, 0)+"\x00")
		body = appendTLV(body, tagMessageState, []byte{byte(st)})
		body = appendTLV(body, tagNetworkError, []byte{3, 0, st.code()})
	}
	return body
}

// receiptText is the usual text (SMPP 3.4 appendix B) or a shorter one. It has at most 254 octets.
func (s *Server) receiptText(look shape, number uint64, text string, st state, now, due time.Time) string {
	id := "id:" + s.cfg.ReceiptID.format(number, s.cfg.ReceiptIDWidth) + " "
	if look&shapeTLVOnly != 0 {
		id = ""
	}
	delivered := 0
	if st == stateDelivered {
		delivered = 1
	}
	switch {
	case look&shapeUCS2 != 0:
		return fmt.Sprintf("%sstat:%s err:%03d", id, st, st.code())
	case look&shapeShort != 0:
		return fmt.Sprintf("%sstat:%s", id, st)
	}
	const date = "0601021504"
	return fmt.Sprintf("%ssub:001 dlvrd:%03d submit date:%s done date:%s stat:%s err:%03d text:%s",
		id, delivered, now.UTC().Format(date), due.UTC().Format(date), st, st.code(), excerpt(text))
}

// excerpt is the beginning of a text in ASCII.
func excerpt(text string) string {
	var out []byte
	for _, r := range text {
		if len(out) == 20 {
			break
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out)
}
