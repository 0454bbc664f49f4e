package smstext

import "fmt"

// Encoding tells how the octets of a part are to be read.
type Encoding uint8

const (
	// GSM7 is the GSM 7-bit default alphabet, unpacked: one septet an octet. The SMSC packs.
	GSM7 Encoding = iota
	// Latin1 is ISO 8859-1, for an SMSC that reads data_coding 0 so.
	Latin1
	// ASCII is for an SMSC that reads data_coding 0 so.
	ASCII
	// UCS2 is UTF-16 with the high byte first.
	UCS2
)

const (
	escape = 0x1b
	// extension marks, in the table of septets, a character that needs the escape before its code.
	extension = 0x80
	// absent marks a character that the alphabet does not have.
	absent = 0xff
	// impossible is the cost of an ASCII character that the alphabet lacks: more than any text costs, so that the sum
	// tells.
	impossible = 1 << 40
)

// basic lists the characters of the GSM 7-bit default alphabet in the order of their codes, the escape included.
const basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ" +
	" !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§" +
	"¿abcdefghijklmnopqrstuvwxyzäöñüà"

// septets holds, for every rune below 0x100, its code in the GSM alphabet, with the extension bit, or absent.
var septets = newSeptets() //nolint:gochecknoglobals // a table that never changes

// costs holds the septets of every ASCII character, or impossible.
var costs = newCosts() //nolint:gochecknoglobals // a table that never changes

// runes is the GSM alphabet by code.
var runes = newRunes() //nolint:gochecknoglobals // a table that never changes

func newRunes() (table [128]rune) {
	for i, r := range []rune(basic) {
		table[i] = r
	}
	return table
}

func newSeptets() (table [256]byte) {
	for i := range table {
		table[i] = absent
	}
	for code, r := range newRunes() {
		if r < 0x100 && code != escape {
			table[r] = byte(code)
		}
	}
	for code := range byte(128) {
		if r := extended(code); r != 0 && r < 0x100 {
			table[r] = extension | code
		}
	}
	return table
}

func newCosts() (table [128]uint64) {
	for i := range table {
		switch code := newSeptets()[i]; {
		case code == absent:
			table[i] = impossible
		case code >= extension:
			table[i] = 2
		default:
			table[i] = 1
		}
	}
	return table
}

// extended returns the character that the code means after an escape, or 0.
func extended(code byte) rune {
	switch code {
	case 0x0a:
		return '\f'
	case 0x14:
		return '^'
	case 0x28:
		return '{'
	case 0x29:
		return '}'
	case 0x2f:
		return '\\'
	case 0x3c:
		return '['
	case 0x3d:
		return '~'
	case 0x3e:
		return ']'
	case 0x40:
		return '|'
	case 0x65:
		return '€'
	default:
		return 0
	}
}

// septet returns the GSM code of r with the extension bit, or absent.
func septet(r rune) byte {
	if r < 0x100 {
		return septets[byte(r)]
	}
	switch r {
	case 'Δ':
		return 0x10
	case 'Φ':
		return 0x12
	case 'Γ':
		return 0x13
	case 'Λ':
		return 0x14
	case 'Ω':
		return 0x15
	case 'Π':
		return 0x16
	case 'Ψ':
		return 0x17
	case 'Σ':
		return 0x18
	case 'Θ':
		return 0x19
	case 'Ξ':
		return 0x1a
	case '€':
		return extension | 0x65
	default:
		return absent
	}
}

// cost returns the units that r takes in enc, and 0 if enc does not have it. Latin-1 and ASCII are transcoded to GSM
// 7-bit by the SMSC: so a character costs its septets there, and one that the GSM alphabet lacks is not in them.
func cost(enc Encoding, r rune) int {
	if enc == UCS2 {
		if r > 0xffff {
			return 2
		}
		return 1
	}
	code := septet(r)
	switch {
	case code == absent, enc == ASCII && r >= 0x80, enc == Latin1 && r >= 0x100:
		return 0
	case code >= extension:
		return 2
	default:
		return 1
	}
}

// Limits returns how many units a lone part holds and how many each of several parts holds.
func (e Encoding) Limits() (single, part int) {
	if e == UCS2 {
		return 70, 67
	}
	return 160, 153
}

// DataCoding returns the SMPP data_coding of the encoding: 8 for UCS2 and 0, the default of the SMSC, for all others.
func (e Encoding) DataCoding() byte {
	if e == UCS2 {
		return 8
	}
	return 0
}

// String returns the name that a configuration uses: gsm7, latin1, ascii or ucs2.
func (e Encoding) String() string {
	switch e {
	case GSM7:
		return "gsm7"
	case Latin1:
		return "latin1"
	case ASCII:
		return "ascii"
	case UCS2:
		return "ucs2"
	default:
		return fmt.Sprintf("encoding(%d)", uint8(e))
	}
}

// MarshalText returns the same as String.
func (e Encoding) MarshalText() ([]byte, error) {
	if e > UCS2 {
		return nil, fmt.Errorf("unknown encoding %d", uint8(e))
	}
	return []byte(e.String()), nil
}

// UnmarshalText reads what String prints; an empty text is GSM7.
func (e *Encoding) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "gsm7":
		*e = GSM7
	case "latin1":
		*e = Latin1
	case "ascii":
		*e = ASCII
	case "ucs2":
		*e = UCS2
	default:
		return fmt.Errorf("unknown encoding %q: want gsm7, latin1, ascii or ucs2", text)
	}
	return nil
}
