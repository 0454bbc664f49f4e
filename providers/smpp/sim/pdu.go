package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// Command ids of SMPP 3.4.
const (
	cmdBindReceiver      = 0x01
	cmdBindTransmitter   = 0x02
	cmdSubmit            = 0x04
	cmdDeliver           = 0x05
	cmdUnbind            = 0x06
	cmdBindTransceiver   = 0x09
	cmdEnquireLink       = 0x15
	cmdAlertNotification = 0x102
	cmdData              = 0x103
	cmdVendor            = 0x00010200
	cmdResponse          = 0x80000000
	cmdNack              = 0x80000000
)

// Values of command_status.
const (
	statusOK            = 0x00
	statusMessageLength = 0x01
	statusCommandLength = 0x02
	statusCommandID     = 0x03
	statusBindState     = 0x04
	statusAlreadyBound  = 0x05
	statusDestination   = 0x0b
	statusBindFailed    = 0x0d
	statusPassword      = 0x0e
	statusSystemID      = 0x0f
	statusESMClass      = 0x43
	statusThrottled     = 0x58
	statusExpiry        = 0x62
	statusTLVLength     = 0xc2
)

// Tags of optional parameters.
const (
	tagReceiptedID      = 0x001e
	tagSARReference     = 0x020c
	tagSARTotal         = 0x020e
	tagSARPart          = 0x020f
	tagInterfaceVersion = 0x0210
	tagNetworkError     = 0x0423
	tagPayload          = 0x0424
	tagMessageState     = 0x0427
)

const (
	headerLen   = 16
	maxPDU      = 64 << 10
	maxSequence = 0x7fffffff
	udhBit      = 0x40
)

var errFrame = errors.New("command_length is out of range")

type header struct {
	id, status, sequence uint32
}

// nextFrame returns the header and body of the first PDU in buf and the bytes it takes; used is 0 if buf does not hold
// all of it. An error means that the stream cannot be followed any more.
func nextFrame(buf []byte) (h header, body []byte, used int, err error) {
	if len(buf) < 4 {
		return h, nil, 0, nil
	}
	length := binary.BigEndian.Uint32(buf)
	if length < headerLen || length > maxPDU {
		return h, nil, 0, errFrame
	}
	if uint32(len(buf)) < length {
		return h, nil, 0, nil
	}
	h.id = binary.BigEndian.Uint32(buf[4:])
	h.status = binary.BigEndian.Uint32(buf[8:])
	h.sequence = binary.BigEndian.Uint32(buf[12:])
	return h, buf[headerLen:length], int(length), nil
}

// fields walks through the mandatory parameters of a body. After the first one that does not fit, bad stays true.
type fields struct {
	rest []byte
	bad  bool
}

// text returns a C string of at most limit characters.
func (f *fields) text(limit int) []byte {
	n := bytes.IndexByte(f.rest, 0)
	if n < 0 || n > limit {
		f.bad = true
		return nil
	}
	s := f.rest[:n]
	f.rest = f.rest[n+1:]
	return s
}

func (f *fields) octet() byte {
	if s := f.octets(1); s != nil {
		return s[0]
	}
	return 0
}

func (f *fields) octets(n int) []byte {
	if f.bad || len(f.rest) < n {
		f.bad = true
		return nil
	}
	s := f.rest[:n]
	f.rest = f.rest[n:]
	return s
}

// tlv returns the next optional parameter; ok is false at the end and when it does not fit, which also sets bad.
func (f *fields) tlv() (tag uint16, value []byte, ok bool) {
	if f.bad || len(f.rest) == 0 {
		return 0, nil, false
	}
	h := f.octets(4)
	if h == nil {
		return 0, nil, false
	}
	value = f.octets(int(binary.BigEndian.Uint16(h[2:])))
	return binary.BigEndian.Uint16(h), value, !f.bad
}

type bindRequest struct {
	systemID, password []byte
}

func parseBind(body []byte) (bindRequest, bool) {
	f := fields{rest: body}
	b := bindRequest{systemID: f.text(15), password: f.text(64)}
	f.text(12)
	f.octets(3)
	f.text(40)
	return b, !f.bad
}

type address struct {
	ton, npi byte
	digits   []byte
}

func (f *fields) address() address {
	return address{ton: f.octet(), npi: f.octet(), digits: f.text(20)}
}

// submitSM is a parsed submit_sm. Its slices lie in the buffer of the connection.
type submitSM struct {
	source, destination address
	esmClass            byte
	validity            []byte
	registered          byte
	dataCoding          byte
	// udh is the user data header with its length octet, text what follows it.
	udh, text []byte
	payload   bool
	// reference, part and total are from the header or the sar TLVs; total is 0 for a message of one part.
	reference   uint16
	part, total byte
}

