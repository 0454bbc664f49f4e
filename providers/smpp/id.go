package smpp

import (
	"strconv"
	"strings"
)

// IDForm is the way in which an SMSC writes message ids.
type IDForm string

// The forms of ids. A hexadecimal id may consist of decimal digits only, so that the form is a setting and no guess.
const (
	IDString  IDForm = "string"
	IDDecimal IDForm = "dec"
	IDHex     IDForm = "hex"
)

const (
	maxHexDigits = 16 // of a uint64
	blanks       = " \x00\t\r\n"
)

// Canonical is the one form in which an id is stored and compared: without spaces, NULs and leading zeros, lower-case;
// hexadecimal numbers up to 64 bits become decimal. What does not have the form stays a string. It is idempotent only
// for string and dec, because the result of hex is decimal.
func (f IDForm) Canonical(id string) string {
	id = strings.Trim(strings.ToLower(id), blanks)
	if f == IDHex {
		if hex, ok := hexDigits(id); ok {
			if len(hex) > maxHexDigits {
				return hex
			}
			if n, err := strconv.ParseUint(hex, 16, 64); err == nil {
				return strconv.FormatUint(n, 10)
			}
		}
	}
	return stripZeros(id)
}

// CanonicalBytes is Canonical for bytes that the caller goes on using.
func (f IDForm) CanonicalBytes(id []byte) string { return f.Canonical(string(id)) }

// hexDigits strips 0x and leading zeros, and says whether the rest is a hexadecimal number.
func hexDigits(id string) (string, bool) {
	id = strings.TrimPrefix(id, "0x")
	if id == "" {
		return "", false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", false
		}
	}
	return stripZeros(id), true
}

// stripZeros strips leading zeros but leaves one digit.
func stripZeros(id string) string {
	if s := strings.TrimLeft(id, "0"+blanks); s != "" || id == "" {
		return s
	}
	return "0"
}
