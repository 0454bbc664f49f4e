package smpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-gateway/herald/internal/backoff"
)

const (
	rebindFirst   = time.Second
	rebindMost    = 30 * time.Second
	rebindHealthy = time.Minute // a connection that lived so long starts the pauses anew
	rebindBusy    = 30 * time.Second
	rebindLocked  = 5 * time.Minute // retrying a wrong password fast gets accounts locked
)

// bindError is a refusal of a bind.
type bindError struct{ status uint32 }

func (e *bindError) Error() string {
	return "refused: " + statusText(e.status) + " (" + statusCode(e.status) + ")"
}

// credentials says that the account's own settings are wrong.
func (e *bindError) credentials() bool {
	return e.status == statusPassword || e.status == statusSystemID || e.status == statusSystemType
}

// link keeps one connection bound.
type link struct {
	client *client
	name   string
	number int
	role   role

	session atomic.Pointer[session]
	left    chan struct{} // closed by close
	once    sync.Once
	pace    backoff.Backoff

	mu    sync.Mutex
	state string
	last  string // text of the last error
	since time.Time
}

func newLink(c *client, number int, r role) *link {
	return &link{
		client: c, number: number, role: r, name: fmt.Sprintf("%s %d", r, number), left: make(chan struct{}),
		pace: backoff.Backoff{First: rebindFirst, Most: rebindMost}, state: "connecting", since: time.Now(),
	}
}

// newDialer dials addr, with TLS when it is set.
func newDialer(cfg *Config) (dialer, error) {
	plain := &net.Dialer{KeepAlive: 30 * time.Second}
	if !cfg.TLS {
		return func(ctx context.Context) (net.Conn, error) { return plain.DialContext(ctx, "tcp", cfg.Addr) }, nil
	}
	host, _, _ := net.SplitHostPort(cfg.Addr)
	secure := &tls.Dialer{NetDialer: plain, Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}
	if cfg.CA != "" {
		pem, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		secure.Config.RootCAs = x509.NewCertPool()
		if !secure.Config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate", cfg.CA)
		}
	}
	return func(ctx context.Context) (net.Conn, error) { return secure.DialContext(ctx, "tcp", cfg.Addr) }, nil
}

// run connects, binds and serves, again and again, until ctx ends or the link is closed.
func (l *link) run(ctx context.Context) {
	for {
		began := time.Now()
		err := l.serve(ctx)
		if l.over(ctx) {
			l.say("closed", nil)
			return
		}
		if time.Since(began) >= rebindHealthy {
			l.pace.Reset()
		}
		pause := l.pause(err)
		l.client.metrics.reconnects.Inc()
		l.report(ctx, err, pause)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-l.left:
		}
		t.Stop()
		if l.over(ctx) {
			l.say("closed", nil)
			return
		}
	}
}

func (l *link) over(ctx context.Context) bool {
	select {
	case <-l.left:
		return true
	default:
		return ctx.Err() != nil
	}
}

// pause is how long to wait before the next bind.
func (l *link) pause(err error) time.Duration {
	if refused, ok := errors.AsType[*bindError](err); ok {
		switch {
		case refused.credentials():
			return backoff.Jitter(rebindLocked)
		case refused.status == statusAlreadyBound || refused.status == statusBindFailed:
			return backoff.Jitter(rebindBusy) // the old connection may not have expired at the SMSC yet
		}
	}
	return l.pace.Next()
}

func (l *link) report(ctx context.Context, err error, pause time.Duration) {
	var refused *bindError
	if errors.As(err, &refused) && refused.credentials() {
		l.say("credentials refused", err)
		l.client.log.ErrorContext(ctx, "the SMSC refuses system_id, password or system_type: check the settings",
			"bind", l.name, "err", err, "next_in", pause.Round(time.Second).String())
		return
	}
	l.say("waiting", err)
	l.client.log.WarnContext(ctx, "bind lost", "bind", l.name, "err", err,
		"next_in", pause.Round(time.Millisecond).String())
}

