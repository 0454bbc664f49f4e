// Package signedref makes and reads the tokens in tracked urls and in mail addresses. A token names a message or a
// profile and cannot be guessed or altered: it carries a message authentication code. It says nothing about where a url
// leads; that is looked up, so that a token can never send anybody to a foreign page.
//
// A ref in a url has 22 bytes, written as 30 characters of base64url: version, key, id (8 bytes), number (2), and 10 bytes
// of HMAC-SHA256 over its kind and all of these. The shorter one in Message-ID and return addresses has the message's id
// and 8 bytes of the code, 26 characters of base32, because the local part of an address loses its case on the way.
package signedref

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// ErrInvalid means that the token is none of ours, or was altered.
var ErrInvalid = errors.New("not a valid ref")

// Kind says what a ref is for. One of another kind is not valid in its place.
type Kind byte

// The kinds of refs.
const (
	Click       Kind = 'c' // id of the message, number of the url
	Open        Kind = 'o' // id of the message, number 0
	Unsubscribe Kind = 'u' // id of the profile, number of the topic
	mail        Kind = 'm' // id of the message
)

const (
	version = 1
	idLen   = 8
	headLen = 2 + idLen + 2
	macLen  = 10
	refLen  = headLen + macLen
	mailMAC = 8
	// TextLen is how many characters Append writes.
	TextLen = 30
	// MailLen is how many characters AppendMail writes.
	MailLen = 26
	// MinKey is the shortest secret that is taken, in bytes.
	MinKey = 16
)

var (
	text      = base64.RawURLEncoding.Strict()                                                       //nolint:gochecknoglobals // an encoding
	mailbox   = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding) //nolint:gochecknoglobals // an encoding
	scratches = sync.Pool{New: func() any { return new(scratch) }}                                   //nolint:gochecknoglobals // a pool of buffers
)

type scratch struct {
	raw [refLen]byte
	sum [sha256.Size]byte
}

// Keys signs refs with the current key and reads those of all keys. It is safe for concurrent use.
type Keys struct {
	current byte
	macs    map[byte]*sync.Pool
}

// NewKeys takes secrets by their number. Refs live as long as the messages that carry them, so that an old secret stays
// beside the new one for that long.
func NewKeys(current byte, secrets map[byte][]byte) (*Keys, error) {
	k := &Keys{current: current, macs: make(map[byte]*sync.Pool, len(secrets))}
	for id, secret := range secrets {
		if len(secret) < MinKey {
			return nil, fmt.Errorf("signing key %d: has %d bytes, needs at least %d", id, len(secret), MinKey)
		}
		own := append([]byte(nil), secret...)
		k.macs[id] = &sync.Pool{New: func() any { return hmac.New(sha256.New, own) }}
	}
	if k.macs[current] == nil {
		return nil, fmt.Errorf("signing key %d is the current one and has no secret", current)
	}
	return k, nil
}

// Append appends a ref to dst: TextLen characters. It allocates nothing when dst has room.
func (k *Keys) Append(dst []byte, kind Kind, id int64, number uint16) []byte {
	s := scratches.Get().(*scratch) //nolint:forcetypeassert // the pool holds nothing else
	defer scratches.Put(s)
	b := s.raw[:]
	b[0], b[1] = version, k.current
	binary.BigEndian.PutUint64(b[2:], uint64(id)) //nolint:gosec // bits
	binary.BigEndian.PutUint16(b[2+idLen:], number)
	copy(b[headLen:], k.sum(s, k.current, kind, b[:headLen])[:macLen])
	return text.AppendEncode(dst, b)
}

// Parse reads a ref of the kind. Whatever is wrong with it, the error is ErrInvalid.
func (k *Keys) Parse(kind Kind, ref string) (id int64, number uint16, err error) {
	s := scratches.Get().(*scratch) //nolint:forcetypeassert // the pool holds nothing else
	defer scratches.Put(s)
	if len(ref) != TextLen || strings.ContainsAny(ref, "\r\n") { // the decoder would skip line ends
		return 0, 0, ErrInvalid
	}
	b, err := text.AppendDecode(s.raw[:0], []byte(ref))
	if err != nil || len(b) != refLen || b[0] != version || k.macs[b[1]] == nil {
		return 0, 0, ErrInvalid
	}
	if subtle.ConstantTimeCompare(b[headLen:], k.sum(s, b[1], kind, b[:headLen])[:macLen]) != 1 {
		return 0, 0, ErrInvalid
	}
	return int64(binary.BigEndian.Uint64(b[2:])), binary.BigEndian.Uint16(b[2+idLen:]), nil //nolint:gosec // bits
}

// AppendMail appends the token of a message as it stands in addresses: MailLen characters, lower-case.
func (k *Keys) AppendMail(dst []byte, id int64) []byte {
	s := scratches.Get().(*scratch) //nolint:forcetypeassert // the pool holds nothing else
	defer scratches.Put(s)
	b := s.raw[:idLen+mailMAC]
	binary.BigEndian.PutUint64(b, uint64(id)) //nolint:gosec // bits
	copy(b[idLen:], k.sum(s, k.current, mail, b[:idLen])[:mailMAC])
	return mailbox.AppendEncode(dst, b)
}

// ParseMail reads the token of an address in any case. It has no room for the number of a key, so that all are tried.
func (k *Keys) ParseMail(token string) (id int64, err error) {
	s := scratches.Get().(*scratch) //nolint:forcetypeassert // the pool holds nothing else
	defer scratches.Put(s)
	token = strings.ToLower(token)
	if len(token) != MailLen || strings.ContainsAny(token, "\r\n") {
		return 0, ErrInvalid
	}
	b, err := mailbox.AppendDecode(s.raw[:0], []byte(token))
	if err != nil || len(b) != idLen+mailMAC || mailbox.EncodeToString(b) != token { // its last character has spare bits
		return 0, ErrInvalid
	}
	for key := range k.macs {
		if subtle.ConstantTimeCompare(b[idLen:], k.sum(s, key, mail, b[:idLen])[:mailMAC]) == 1 {
			return int64(binary.BigEndian.Uint64(b)), nil //nolint:gosec // bits
		}
	}
	return 0, ErrInvalid
}

// sum is the code of the kind and the bytes.
func (k *Keys) sum(s *scratch, key byte, kind Kind, b []byte) []byte {
	mac := k.macs[key].Get().(hash.Hash) //nolint:forcetypeassert // the pool holds nothing else
	defer k.macs[key].Put(mac)
	mac.Reset()
	s.sum[0] = byte(kind)
	_, _ = mac.Write(s.sum[:1]) // a hash takes everything
	_, _ = mac.Write(b)
	return mac.Sum(s.sum[:0])
}
