package smpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/smstext"
	"github.com/herald-gateway/herald/providers"
)

const (
	esmUDH            = 0x40
	udhLen            = 6
	interfaceVersion  = 0x34
	registeredFinal   = 1
	registeredFailure = 2
	relativeMaxDays   = 30
)

// submitBody is a submit_sm that is used again and again. fiorix's encoder appends a NUL to strings without one, into
// whatever array they share, so every string here ends in a NUL of its own.
type submitBody struct {
	pdu      pdu.Body
	out      bytes.Buffer
	sTON     *pdufield.Fixed
	sNPI     *pdufield.Fixed
	sAddr    *pdufield.Variable
	dAddr    *pdufield.Variable
	esm      *pdufield.Fixed
	validity *pdufield.Variable
	register *pdufield.Fixed
	coding   *pdufield.Fixed
	length   *pdufield.Fixed
	text     *pdufield.SM
	to       []byte
	until    []byte
	short    []byte
}

// encoder makes submit_sm PDUs, for one account.
type encoder struct {
	cfg     *Config
	source  *address // nil: the SMSC sets it
	senders map[string]address
	pool    sync.Pool
}

func newEncoder(cfg *Config) (*encoder, error) {
	e := &encoder{cfg: cfg, senders: make(map[string]address, len(cfg.Senders)+1)}
	for _, s := range cfg.Senders {
		a, err := newAddress(s.Name, s.TON, s.NPI)
		if err != nil {
			return nil, fmt.Errorf("senders: %w", err)
		}
		e.senders[s.Name] = a
	}
	if cfg.Source != "" {
		a, err := newAddress(cfg.Source, cfg.TON, cfg.NPI)
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		e.source = &a
		e.senders[cfg.Source] = a
	}
	e.pool.New = func() any { return newSubmitBody(cfg) }
	return e, nil
}

func newSubmitBody(cfg *Config) *submitBody {
	b := &submitBody{
		pdu: pdu.NewSubmitSM(nil), sTON: &pdufield.Fixed{}, sNPI: &pdufield.Fixed{},
		sAddr: &pdufield.Variable{Data: []byte{0}}, dAddr: &pdufield.Variable{}, esm: &pdufield.Fixed{},
		validity: &pdufield.Variable{Data: []byte{0}}, register: &pdufield.Fixed{}, coding: &pdufield.Fixed{},
		length: &pdufield.Fixed{}, text: &pdufield.SM{},
	}
	f := b.pdu.Fields()
	f[pdufield.ServiceType] = &pdufield.Variable{Data: append([]byte(cfg.ServiceType), 0)}
	f[pdufield.SourceAddrTON], f[pdufield.SourceAddrNPI], f[pdufield.SourceAddr] = b.sTON, b.sNPI, b.sAddr
	f[pdufield.DestAddrTON] = &pdufield.Fixed{Data: byte(cfg.DestTON)}
	f[pdufield.DestAddrNPI] = &pdufield.Fixed{Data: byte(cfg.DestNPI)}
	f[pdufield.DestinationAddr] = b.dAddr
	f[pdufield.ESMClass], f[pdufield.ProtocolID] = b.esm, &pdufield.Fixed{}
	f[pdufield.PriorityFlag] = &pdufield.Fixed{}
	f[pdufield.ScheduleDeliveryTime] = &pdufield.Variable{Data: []byte{0}}
	f[pdufield.ValidityPeriod], f[pdufield.RegisteredDelivery] = b.validity, b.register
	f[pdufield.ReplaceIfPresentFlag], f[pdufield.DataCoding] = &pdufield.Fixed{}, b.coding
	f[pdufield.SMDefaultMsgID] = &pdufield.Fixed{}
	f[pdufield.SMLength], f[pdufield.ShortMessage] = b.length, b.text
	return b
}

// text is a message cut into PDUs.
type text struct {
	smstext.Message
	payload bool // one PDU with message_payload
}

// cut cuts a text into parts as the account sends them.
func (e *encoder) cut(s string) (text, error) {
	m, err := smstext.Split(s, smstext.Options{MaxParts: e.cfg.MaxParts, Alphabet: e.cfg.Alphabet})
	if err != nil || e.cfg.Long != LongPayload || len(m.Parts) == 1 {
		return text{Message: m}, err
	}
	var whole smstext.Part
	for _, p := range m.Parts {
		whole.Payload = append(whole.Payload, p.Payload...)
		whole.Units += p.Units
	}
	m.Parts = []smstext.Part{whole}
	return text{Message: m, payload: true}, nil
}

// count is how many PDUs cut makes, without cutting.
func (e *encoder) count(s string) int {
	n, _, _ := smstext.CountIn(e.cfg.Alphabet, s)
	if n > e.cfg.MaxParts || e.cfg.Long == LongPayload {
		return 1
	}
	return n
}

// refusal says why a message cannot be sent at all; nil when it can.
func (e *encoder) refusal(m *providers.Message) *providers.Result {
	sms, ok := m.Content.(*delivery.SMS)
	if !ok || sms == nil || sms.Text == "" {
		return refuse(delivery.OutcomeContent, delivery.ReasonContent, "content: no text")
	}
	if _, ok := e.senders[m.Sender]; m.Sender != "" && !ok {
		return refuse(delivery.OutcomeContent, delivery.ReasonContent, "senders.sms: the account has no such sender")
	}
	if to := m.To; len(to) > 0 && to[0] == '+' && len(to) <= maxAddress+1 && digits(to[1:]) ||
		len(to) <= maxAddress && digits(to) {
		return nil
	}
	return refuse(delivery.OutcomeRecipient, delivery.ReasonUnreachable, "recipient.phone: no phone number")
}

