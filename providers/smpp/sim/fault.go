package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that the server does wrong, or a refusal.
type Fault struct {
	// Name is one of FaultNames.
	Name string `json:"name" yaml:"name"`
	// Suffix limits a fault of a message to destinations that end so; empty is every message. Faults of a connection have
	// none.
	Suffix string `json:"suffix,omitempty" yaml:"suffix"`
	// Value is what the fault needs: a number (also 0x58), a duration (1s) or states of a receipt (DELIVRD,ENROUTE).
	Value string `json:"value,omitempty" yaml:"value"`
	// Share is the part of the cases, from 0 to 1, that it strikes at random; 0 is all of them.
	Share float64 `json:"share,omitempty" yaml:"share"`
	// Count is how many times it strikes before it goes away; 0 is for ever.
	Count int `json:"count,omitempty" yaml:"count"`
}

// FaultInfo describes a name.
type FaultInfo struct {
	Name string `json:"name"`
	// Value says what the value is, with the default, or is empty.
	Value string `json:"value,omitempty"`
	Text  string `json:"text"`
}

// Faults of a connection.
const (
	faultPause         = "pause"
	faultSilent        = "silent"
	faultSilentBind    = "silent_bind"
	faultBindStatus    = "bind_status"
	faultRefuse        = "refuse_connections"
	faultNoEnquireLink = "no_enquire_link"
	faultOneByte       = "one_byte"
	faultResetAfter    = "reset_after"
	faultDeliverWindow = "deliver_window"
)

// answer is what a submit_sm gets.
type answer uint8

const (
	answerNormal answer = iota
	answerNone
	answerForeign
	answerTwice
	answerNack
	answerNackZero
	answerTruncated
	answerEmpty
	answerLength
)

// injection is a PDU of the server's own that follows the answer.
type injection uint8

const (
	injectData injection = iota
	injectAlert
	injectVendor
	injectBig
	injectBadTLV
	injectBadLength
	injectEnquireLink
	injectUnbind
	injectHalfClose
)

// shape changes how a receipt looks or travels.
type shape uint32

const (
	shapeTLVOnly shape = 1 << iota
	shapeTextOnly
	shapeShort
	shapePlain
	shapeUCS2
	shapeForeign
	shapePayload
	shapeSwapped
	shapeEarly
	shapeTwice
	shapeOther
	shapeNone
	shapeOnce
)

// plan is what happens to one submit_sm. The zero value accepts it.
type plan struct {
	status     uint32
	answer     answer
	value      uint32
	refused    bool
	cut        bool
	wait       time.Duration
	states     []state
	lastState  state
	shape      shape
	postponed  time.Duration
	injections []injection
}

type valueKind uint8

const (
	valueNone valueKind = iota
	valueNumber
	valueDuration
	valueStates
)

// definition is a row of the table of faults.
type definition struct {
	name string
	// link marks a fault of the connection, which has no apply.
	link bool
	// once applies it only to a message that was not seen before.
	once bool
	kind valueKind
	// value is the default; "-" means that one must be given.
	value string
	text  string
	apply func(p *plan, r *rule)
}

func inject(i injection) func(*plan, *rule) {
	return func(p *plan, _ *rule) { p.injections = append(p.injections, i) }
}

func look(s shape) func(*plan, *rule) {
	return func(p *plan, _ *rule) { p.shape |= s }
}

func answerWith(a answer, refused bool) func(*plan, *rule) {
	return func(p *plan, r *rule) { p.answer, p.value, p.refused = a, r.number, refused }
}

