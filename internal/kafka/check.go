package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
)

// SettingError says which setting keeps a broker from taking this client. The broker was there and has refused, so that
// waiting does not help.
type SettingError struct {
	Setting string // its path in the configuration
	Broker  string
	Fault   string // what is wrong with it
	Err     error
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("%s: broker %s: %s: %v", e.Setting, e.Broker, e.Fault, e.Err)
}

// Unwrap gives what the broker or the connection said.
func (e *SettingError) Unwrap() error { return e.Err }

// Refused says that an error of Check is about a setting, and not about brokers that are away.
func Refused(err error) bool {
	var setting *SettingError
	return errors.As(err, &setting)
}

// Check asks every broker once and tells exactly what is wrong, one line each, with the setting to look at: not
// reachable, wrong password, an unknown authority, TLS or a login that is missing or not expected. (The other calls see
// only that no broker is available.)
func (c *Client) Check(ctx context.Context) error {
	var faults []error
	for _, b := range c.cfg.Brokers {
		if err := c.checkBroker(ctx, b); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (c *Client) checkBroker(ctx context.Context, broker string) error {
	question := func() error {
		return c.ask(ctx, broker, c.cfg.TLS, c.mechanism, func(conn *kafkago.Conn) error {
			_, err := conn.Brokers()
			return err
		})
	}
	err := question()
	if err == nil {
		return nil
	}
	if setting, fault := c.told(err); setting != "" {
		return &SettingError{setting, broker, fault, err}
	}
	if setting, fault := c.guess(ctx, broker); setting != "" {
		_ = sleep(ctx, startPause)
		if question() != nil { // else it was starting: such a broker hangs up, too
			return &SettingError{setting, broker, fault, err}
		}
		return nil
	}
	return fmt.Errorf("kafka.brokers: broker %s cannot be reached: %w", broker, err)
}

// ask connects to the broker in this way and puts a question to it.
func (c *Client) ask(
	ctx context.Context, broker string, encryption *tls.Config, login sasl.Mechanism, question func(*kafkago.Conn) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := *c.dialer
	dialer.TLS, dialer.SASLMechanism = encryption, login
	conn, err := dialer.DialContext(ctx, "tcp", broker)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	return question(conn)
}

// startPause is given to a broker that may be starting before a setting is blamed.
const startPause = time.Second

// told finds the setting that the error of a failed connection names.
func (c *Client) told(err error) (setting, fault string) {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	switch {
	case errors.As(err, &authority):
		return "kafka.tls.ca_file", "its certificate comes from an unknown authority"
	case errors.As(err, &host):
		return "kafka.tls.server_name", "its certificate is for another name"
	case errors.As(err, &certificate):
		return "kafka.tls", "its certificate is not valid"
	case errors.As(err, &alert) && aboutCertificate(alert):
		return "kafka.tls.cert_file", "it refuses the certificate, or expects one"
	case errors.Is(err, kafkago.SASLAuthenticationFailed):
		return "kafka.sasl.password", "user or password is wrong"
	case errors.Is(err, kafkago.UnsupportedSASLMechanism):
		return "kafka.sasl.mechanism", "it does not know this one"
	case errors.Is(err, kafkago.IllegalSASLState):
		return "kafka.sasl.mechanism", "it expects no login on this port"
	}
	return "", ""
}

// guess finds the setting behind a connection that just ended, none when the broker is not there. Kafka hangs up on what
// it does not expect, so that it is asked once more, in the way that it might expect.
func (c *Client) guess(ctx context.Context, broker string) (setting, fault string) {
	switch {
	case c.cfg.TLS == nil && c.speaks(ctx, broker, &tls.Config{InsecureSkipVerify: true}): //nolint:gosec // nothing is told
		return "kafka.tls.enabled", "it expects tls on this port"
	case c.cfg.TLS != nil && c.speaks(ctx, broker, nil):
		return "kafka.tls.enabled", "it does not speak tls on this port"
	case c.mechanism == nil && c.speaks(ctx, broker, c.cfg.TLS):
		return "kafka.sasl.mechanism", "it expects a login"
	}
	return "", ""
}

// aboutCertificate says that the alert is about the certificate of the one that it is sent to (RFC 8446 section 6.2):
// bad_certificate, unsupported, revoked, expired, unknown, unknown_ca, access_denied, certificate_required.
func aboutCertificate(a tls.AlertError) bool {
	return slices.Contains([]tls.AlertError{42, 43, 44, 45, 46, 48, 49, 116}, a)
}

// speaks says that the broker answers in this way. Which requests it knows is what it tells before any login.
func (c *Client) speaks(ctx context.Context, broker string, encryption *tls.Config) bool {
	return c.ask(ctx, broker, encryption, nil, func(conn *kafkago.Conn) error {
		_, err := conn.ApiVersions()
		return err
	}) == nil
}
