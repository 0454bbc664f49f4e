package smpp

import (
	"context"
	"net"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// NewWith is New with connections from dial.
func NewWith(setup providers.Setup, dial func(context.Context) (net.Conn, error)) (providers.Provider, error) {
	return newClient(setup, dial)
}

// SetNext makes the next request of every session bear this sequence number.
func SetNext(p providers.Provider, sequence uint32) {
	for _, l := range p.(*client).links {
		if s := l.session.Load(); s != nil {
			s.mu.Lock()
			s.next, s.oldest, s.ancient = sequence, sequence, sequence
			s.mu.Unlock()
		}
	}
}

// RingState is how many slots fly, how many are zombies, and how many the ring really holds of both.
func RingState(p providers.Provider) (flying, zombies, held int) {
	for _, l := range p.(*client).links {
		s := l.session.Load()
		if s == nil {
			continue
		}
		s.mu.Lock()
		flying += s.flying
		zombies += s.zombies
		for i := range s.ring {
			if s.ring[i].state != slotFree {
				held++
			}
		}
		s.mu.Unlock()
	}
	return flying, zombies, held
}

// Classify is the result for a command_status, with the account's own map.
func Classify(status uint32, m *providers.Message, over map[string]string) (providers.Result, error) {
	own, err := newStatusMap(over)
	c := classifier{over: own}
	return c.classify(status, m), err
}

// Parsed is what parseDeliver read.
type Parsed struct {
	Source, Destination, Text, ReceiptedID string
	ESMClass, DataCoding, State            byte
}

// ParseDeliver reads the body of a deliver_sm.
func ParseDeliver(body []byte) (Parsed, error) {
	d, err := parseDeliver(body)
	return Parsed{
		Source: string(d.source), Destination: string(d.destination), Text: string(d.text),
		ReceiptedID: string(d.receiptedID), ESMClass: d.esmClass, DataCoding: d.dataCoding, State: d.state,
	}, err
}

// ParseReceipt reads a receipt or a reply as an account with these settings does: the receipt, whether it is one, and
// the counts of receipts without an id and of those whose state is told twice differently.
func ParseReceipt(cfg Config, body []byte, now time.Time) (r delivery.Receipt, is, ok bool, unparsed, clashes int) {
	d, err := parseDeliver(body)
	if err != nil {
		return r, false, false, 0, 0
	}
	zone, _ := time.LoadLocation(cfg.ReceiptZone)
	reasons, _ := newReasonMap(cfg.Errors)
	p := receiptParser{
		provider: "mts", respID: cfg.RespID, textID: cfg.ReceiptID, byText: cfg.ReceiptDetect == DetectText, zone: zone,
		reasons: reasons, unparsed: func() { unparsed++ }, clashs: func() { clashes++ },
	}
	d.stripHeader()
	if is = p.isReceipt(&d); is {
		r, ok = p.parse(&d, now)
	}
	return r, is, ok, unparsed, clashes
}

// Frames cuts a stream as a session does, reading at most chunk octets at once. It returns the bodies and the error.
func Frames(stream []byte, chunk, maxPDU int) (bodies [][]byte, room int, err error) {
	f := newFramer(maxPDU)
	for {
		_, body, ok, err := f.next()
		switch {
		case err != nil:
			return bodies, len(f.buf), err
		case ok:
			bodies = append(bodies, append([]byte{}, body...))
		case len(stream) == 0:
			return bodies, len(f.buf), nil
		default:
			space := f.space()
			n := copy(space[:min(len(space), chunk)], stream)
			f.filled(n)
			stream = stream[n:]
		}
	}
}

// Validity is the validity_period of a message.
func Validity(cfg Config, m *providers.Message, now time.Time) string {
	e := encoder{cfg: &cfg}
	return string(e.validity(nil, m, now))
}

// Source is the type of number, the numbering plan and the text of a source address.
func Source(s string) (ton, npi byte, text string, err error) {
	a, err := newAddress(s, nil, nil)
	if err != nil {
		return 0, 0, "", err
	}
	return a.ton, a.npi, string(a.text[:len(a.text)-1]), nil
}

// Reference is by what a handset knows the parts of a message.
func Reference(id delivery.ID) byte { return reference(id) }

// Encode makes the submit_sm PDUs of a message as an account with these settings does.
func Encode(cfg Config, m *providers.Message, now time.Time) (frames [][]byte, err error) {
	e, err := newEncoder(&cfg)
	if err != nil {
		return nil, err
	}
	var t text
	if err := e.cut(&t, m.Content.(*delivery.SMS).Text); err != nil {
		return nil, err
	}
	for i := range t.Parts {
		frames = append(frames, e.encode(nil, m, &t, i, now))
	}
	return frames, nil
}