// parseSubmit returns the command_status to answer if the body is not right.
func parseSubmit(body []byte) (submitSM, uint32) {
	f := fields{rest: body}
	var m submitSM
	f.text(5)
	m.source = f.address()
	m.destination = f.address()
	m.esmClass = f.octet()
	f.octets(2)
	f.text(16)
	m.validity = f.text(16)
	m.registered = f.octet()
	f.octet()
	m.dataCoding = f.octet()
	f.octet()
	m.text = f.octets(int(f.octet()))
	if f.bad {
		return m, statusCommandLength
	}
	if status := m.parseTLVs(&f); status != statusOK {
		return m, status
	}
	if m.esmClass&udhBit != 0 {
		if !m.parseUDH() {
			return m, statusESMClass
		}
	}
	return m, m.check()
}

func (m *submitSM) parseTLVs(f *fields) uint32 {
	for {
		tag, value, ok := f.tlv()
		switch {
		case !ok && f.bad:
			return statusTLVLength
		case !ok:
			return statusOK
		case tag == tagPayload:
			m.text, m.payload = value, true
		case tag == tagSARReference && len(value) == 2:
			m.reference = binary.BigEndian.Uint16(value)
		case tag == tagSARTotal && len(value) == 1:
			m.total = value[0]
		case tag == tagSARPart && len(value) == 1:
			m.part = value[0]
		}
	}
}

// parseUDH divides the text from its header and takes the concatenation out of it (3GPP TS 23.040 section 9.2.3.24).
func (m *submitSM) parseUDH() bool {
	if len(m.text) == 0 || len(m.text) <= int(m.text[0]) {
		return false
	}
	n := 1 + int(m.text[0])
	m.udh, m.text = m.text[:n], m.text[n:]
	for ie := m.udh[1:]; len(ie) > 0; {
		if len(ie) < 2 || len(ie) < 2+int(ie[1]) {
			return false
		}
		data := ie[2 : 2+ie[1]]
		switch {
		case ie[0] == 0x00 && len(data) == 3:
			m.reference, m.total, m.part = uint16(data[0]), data[1], data[2]
		case ie[0] == 0x08 && len(data) == 4:
			m.reference, m.total, m.part = binary.BigEndian.Uint16(data), data[2], data[3]
		}
		ie = ie[2+len(data):]
	}
	return true
}

// check applies the limits that hold for a real short message.
func (m *submitSM) check() uint32 {
	if n := len(m.destination.digits); n == 0 {
		return statusDestination
	}
	if n := len(m.validity); n != 0 && (n != 16 || !strings.ContainsRune("R+-", rune(m.validity[15]))) {
		return statusExpiry
	}
	if m.part > m.total || m.total > 0 && m.part == 0 {
		return statusESMClass
	}
	if m.payload {
		return statusOK
	}
	octets := 140 - len(m.udh)
	if m.dataCoding == 0 {
		octets = octets * 8 / 7
	}
	if len(m.text) > octets {
		return statusMessageLength
	}
	return statusOK
}

// begin appends a header whose length end fills in.
func begin(buf []byte, id, status, sequence uint32) ([]byte, int) {
	start := len(buf)
	buf = append(buf, 0, 0, 0, 0)
	buf = binary.BigEndian.AppendUint32(buf, id)
	buf = binary.BigEndian.AppendUint32(buf, status)
	return binary.BigEndian.AppendUint32(buf, sequence), start
}

func end(buf []byte, start int) []byte {
	binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start))
	return buf
}

// appendBare appends a PDU without a body.
func appendBare(buf []byte, id, status, sequence uint32) []byte {
	buf, start := begin(buf, id, status, sequence)
	return end(buf, start)
}

func appendText[T string | []byte](buf []byte, s T) []byte {
	return append(append(buf, s...), 0)
}

func appendTLV[T string | []byte](buf []byte, tag uint16, value T) []byte {
	buf = binary.BigEndian.AppendUint16(buf, tag)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(value)))
	return append(buf, value...)
}

func appendAddress(buf []byte, a address) []byte {
	return appendText(append(buf, a.ton, a.npi), a.digits)
}

// appendDeliverBody appends the mandatory parameters of a deliver_sm; the text has at most 255 octets.
func appendDeliverBody(buf []byte, source, destination address, esmClass, dataCoding byte, text []byte) []byte {
	buf = append(buf, 0)
	buf = appendAddress(buf, source)
	buf = appendAddress(buf, destination)
	buf = append(buf, esmClass, 0, 0, 0, 0, 0, 0, dataCoding, 0, byte(len(text)))
	return append(buf, text...)
}