// definitions is the table of faults.
func definitions() []definition {
	return []definition{
		{name: faultPause, link: true, text: "the server stops reading"},
		{name: faultSilent, link: true, text: "everything is read, nothing is accepted or answered"},
		{name: faultSilentBind, link: true, text: "a bind is not answered"},
		{name: faultBindStatus, link: true, kind: valueNumber, value: "0x0d", text: "a bind is refused with this status"},
		{name: faultRefuse, link: true, text: "a connection is closed when it comes"},
		{name: faultNoEnquireLink, link: true, text: "enquire_link is not answered"},
		{name: faultOneByte, link: true, text: "every byte is written on its own"},
		{
			name: faultResetAfter, link: true, kind: valueNumber, value: "100",
			text: "after so many more bytes read the connection is reset, what was answered in that read is lost",
		},
		{name: faultDeliverWindow, link: true, kind: valueNumber, value: "1", text: "deliver_sm in flight on a connection"},

		{name: "status", kind: valueNumber, value: "0x08", text: "refused with this status", apply: func(p *plan, r *rule) {
			p.status, p.refused = r.number, true
		}},
		{
			name: "first_status", kind: valueNumber, value: "0x58", text: "refused the first time, then accepted",
			once: true, apply: func(p *plan, r *rule) { p.status, p.refused = r.number, true },
		},
		{name: "no_answer", text: "neither accepted nor answered", apply: answerWith(answerNone, true)},
		{name: "lost_answer", text: "accepted, not answered", apply: answerWith(answerNone, false)},
		{
			name: "late_answer", kind: valueDuration, value: "1s", text: "the answer comes so much later",
			apply: func(p *plan, r *rule) { p.wait += r.wait },
		},
		{
			name: "accept_and_cut", text: "accepted, then the connection is reset before the answer",
			apply: func(p *plan, _ *rule) { p.cut = true },
		},
		{name: "cut", text: "the connection is reset, the message is not accepted", apply: func(p *plan, _ *rule) {
			p.cut, p.refused = true, true
		}},
		{
			name: "foreign_sequence", text: "accepted, the answer bears a number that was never asked",
			apply: answerWith(answerForeign, false),
		},
		{name: "repeated_answer", text: "answered twice", apply: answerWith(answerTwice, false)},
		{
			name: "generic_nack", kind: valueNumber, value: "0x03", text: "generic_nack with the number of the request",
			apply: answerWith(answerNack, true),
		},
		{
			name: "generic_nack_zero", kind: valueNumber, value: "0x02", text: "generic_nack with number 0",
			apply: answerWith(answerNackZero, true),
		},
		{
			name: "truncated_answer", text: "accepted, the id in the answer is not ended",
			apply: answerWith(answerTruncated, false),
		},
		{name: "empty_answer", text: "accepted, the answer has no body", apply: answerWith(answerEmpty, false)},
		{
			name: "length", kind: valueNumber, value: "0xffffffff", text: "the answer is a header with this command_length",
			apply: answerWith(answerLength, true),
		},

		{name: "data_sm", text: "followed by a data_sm", apply: inject(injectData)},
		{name: "alert_notification", text: "followed by an alert_notification", apply: inject(injectAlert)},
		{name: "vendor_pdu", text: "followed by a PDU with an id of a vendor", apply: inject(injectVendor)},
		{name: "big_deliver", text: "followed by a message of 5,000 octets in message_payload", apply: inject(injectBig)},
		{name: "bad_tlv", text: "followed by a deliver_sm whose TLV passes the end", apply: inject(injectBadTLV)},
		{
			name: "bad_sm_length", text: "followed by a deliver_sm whose sm_length passes the end",
			apply: inject(injectBadLength),
		},
		{name: "enquire_link", text: "followed by an enquire_link", apply: inject(injectEnquireLink)},
		{name: "unbind", text: "followed by an unbind", apply: inject(injectUnbind)},
		{name: "half_close", text: "answered, then no more is sent", apply: inject(injectHalfClose)},

		{
			name: "receipt", kind: valueStates, value: "-", text: "receipts with these states, in this order",
			apply: func(p *plan, r *rule) { p.states = r.states },
		},
		{
			name: "receipt_part", kind: valueStates, value: "UNDELIV", text: "state of the last part of a long message",
			apply: func(p *plan, r *rule) { p.lastState = r.states[0] },
		},
		{
			name: "receipt_late", kind: valueDuration, value: "1s", text: "receipts come so much later",
			apply: func(p *plan, r *rule) { p.postponed += r.wait },
		},
		{name: "receipt_one", text: "one receipt, for the last part of a long message", apply: look(shapeOnce)},
		{name: "no_receipt", text: "no receipt", apply: look(shapeNone)},
		{name: "receipt_twice", text: "every receipt twice", apply: look(shapeTwice)},
		{name: "receipt_early", text: "the receipt comes before the answer", apply: look(shapeEarly)},
		{name: "receipt_other_bind", text: "on another connection of the account, if there is one", apply: look(shapeOther)},
		{name: "receipt_tlv_only", text: "the id is only in a TLV", apply: look(shapeTLVOnly)},
		{name: "receipt_text_only", text: "no TLVs", apply: look(shapeTextOnly)},
		{name: "receipt_short", text: "only id and stat in the text", apply: look(shapeShort)},
		{name: "receipt_esm0", text: "esm_class 0", apply: look(shapePlain)},
		{name: "receipt_ucs2", text: "the text is UCS-2", apply: look(shapeUCS2)},
		{name: "receipt_foreign", text: "an id that was never given", apply: look(shapeForeign)},
		{name: "receipt_payload", text: "the text is in message_payload", apply: look(shapePayload)},
		{name: "receipt_swapped", text: "source and destination as in the message", apply: look(shapeSwapped)},
	}
}

// FaultNames lists all faults.
func FaultNames() []FaultInfo {
	var all []FaultInfo
	for _, d := range definitions() {
		info := FaultInfo{Name: d.name, Text: d.text}
		switch d.kind {
		case valueNumber:
			info.Value = "number, default " + d.value
		case valueDuration:
			info.Value = "duration, default " + d.value
		case valueStates:
			info.Value = "states, default " + d.value
		case valueNone:
		}
		all = append(all, info)
	}
	return all
}

