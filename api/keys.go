package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Scope is what a key may be used for.
type Scope string

// The scopes. ScopeAdmin includes all others.
const (
	ScopeAdmin         Scope = "admin"
	ScopeMessagesWrite Scope = "messages:write" // hand in jobs
	ScopeLaunchesWrite Scope = "launches:write" // declare and close launches
	ScopeReportsRead   Scope = "reports:read"   // messages, launches and their reports
	ScopeProfilesRead  Scope = "profiles:read"  // clients and what is known of them
	ScopeProfilesWrite Scope = "profiles:write" // change them, and declare attributes
)

// Scopes lists the scopes.
func Scopes() []Scope {
	return []Scope{
		ScopeAdmin, ScopeMessagesWrite, ScopeLaunchesWrite, ScopeReportsRead, ScopeProfilesRead, ScopeProfilesWrite,
	}
}

// Key is an API key as it is stored: never the key itself.
type Key struct {
	ID        int64
	Name      string
	Scopes    []Scope
	CreatedAt time.Time
	RevokedAt time.Time // zero while the key is good
}

// Allows says that the key may be used for a scope.
func (k *Key) Allows(s Scope) bool {
	return slices.Contains(k.Scopes, ScopeAdmin) || slices.Contains(k.Scopes, s)
}

// KeyHash is the SHA-256 of a key.
type KeyHash [sha256.Size]byte

// HashKey is what is stored of a key.
func HashKey(key string) KeyHash { return sha256.Sum256([]byte(key)) }

const keyPrefix = "hk_"

// NewKey makes a key of 32 random bytes.
func NewKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return keyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// The errors of a KeyStore; errors that wrap delivery.ErrUnavailable are answered by 503.
var (
	ErrNoKey     = errors.New("there is no such key")
	ErrKeyExists = errors.New("there is a key of this name")
)

// KeyStore keeps the keys.
type KeyStore interface {
	// FindKey gives the key that is not revoked, or ErrNoKey.
	FindKey(ctx context.Context, hash KeyHash) (Key, error)
	// CreateKey stores a key, or fails with ErrKeyExists.
	CreateKey(ctx context.Context, name string, hash KeyHash, scopes []Scope, now time.Time) (Key, error)
	// ListKeys lists all keys, the revoked ones too, by name.
	ListKeys(ctx context.Context) ([]Key, error)
	// RevokeKey revokes a key for good, or fails with ErrNoKey; again is harmless.
	RevokeKey(ctx context.Context, name string, now time.Time) error
}

const (
	// keyCacheFor is how long a key that was found is good without another look: so long may a revoked one live on.
	keyCacheFor = 5 * time.Second
	maxCached   = 1000
)

// keyring finds the key of a request. Keys that were found are remembered for a moment; keys that were not are looked up
// each time.
type keyring struct {
	store     KeyStore
	bootstrap *KeyHash // of the administrator's key from the configuration; nil: none

	mu    sync.Mutex
	cache map[KeyHash]cachedKey
}

type cachedKey struct {
	key   Key
	until time.Time
}

func newKeyring(store KeyStore, bootstrap string) *keyring {
	r := &keyring{store: store, cache: map[KeyHash]cachedKey{}}
	if bootstrap != "" {
		h := HashKey(bootstrap)
		r.bootstrap = &h
	}
	return r
}

// find gives the key whose text was sent, or ErrNoKey. Texts are compared by their hashes, so that the time it takes
// tells nothing.
func (r *keyring) find(ctx context.Context, text string, now time.Time) (Key, error) {
	hash := HashKey(text)
	if r.bootstrap != nil && subtle.ConstantTimeCompare(hash[:], r.bootstrap[:]) == 1 {
		return Key{Name: "bootstrap", Scopes: []Scope{ScopeAdmin}}, nil
	}
	if r.store == nil || !strings.HasPrefix(text, keyPrefix) {
		return Key{}, ErrNoKey
	}
	if key, ok := r.cached(hash, now); ok {
		return key, nil
	}
	key, err := r.store.FindKey(ctx, hash)
	if err != nil {
		return Key{}, fmt.Errorf("find the api key: %w", err)
	}
	r.remember(hash, key, now)
	return key, nil
}

func (r *keyring) cached(hash KeyHash, now time.Time) (Key, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.cache[hash]
	return c.key, ok && now.Before(c.until)
}

func (r *keyring) remember(hash KeyHash, key Key, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= maxCached {
		clear(r.cache)
	}
	r.cache[hash] = cachedKey{key: key, until: now.Add(keyCacheFor)}
}

// forget drops what is remembered, after a revocation by this process.
func (r *keyring) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.cache)
}
