package smpp

import (
	"errors"
	"fmt"
	"strings"
)

// The types of number and numbering plans that Herald chooses itself (SMPP 3.4 sections 5.2.5 and 5.2.6).
const (
	tonInternational = 1
	tonNetwork       = 3
	tonAlphanumeric  = 5
	npiUnknown       = 0
	npiISDN          = 1

	maxAddress      = 20
	maxAlphanumeric = 11
	maxShortCode    = 6
)

// address is an address as PDUs carry it. text ends in a NUL.
type address struct {
	ton, npi byte
	text     []byte
}

// newAddress makes a source address. Without ton and npi the form decides: a name, a short code or a phone number.
func newAddress(s string, ton, npi *int) (address, error) {
	a := address{}
	switch {
	case s == "":
		return a, errors.New("is empty")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }):
		return a, fmt.Errorf("%q holds characters outside ASCII", s)
	case !digits(strings.TrimPrefix(s, "+")):
		a.ton, a.npi = tonAlphanumeric, npiUnknown
	case len(s) <= maxShortCode && s[0] != '+':
		a.ton, a.npi = tonNetwork, npiUnknown
	default:
		a.ton, a.npi = tonInternational, npiISDN
		s = strings.TrimPrefix(s, "+")
	}
	if ton != nil {
		a.ton = byte(*ton)
	}
	if npi != nil {
		a.npi = byte(*npi)
	}
	if a.ton == tonAlphanumeric && len(s) > maxAlphanumeric {
		return a, fmt.Errorf("%q is a name of more than %d characters", s, maxAlphanumeric)
	}
	if len(s) > maxAddress {
		return a, fmt.Errorf("%q is longer than %d characters", s, maxAddress)
	}
	a.text = append([]byte(s), 0)
	return a, nil
}

// digits says that s is nothing but decimal digits, at least one.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