func refuse(o delivery.Outcome, why delivery.Reason, detail string) *providers.Result {
	return &providers.Result{Outcome: o, Reason: why, Detail: detail}
}

// encode appends the PDU of one part to dst, with sequence number 0.
func (e *encoder) encode(dst []byte, m *providers.Message, t *text, part int, now time.Time) []byte {
	b := e.pool.Get().(*submitBody) //nolint:forcetypeassert // the pool holds nothing else
	e.fill(b, m, t, part, now)
	b.pdu.Header().Seq = 0
	b.out.Reset()
	_ = b.pdu.SerializeTo(&b.out) // a buffer takes everything
	dst = append(dst, b.out.Bytes()...)
	b.text.Data = nil
	clear(b.pdu.TLVFields())
	e.pool.Put(b)
	return dst
}

func (e *encoder) fill(b *submitBody, m *providers.Message, t *text, part int, now time.Time) {
	source := e.source
	if m.Sender != "" {
		a := e.senders[m.Sender]
		source = &a
	}
	if source != nil {
		b.sTON.Data, b.sNPI.Data, b.sAddr.Data = source.ton, source.npi, source.text
	} else {
		b.sTON.Data, b.sNPI.Data, b.sAddr.Data = 0, 0, []byte{0}
	}
	to := m.To
	if to[0] == '+' {
		to = to[1:]
	}
	b.to = append(append(b.to[:0], to...), 0)
	b.dAddr.Data = b.to
	b.until = append(e.validity(b.until[:0], m, now), 0)
	b.validity.Data = b.until
	b.register.Data = e.registered()
	b.coding.Data = t.Encoding.DataCoding()
	b.esm.Data = 0
	payload := t.Parts[part].Payload
	switch {
	case t.payload:
		b.pdu.TLVFields()[pdutlv.TagMessagePayload] = pdutlv.NewTLV(pdutlv.TagMessagePayload, payload)
		payload = nil
	case len(t.Parts) > 1 && e.cfg.Long == LongSAR:
		e.sar(b, m.ID, len(t.Parts), part)
	case len(t.Parts) > 1:
		b.esm.Data = esmUDH
		total, n := byte(len(t.Parts)), byte(part+1)
		b.short = append(b.short[:0], udhLen-1, 0, 3, reference(m.ID), total, n)
		b.short = append(b.short, payload...)
		payload = b.short
	}
	b.text.Data = payload
	b.length.Data = byte(len(payload))
}

// sar numbers a part by TLVs.
func (e *encoder) sar(b *submitBody, id delivery.ID, total, part int) {
	tlvs := b.pdu.TLVFields()
	tlvs[tagSARReference] = pdutlv.NewTLV(tagSARReference, binary.BigEndian.AppendUint16(nil, uint16(reference(id))))
	tlvs[tagSARTotal] = pdutlv.NewTLV(tagSARTotal, []byte{byte(total)})
	tlvs[tagSARSequence] = pdutlv.NewTLV(tagSARSequence, []byte{byte(part + 1)})
}

// reference is by what a handset knows the parts of a message. It is a hash of the message's id: the same when a part is
// sent again, and different for messages that follow each other.
func reference(id delivery.ID) byte {
	return byte(uint64(id) * 0x9e3779b97f4a7c15 >> 56)
}

// registered is registered_delivery: what receipts are asked for.
func (e *encoder) registered() byte {
	switch e.cfg.Receipts {
	case ReceiptsFinal:
		return registeredFinal
	case ReceiptsFailure:
		return registeredFailure
	}
	return 0
}

// validity appends validity_period: how long the SMSC may try. Without it the SMSC may deliver next morning, when the
// message is no use any more.
func (e *encoder) validity(dst []byte, m *providers.Message, now time.Time) []byte {
	d := m.TTL
	if !m.ExpiresAt.IsZero() {
		if left := m.ExpiresAt.Sub(now); d <= 0 || left < d {
			d = left
		}
	}
	if d <= 0 || e.cfg.Validity == ValidityNone {
		return dst
	}
	if d = max(d, e.cfg.ValidityMin); e.cfg.ValidityMax > 0 {
		d = min(d, e.cfg.ValidityMax)
	}
	if e.cfg.Validity == ValidityAbsolute {
		return now.Add(d).UTC().AppendFormat(dst, "060102150405000+")
	}
	seconds := min(int64((d+time.Second-1)/time.Second), relativeMaxDays*24*3600)
	for _, n := range []int64{0, 0, seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60} {
		dst = append(dst, byte('0'+n/10), byte('0'+n%10))
	}
	return append(dst, "000R"...)
}

// encodeBind makes the bind PDU of a connection.
func (e *encoder) encodeBind(r role) []byte {
	b := pdu.NewBindTransceiver()
	switch r {
	case roleTransmitter:
		b = pdu.NewBindTransmitter()
	case roleReceiver:
		b = pdu.NewBindReceiver()
	case roleTransceiver:
	}
	f := b.Fields()
	for name, value := range map[pdufield.Name]any{
		pdufield.SystemID: e.cfg.SystemID, pdufield.Password: e.cfg.Password.Reveal(),
		pdufield.SystemType: e.cfg.SystemType, pdufield.InterfaceVersion: uint8(interfaceVersion),
	} {
		_ = f.Set(name, value) // the types are those that it takes
	}
	b.Header().Seq = 1
	var out bytes.Buffer
	_ = b.SerializeTo(&out) // a buffer takes everything
	return out.Bytes()
}

// role is what a connection is bound for.
type role uint8

const (
	roleTransceiver role = iota
	roleTransmitter
	roleReceiver
)

func (r role) String() string { return [...]string{"transceiver", "transmitter", "receiver"}[r] }

// sends says that messages go out on it.
func (r role) sends() bool { return r != roleReceiver }
