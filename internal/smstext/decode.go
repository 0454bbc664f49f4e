package smstext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode returns the text of a payload without its user data header. It is strict, so that a wrong cut is found: it
// fails on an octet outside the alphabet, an escape at the end, an odd number of octets of UCS-2 and half of a
// surrogate pair. An escape before a code that means nothing there gives the character of the basic alphabet, and a
// double escape a space, as 3GPP TS 23.038 asks of a handset.
func Decode(enc Encoding, payload []byte) (string, error) {
	switch enc {
	case GSM7:
		return decodeGSM7(payload)
	case UCS2:
		return decodeUCS2(payload)
	case Latin1, ASCII:
	default:
		return "", fmt.Errorf("decode: unknown encoding %d", uint8(enc))
	}
	var b strings.Builder
	b.Grow(len(payload))
	for i, c := range payload {
		if enc == ASCII && c >= utf8.RuneSelf {
			return "", fmt.Errorf("decode ascii: octet %#02x at %d", c, i)
		}
		b.WriteRune(rune(c))
	}
	return b.String(), nil
}

func decodeGSM7(payload []byte) (string, error) {
	var b strings.Builder
	b.Grow(len(payload))
	for i := 0; i < len(payload); i++ {
		c := payload[i]
		escaped := c == escape
		if escaped {
			i++
			if i == len(payload) {
				return "", errors.New("decode gsm7: an escape ends the text")
			}
			c = payload[i]
		}
		if c >= extension {
			return "", fmt.Errorf("decode gsm7: octet %#02x at %d", c, i)
		}
		r := runes[c]
		if escaped {
			if x := extended(c); x != 0 {
				r = x
			} else if c == escape {
				r = ' '
			}
		}
		b.WriteRune(r)
	}
	return b.String(), nil
}

func decodeUCS2(payload []byte) (string, error) {
	if len(payload)%2 != 0 {
		return "", fmt.Errorf("decode ucs2: odd number of octets %d", len(payload))
	}
	var b strings.Builder
	b.Grow(len(payload))
	for i := 0; i < len(payload); i += 2 {
		r := rune(binary.BigEndian.Uint16(payload[i:]))
		if utf16.IsSurrogate(r) {
			lo := rune(utf8.RuneError)
			if i+4 <= len(payload) {
				lo = rune(binary.BigEndian.Uint16(payload[i+2:]))
			}
			r = utf16.DecodeRune(r, lo)
			if r == utf8.RuneError {
				return "", fmt.Errorf("decode ucs2: half of a surrogate pair at %d", i)
			}
			i += 2
		}
		b.WriteRune(r)
	}
	return b.String(), nil
}