// serve is one connection, from dial to its end.
func (l *link) serve(ctx context.Context) error {
	l.say("connecting", nil)
	conn, frames, err := l.bind(ctx)
	if err != nil {
		return fmt.Errorf("bind %s: %w", l.client.cfg.Addr, err)
	}
	c := l.client
	s := newSession(&c.cfg, l.name, l.role, conn, frames, c, c.metrics)
	l.say("bound", nil)
	c.log.InfoContext(ctx, "bound", "bind", l.name)
	l.session.Store(s)
	if l.role.sends() {
		c.bound(1)
	}
	unwatch := context.AfterFunc(ctx, func() { s.fail(errClosed) })
	if l.over(ctx) { // close came too early to see the session
		s.fail(errClosed)
	}
	err = s.run(func() {
		l.session.Store(nil)
		if l.role.sends() {
			c.bound(-1)
		}
	})
	unwatch()
	return err
}

// bind dials and binds, all within bind_timeout.
func (l *link) bind(ctx context.Context) (net.Conn, *framer, error) {
	c := l.client
	ctx, cancel := context.WithTimeout(ctx, c.cfg.BindTimeout)
	defer cancel()
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-l.left:
			cancel()
		case <-stopped:
		}
	}()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, plainError(ctx, err)
	}
	unwatch := context.AfterFunc(ctx, func() { _ = conn.Close() })
	frames, err := handshake(conn, c.enc.encodeBind(l.role), c.cfg.MaxPDU)
	if !unwatch() || err != nil {
		_ = conn.Close()
		return nil, nil, plainError(ctx, err)
	}
	return conn, frames, nil
}

// plainError says in words that the time was over, whatever the connection made of that.
func plainError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer within bind_timeout")
	}
	if err == nil {
		return ctx.Err()
	}
	return err
}

// handshake sends the bind and reads until its answer. What follows the answer stays in the framer.
func handshake(conn net.Conn, bind []byte, maxPDU int) (*framer, error) {
	if _, err := conn.Write(bind); err != nil {
		return nil, err
	}
	want := readHeader(bind).command | cmdResponse
	frames := newFramer(maxPDU)
	for {
		h, _, ok, err := frames.next()
		switch {
		case err != nil:
			return nil, err
		case !ok:
			n, err := conn.Read(frames.space())
			if frames.filled(n); err != nil && n == 0 {
				return nil, err
			}
		case h.command == want || h.command == cmdGenericNack:
			if h.status != statusOK || h.command == cmdGenericNack {
				return nil, &bindError{h.status}
			}
			return frames, nil
		case h.command == cmdEnquireLink:
			if _, err := conn.Write(appendBare(nil, cmdEnquireLink|cmdResponse, 0, h.sequence)); err != nil {
				return nil, err
			}
		}
	}
}

// close ends the link for good: it unbinds, waits for the answer until then, and closes the connection.
func (l *link) close(until time.Time) {
	l.once.Do(func() { close(l.left) })
	if s := l.session.Load(); s != nil {
		s.unbind(until)
	}
}

func (l *link) say(state string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != state {
		l.state, l.since = state, time.Now()
	}
	if err != nil {
		l.last = err.Error()
	}
}

// Status is the state of an account, for operators. It holds no secrets.
type Status struct {
	Provider   string       `json:"provider"`
	BindsUp    int          `json:"binds_up"`
	Binds      []BindStatus `json:"binds"`
	WindowSize int          `json:"window_size"`
	WindowUsed int          `json:"window_used"`
	// LastError is the newest error of a bind, empty when there was none.
	LastError string `json:"last_error,omitempty"`
}

// BindStatus is the state of one connection.
type BindStatus struct {
	Name      string    `json:"name"`
	State     string    `json:"state"` // connecting, bound, waiting, credentials refused or closed
	Since     time.Time `json:"since"`
	LastError string    `json:"last_error,omitempty"`
	InFlight  int       `json:"in_flight"`
}

// Status says how the account does. An account that New made has this method; it is no part of the provider contract.
func (c *client) Status() Status {
	st := Status{
		Provider: c.name, BindsUp: int(c.bindsUp.Load()), WindowSize: c.window.Size(), WindowUsed: c.window.Used(),
	}
	var newest time.Time
	for _, l := range c.links {
		b := l.status()
		st.Binds = append(st.Binds, b)
		if b.LastError != "" && !b.Since.Before(newest) {
			st.LastError, newest = strings.TrimSpace(b.Name+": "+b.LastError), b.Since
		}
	}
	return st
}

func (l *link) status() BindStatus {
	l.mu.Lock()
	b := BindStatus{Name: l.name, State: l.state, Since: l.since, LastError: l.last}
	l.mu.Unlock()
	if s := l.session.Load(); s != nil {
		s.mu.Lock()
		b.InFlight = s.flying
		s.mu.Unlock()
	}
	return b
}
