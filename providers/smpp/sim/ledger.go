package sim

import (
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/herald-gateway/herald/internal/smstext"
)

// Message is an accepted submit_sm.
type Message struct {
	// ID is the message id in the form of the response.
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	// SystemID, Session and Sequence say who sent it, on which connection (counted from 1) and under which number.
	SystemID    string `json:"system_id"`
	Session     uint64 `json:"session"`
	Sequence    uint32 `json:"sequence"`
	Source      string `json:"source"`
	SourceTON   byte   `json:"source_ton"`
	SourceNPI   byte   `json:"source_npi"`
	Destination string `json:"destination"`
	DestTON     byte   `json:"dest_ton"`
	DestNPI     byte   `json:"dest_npi"`
	ESMClass    byte   `json:"esm_class"`
	DataCoding  byte   `json:"data_coding"`
	Registered  byte   `json:"registered_delivery"`
	Validity    string `json:"validity_period,omitempty"`
	// UDH is the user data header with its length octet; base64 in JSON.
	UDH []byte `json:"udh,omitempty"`
	// Reference, Part and Total are from the header or the sar TLVs; Total is 0 for a message of one part.
	Reference uint16 `json:"reference,omitempty"`
	Part      byte   `json:"part,omitempty"`
	Total     byte   `json:"total,omitempty"`
	// Text is decoded by DataCoding; what cannot be decoded is given in hexadecimal.
	Text string `json:"text"`
}

// Stats are counted since the start or the last Reset, except the first four.
type Stats struct {
	// Connections are open now, Binds are the bound ones among them.
	Connections int `json:"connections"`
	Binds       int `json:"binds"`
	// Waiting are the deliver_sm that are not acknowledged: due later, due, or in flight. InFlight are those in flight.
	Waiting  int `json:"waiting"`
	InFlight int `json:"in_flight"`

	Bound        uint64 `json:"bound"`
	BindsRefused uint64 `json:"binds_refused"`
	// Lost are bound connections that ended without an unbind.
	Lost uint64 `json:"lost"`
	// Submits are all submit_sm, Accepted those that got an id. Refused counts the others by the status answered;
	// Dropped are those that a fault left without a submit_sm_resp.
	Submits  uint64            `json:"submits"`
	Accepted uint64            `json:"accepted"`
	Refused  map[string]uint64 `json:"refused"`
	Dropped  uint64            `json:"dropped"`
	// Undecodable are accepted messages whose text does not fit their data_coding.
	Undecodable uint64 `json:"undecodable"`
	// Peak is the greatest number of submit_sm within any second, to the nearest 10 ms.
	Peak uint32 `json:"peak"`
	// First and Last are the times of the first and the last submit_sm.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Receipts counts receipts made, by state. Delivers are deliver_sm written, repeats included; DeliversAcked were
	// answered with 0, DeliversRefused with another status; DeliversRepeated were sent again; DeliversDropped found the
	// store full.
	Receipts         map[string]uint64 `json:"receipts"`
	Delivers         uint64            `json:"delivers"`
	DeliversAcked    uint64            `json:"delivers_acked"`
	DeliversRefused  uint64            `json:"delivers_refused"`
	DeliversRepeated uint64            `json:"delivers_repeated"`
	DeliversDropped  uint64            `json:"delivers_dropped"`
	// EnquireLinks are those of the clients, Nacks the generic_nack received, Malformed the PDUs that could not be read.
	EnquireLinks uint64 `json:"enquire_links"`
	Nacks        uint64 `json:"nacks"`
	Malformed    uint64 `json:"malformed"`
	// DuplicateParts are parts of a long message that were accepted again before it was complete, Incomplete are long
	// messages that wait for parts. Both need Keep.
	DuplicateParts uint64 `json:"duplicate_parts"`
	Incomplete     int    `json:"incomplete"`
	// NotKept are messages above KeepLimit, NotRecorded those that could not be written to the record.
	NotKept     uint64 `json:"not_kept"`
	NotRecorded uint64 `json:"not_recorded"`
}

// maxAssemblies bounds the long messages that wait for parts; above, all of them are forgotten.
const maxAssemblies = 100_000

type assemblyKey struct {
	source, destination string
	reference           uint16
	total               byte
}

type assembly struct {
	parts   []string
	have    []bool
	missing int
}

// ledger holds what was seen. The server's lock guards it.
type ledger struct {
	stats      Stats
	peak       peak
	kept       []Message
	texts      map[string]int
	assemblies map[assemblyKey]*assembly
}

func newLedger() ledger {
	return ledger{
		stats:      Stats{Refused: map[string]uint64{}, Receipts: map[string]uint64{}},
		texts:      map[string]int{},
		assemblies: map[assemblyKey]*assembly{},
	}
}

func (l *ledger) submitted(now time.Time) {
	l.stats.Submits++
	if l.stats.First.IsZero() {
		l.stats.First = now
	}
	l.stats.Last = now
	l.peak.add(now)
}

// refused counts a status; the few names are made once each, as their number is small.
func (l *ledger) refused(status uint32) { l.stats.Refused[fmt.Sprintf("0x%02x", status)]++ }

func (l *ledger) keep(m Message, limit int) {
	if len(l.kept) >= limit {
		l.stats.NotKept++
		return
	}
	l.kept = append(l.kept, m)
	if m.Total <= 1 {
		l.texts[m.Text]++
		return
	}
	l.join(m)
}

// join collects the parts of a long message as a handset does.
func (l *ledger) join(m Message) {
	key := assemblyKey{m.Source, m.Destination, m.Reference, m.Total}
	a := l.assemblies[key]
	if a == nil {
		if len(l.assemblies) >= maxAssemblies {
			clear(l.assemblies)
		}
		a = &assembly{parts: make([]string, m.Total), have: make([]bool, m.Total), missing: int(m.Total)}
		l.assemblies[key] = a
	}
	i := m.Part - 1
	if a.have[i] {
		l.stats.DuplicateParts++
		return
	}
	a.have[i], a.parts[i] = true, m.Text
	a.missing--
	if a.missing == 0 {
		delete(l.assemblies, key)
		l.texts[strings.Join(a.parts, "")]++
	}
}

func (l *ledger) snapshot() Stats {
	s := l.stats
	s.Refused, s.Receipts = maps.Clone(s.Refused), maps.Clone(s.Receipts)
	s.Peak = l.peak.greatest
	s.Incomplete = len(l.assemblies)
	return s
}

// decode returns the text of a message and false if it does not fit its data_coding.
func decode(alphabet smstext.Encoding, dataCoding byte, text []byte) (string, bool) {
	enc := alphabet
	switch dataCoding {
	case 0:
	case 1:
		enc = smstext.ASCII
	case 3:
		enc = smstext.Latin1
	case 8:
		enc = smstext.UCS2
	default:
		return hex.EncodeToString(text), true
	}
	s, err := smstext.Decode(enc, text)
	if err != nil {
		return hex.EncodeToString(text), false
	}
	return s, true
}

// peak finds the greatest count within a second from buckets of 10 ms.
type peak struct {
	buckets       [100]uint32
	last          int64
	sum, greatest uint32
}

func (p *peak) add(now time.Time) {
	n := int64(len(p.buckets))
	b := now.UnixMilli() / 10
	if b-p.last >= n {
		p.buckets, p.sum, p.last = [100]uint32{}, 0, b
	}
	for p.last < b {
		p.last++
		old := &p.buckets[p.last%n]
		p.sum -= *old
		*old = 0
	}
	p.buckets[b%n]++
	p.sum++
	p.greatest = max(p.greatest, p.sum)
}
