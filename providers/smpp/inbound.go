package smpp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The command ids that a session handles (SMPP 3.4 section 5.1.2). A response has the top bit set.
const (
	cmdResponse     = 0x80000000
	cmdGenericNack  = 0x80000000
	cmdBindReceiver = 0x00000001
	cmdBindTransmit = 0x00000002
	cmdSubmit       = 0x00000004
	cmdDeliver      = 0x00000005
	cmdUnbind       = 0x00000006
	cmdBindBoth     = 0x00000009
	cmdEnquireLink  = 0x00000015
	cmdAlert        = 0x00000102
	cmdData         = 0x00000103
)

const (
	headerLen   = 16
	maxSequence = 0x7fffffff
	maxRespID   = 65 // message_id with its NUL
)

// The tags of TLVs (SMPP 3.4 section 5.3.2).
const (
	tagReceiptedID  = 0x001e
	tagReference    = 0x0204
	tagSARReference = 0x020c
	tagSARTotal     = 0x020e
	tagSARSequence  = 0x020f
	tagNetworkError = 0x0423
	tagPayload      = 0x0424
	tagState        = 0x0427
)

// header is the header of a PDU.
type header struct {
	length, command, status, sequence uint32
}

func readHeader(b []byte) header {
	return header{
		length: binary.BigEndian.Uint32(b), command: binary.BigEndian.Uint32(b[4:]),
		status: binary.BigEndian.Uint32(b[8:]), sequence: binary.BigEndian.Uint32(b[12:]),
	}
}

func appendHeader(dst []byte, length, command, status, sequence uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, length)
	dst = binary.BigEndian.AppendUint32(dst, command)
	dst = binary.BigEndian.AppendUint32(dst, status)
	return binary.BigEndian.AppendUint32(dst, sequence)
}

// appendBare appends a PDU without a body.
func appendBare(dst []byte, command, status, sequence uint32) []byte {
	return appendHeader(dst, headerLen, command, status, sequence)
}

// appendDeliverResp appends a deliver_sm_resp, whose message_id is empty.
func appendDeliverResp(dst []byte, status, sequence uint32) []byte {
	return append(appendHeader(dst, headerLen+1, cmdDeliver|cmdResponse, status, sequence), 0)
}

// framer cuts a stream into PDUs. Its buffer never grows beyond the longest PDU allowed and one read.
type framer struct {
	buf        []byte
	start, end int
	max        int
}

// frameError says that what follows in the stream is no PDU; the stream is lost then.
type frameError struct{ length uint32 }

func (e *frameError) Error() string { return fmt.Sprintf("command_length %d is impossible", e.length) }

const readSize = 64 << 10

func newFramer(maxPDU int) *framer { return &framer{max: maxPDU, buf: make([]byte, readSize)} }

// space is where the next read goes.
func (f *framer) space() []byte {
	if f.start == f.end {
		f.start, f.end = 0, 0
	}
	if f.end == len(f.buf) {
		if f.start > 0 {
			f.end = copy(f.buf, f.buf[f.start:f.end])
			f.start = 0
		} else {
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
	}
	return f.buf[f.end:]
}

// filled says that n bytes were read into space.
func (f *framer) filled(n int) { f.end += n }

// next is the next complete PDU, valid until space is called; false when more must be read. The error is a *frameError.
func (f *framer) next() (header, []byte, bool, error) {
	have := f.buf[f.start:f.end]
	if len(have) < 4 {
		return header{}, nil, false, nil
	}
	length := binary.BigEndian.Uint32(have)
	if length < headerLen || length > uint32(f.max) {
		return header{length: length}, nil, false, &frameError{length}
	}
	if len(have) < int(length) {
		return header{}, nil, false, nil
	}
	f.start += int(length)
	return readHeader(have), have[headerLen:length], true, nil
}

// respID reads the message_id of a submit_sm_resp. A missing body is an empty id; an id that does not end is an error.
func respID(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	n := bytes.IndexByte(body[:min(len(body), maxRespID)], 0)
	if n < 0 {
		return nil, errShort
	}
	return body[:n], nil
}

var (
	errShort = errors.New("body is too short")
	errTLV   = errors.New("a TLV passes the end of PDU")
)

// deliver is the body of a deliver_sm. Its fields are parts of the body.
type deliver struct {
	source, destination []byte
	esmClass            byte
	dataCoding          byte
	text                []byte // short_message, or message_payload when that is empty

	receiptedID  []byte
	networkError []byte
	state        byte // message_state
	hasState     bool
	reference    []byte // sar_msg_ref_num
	total, part  byte
}

// parseDeliver reads the body of a deliver_sm. It takes what SMSCs send, not only what the specification allows: longer
// addresses and unknown TLVs.
func parseDeliver(b []byte) (d deliver, err error) {
	var ok bool
	if _, b, ok = cString(b); !ok || len(b) < 2 { // service_type
		return d, errShort
	}
	if d.source, b, ok = cString(b[2:]); !ok || len(b) < 2 {
		return d, errShort
	}
	if d.destination, b, ok = cString(b[2:]); !ok || len(b) < 3 {
		return d, errShort
	}
	d.esmClass = b[0]
	if _, b, ok = cString(b[3:]); !ok { // after protocol_id and priority_flag: schedule_delivery_time
		return d, errShort
	}
	if _, b, ok = cString(b); !ok || len(b) < 5 { // validity_period
		return d, errShort
	}
	d.dataCoding = b[2]
	n := int(b[4])
	if b = b[5:]; len(b) < n {
		return d, errShort
	}
	d.text, b = b[:n], b[n:]
	return d, d.tlvs(b)
}

// tlvs walks the optional parameters.
func (d *deliver) tlvs(b []byte) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errTLV
		}
		tag, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; len(b) < n {
			return errTLV
		}
		value := b[:n]
		b = b[n:]
		switch {
		case tag == tagReceiptedID:
			d.receiptedID = bytes.TrimRight(value, "\x00")
		case tag == tagState && n == 1:
			d.state, d.hasState = value[0], true
		case tag == tagNetworkError && n == 3:
			d.networkError = value
		case tag == tagPayload && len(d.text) == 0:
			d.text = value
		case tag == tagSARReference && n == 2:
			d.reference = value
		case tag == tagSARTotal && n == 1:
			d.total = value[0]
		case tag == tagSARSequence && n == 1:
			d.part = value[0]
		}
	}
	return nil
}

// cString cuts a string that ends in a NUL off b.
func cString(b []byte) (s, rest []byte, ok bool) {
	before, after, ok := bytes.Cut(b, []byte{0})
	if !ok {
		return nil, nil, false
	}
	return before, after, true
}

// stripHeader cuts the user data header off the text and takes the number of the part from it.
func (d *deliver) stripHeader() {
	if d.esmClass&0x40 == 0 || len(d.text) == 0 {
		return
	}
	n := int(d.text[0])
	if n+1 > len(d.text) {
		return
	}
	udh := d.text[1 : n+1]
	d.text, d.esmClass = d.text[n+1:], d.esmClass&^0x40
	for len(udh) >= 2 {
		kind, size := udh[0], int(udh[1])
		if udh = udh[2:]; size > len(udh) {
			return
		}
		switch {
		case kind == 0x00 && size == 3:
			d.reference, d.total, d.part = udh[:1], udh[1], udh[2]
		case kind == 0x08 && size == 4:
			d.reference, d.total, d.part = udh[:2], udh[2], udh[3]
		}
		udh = udh[size:]
	}
}