// rule is a compiled Fault.
type rule struct {
	fault Fault
	def   definition
	// what the value holds, by kind
	number uint32
	wait   time.Duration
	states []state
	// left counts down from Fault.Count.
	left int
}

// compile checks a fault and reads its value.
func compile(f Fault) (*rule, error) {
	defs := definitions()
	i := slices.IndexFunc(defs, func(d definition) bool { return d.name == f.Name })
	if i < 0 {
		return nil, fmt.Errorf("fault %q is not known", f.Name)
	}
	r := &rule{fault: f, def: defs[i], left: f.Count}
	if r.def.link && f.Suffix != "" {
		return nil, fmt.Errorf("fault %s: it has no suffix", f.Name)
	}
	if f.Share < 0 || f.Share > 1 || math.IsNaN(f.Share) {
		return nil, fmt.Errorf("fault %s: share %v is not between 0 and 1", f.Name, f.Share)
	}
	if f.Count < 0 {
		return nil, fmt.Errorf("fault %s: count %d is negative", f.Name, f.Count)
	}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("fault %s: %w", f.Name, err)
	}
	return r, nil
}

func (r *rule) read() error {
	value := r.fault.Value
	if value == "" {
		value = r.def.value
	}
	switch r.def.kind {
	case valueNone:
		if value != "" {
			return fmt.Errorf("value %q: it has none", value)
		}
	case valueNumber:
		n, err := strconv.ParseUint(value, 0, 32)
		if err != nil {
			return fmt.Errorf("value: %w", err)
		}
		r.number = uint32(n)
	case valueDuration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("value: %w", err)
		}
		if d < 0 {
			return fmt.Errorf("value %s is negative", d)
		}
		r.wait = d
	case valueStates:
		for name := range strings.SplitSeq(value, ",") {
			s, ok := parseState(strings.TrimSpace(name))
			if !ok {
				return fmt.Errorf("value: state %q is not known", name)
			}
			r.states = append(r.states, s)
		}
	}
	return nil
}

// suffixRules are the faults that the last five digits choose.
func suffixRules() []Fault {
	return []Fault{
		{Name: "status", Suffix: "90001", Value: "0x0b"},
		{Name: "first_status", Suffix: "90002", Value: "0x58"},
		{Name: "no_answer", Suffix: "90003"},
		{Name: "receipt", Suffix: "90004", Value: "UNDELIV"},
		{Name: "receipt", Suffix: "90005", Value: "EXPIRED"},
		{Name: "no_receipt", Suffix: "90006"},
		{Name: "accept_and_cut", Suffix: "90007"},
		{Name: "receipt", Suffix: "90008", Value: "REJECTD"},
		{Name: "first_status", Suffix: "90009", Value: "0x14"},
		{Name: "receipt_twice", Suffix: "90010"},
		{Name: "receipt_early", Suffix: "90011"},
	}
}

// ruleSet holds the rules in force. The server's lock guards it.
type ruleSet struct {
	bySuffix map[string][]*rule
	// lengths are the lengths of the suffixes in use, so that a look-up is one per length.
	lengths []int
	links   map[string]*rule
}

func newRuleSet() ruleSet {
	return ruleSet{bySuffix: map[string][]*rule{}, links: map[string]*rule{}}
}

// set adds the rule in place of one with the same name and suffix.
func (s *ruleSet) set(r *rule) {
	if r.def.link {
		s.links[r.fault.Name] = r
		return
	}
	s.clear(r.fault.Name, r.fault.Suffix)
	suffix := r.fault.Suffix
	s.bySuffix[suffix] = append(s.bySuffix[suffix], r)
	if !slices.Contains(s.lengths, len(suffix)) {
		s.lengths = append(s.lengths, len(suffix))
		slices.Sort(s.lengths)
	}
}

func (s *ruleSet) clear(name, suffix string) {
	if suffix == "" {
		delete(s.links, name)
	}
	kept := slices.DeleteFunc(s.bySuffix[suffix], func(r *rule) bool { return r.fault.Name == name })
	if len(kept) == 0 {
		delete(s.bySuffix, suffix)
		return
	}
	s.bySuffix[suffix] = kept
}

func (s *ruleSet) list() []Fault {
	all := []Fault{}
	for _, r := range s.links {
		all = append(all, r.fault)
	}
	for _, rules := range s.bySuffix {
		for _, r := range rules {
			all = append(all, r.fault)
		}
	}
	slices.SortFunc(all, func(a, b Fault) int {
		return strings.Compare(a.Suffix+" "+a.Name, b.Suffix+" "+b.Name)
	})
	return all
}
