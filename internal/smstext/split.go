package smstext

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// MaxParts is the greatest number of parts that a user data header can number.
const MaxParts = 255

// ErrTooManyParts is what errors.Is finds in a TooManyPartsError.
var ErrTooManyParts = errors.New("too many parts")

// TooManyPartsError says that a text needs more parts than are allowed.
type TooManyPartsError struct {
	// Parts is the number of parts that the text needs, Max the number that was allowed.
	Parts, Max int
}

// Error names both numbers.
func (e *TooManyPartsError) Error() string {
	return fmt.Sprintf("text needs %d parts, at most %d are allowed", e.Parts, e.Max)
}

// Is reports whether target is ErrTooManyParts.
func (e *TooManyPartsError) Is(target error) bool { return target == ErrTooManyParts }

// Options say how Split cuts.
type Options struct {
	// MaxParts is the greatest number of parts allowed; 0, and anything above MaxParts, means MaxParts.
	MaxParts int
	// Alphabet is what data_coding 0 means at the SMSC: GSM7 (the default), Latin1 or ASCII. A text with a character
	// outside of it goes as UCS2. With UCS2 here every text does.
	Alphabet Encoding
}

// Message is a text cut into the parts that are sent.
type Message struct {
	// Encoding is the Alphabet of the options, or UCS2.
	Encoding Encoding
	// Parts are in the order of the text; there is at least one.
	Parts []Part
	buf   []byte
}

// Part is the text of one short message.
type Part struct {
	// Payload is one septet an octet for GSM7, one character an octet for Latin1 and ASCII and two octets a unit for
	// UCS2, without a user data header. It has no spare capacity: appending to it copies.
	Payload []byte
	// Units is the length that counts against the limits: septets (as the SMSC will pack them) or 16-bit units.
	Units int
}

// Split chooses the encoding of the text and cuts it. An empty text is one empty part. It fails with a
// *TooManyPartsError if the text needs more than opt.MaxParts parts.
func Split(text string, opt Options) (m Message, err error) {
	err = m.Split(text, opt)
	return m, err
}

// Split makes m what Split returns, in the memory that m has: its earlier parts are overwritten.
func (m *Message) Split(text string, opt Options) error {
	count, enc, total := CountIn(opt.Alphabet, text)
	limit := opt.MaxParts
	if limit <= 0 || limit > MaxParts {
		limit = MaxParts
	}
	if count > limit {
		return &TooManyPartsError{Parts: count, Max: limit}
	}
	room, each := enc.Limits()
	if count > 1 {
		room = each
	}
	m.Encoding, m.Parts = enc, slices.Grow(m.Parts[:0], count)
	if enc == UCS2 {
		total *= 2
	}
	buf := slices.Grow(m.buf[:0], total)
	start, units := 0, 0
	for _, r := range text {
		c := cost(enc, r)
		if units+c > room {
			m.Parts = append(m.Parts, Part{Payload: buf[start:len(buf):len(buf)], Units: units})
			start, units = len(buf), 0
		}
		buf = appendRune(buf, enc, r)
		units += c
	}
	m.Parts = append(m.Parts, Part{Payload: buf[start:len(buf):len(buf)], Units: units})
	m.buf = buf
	return nil
}

// Count is CountIn for the GSM alphabet.
func Count(text string) (parts int, enc Encoding, units int) { return CountIn(GSM7, text) }

// CountIn returns the number of parts that Split makes of the text with that alphabet, their encoding and their units
// together. It counts by the same greedy cut and allocates nothing.
func CountIn(alphabet Encoding, text string) (parts int, enc Encoding, units int) {
	enc = alphabet
	units, ok := measure(enc, text)
	if !ok {
		enc = UCS2
		units, _ = measure(enc, text)
	}
	single, room := enc.Limits()
	if units <= single {
		return 1, enc, units
	}
	parts = 1
	used := 0
	for _, r := range text {
		c := cost(enc, r)
		if used+c > room {
			parts++
			used = 0
		}
		used += c
	}
	return parts, enc, units
}

// measure returns the units of the whole text, and false if enc lacks one of its characters.
func measure(enc Encoding, text string) (units int, ok bool) {
	if enc == UCS2 {
		for _, r := range text {
			units++
			if r > 0xffff {
				units++
			}
		}
		return units, true
	}
	for i := 0; i < len(text); {
		// Most of a text is ASCII: one look-up and one addition a character.
		for i < len(text) && text[i] < utf8.RuneSelf {
			units += int(costs[text[i]])
			i++
		}
		if i == len(text) {
			break
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		c := cost(enc, r)
		if c == 0 {
			return 0, false
		}
		units += c
		i += n
	}
	return units, units < impossible
}

func appendRune(buf []byte, enc Encoding, r rune) []byte {
	switch {
	case enc == UCS2 && r > 0xffff:
		r -= 0x10000
		hi, lo := 0xd800+r>>10, 0xdc00+r&0x3ff
		return append(buf, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
	case enc == UCS2:
		return append(buf, byte(r>>8), byte(r))
	case enc == Latin1, enc == ASCII:
		return append(buf, byte(r))
	}
	code := septet(r)
	if code >= extension {
		return append(buf, escape, code&^extension)
	}
	return append(buf, code)
}
