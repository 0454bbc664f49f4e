package sim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/herald-gateway/herald/internal/smstext"
)

// IDForm is the way in which a message id is written.
type IDForm string

// Forms of a message id. The empty form is IDHex.
const (
	IDHex      IDForm = "hex"
	IDHexUpper IDForm = "hex_upper"
	IDDecimal  IDForm = "decimal"
	// IDScattered are 16 hexadecimal digits in no order, as of an SMSC that draws its ids.
	IDScattered IDForm = "scattered"
)

// ReceiptMode says which accepted messages get a receipt. The empty mode is ReceiptsAsked.
type ReceiptMode string

// Modes of receipts.
const (
	// ReceiptsAsked sends what registered_delivery asks for.
	ReceiptsAsked ReceiptMode = "asked"
	// ReceiptsAll sends one for every message.
	ReceiptsAll ReceiptMode = "all"
	// ReceiptsNone sends none.
	ReceiptsNone ReceiptMode = "none"
)

// Rates are the shares, from 0 to 1, of messages that do not end as DELIVRD. All parts of a long message end alike.
type Rates struct {
	Undelivered float64 `json:"undelivered" yaml:"undelivered"`
	Expired     float64 `json:"expired"     yaml:"expired"`
	Rejected    float64 `json:"rejected"    yaml:"rejected"`
	// NoReceipt is the share of messages of which nothing is heard after acceptance.
	NoReceipt float64 `json:"no_receipt" yaml:"no_receipt"`
}

// Config describes an SMSC. Its zero value is a fast one that takes any user on a free port of the loopback interface
// and sends the receipts that are asked for at once.
type Config struct {
	// Listen is the address for SMPP; empty is 127.0.0.1:0.
	Listen string `json:"listen" yaml:"listen"`
	// HTTPListen is the address for HTTP; empty means no HTTP.
	HTTPListen string `json:"http_listen" yaml:"http_listen"`
	// TLS, if given, is spoken on Listen.
	TLS *tls.Config `json:"-" yaml:"-"`

	// Users maps system_id to password; empty means that anybody may bind.
	Users map[string]string `json:"users" yaml:"users"`
	// MaxBinds limits the connections bound at once with one system_id; 0 is no limit.
	MaxBinds int `json:"max_binds" yaml:"max_binds"`
	// TPS limits the submit_sm of one connection in one second of the clock, AccountTPS those of one system_id; above,
	// 0x58 is answered. 0 is no limit.
	TPS        int `json:"tps"         yaml:"tps"`
	AccountTPS int `json:"account_tps" yaml:"account_tps"`
	// Window limits the unanswered submit_sm of one connection; above, 0x58 is answered. 0 is no limit.
	Window int `json:"window" yaml:"window"`
	// ResponseDelay is the time until a submit_sm is answered.
	ResponseDelay time.Duration `json:"response_delay" yaml:"response_delay"`

	// Receipts says which messages get receipts.
	Receipts ReceiptMode `json:"receipts" yaml:"receipts"`
	// ReceiptDelay is the time from the answer to the receipt; a random time up to ReceiptSpread is added.
	ReceiptDelay  time.Duration `json:"receipt_delay"  yaml:"receipt_delay"`
	ReceiptSpread time.Duration `json:"receipt_spread" yaml:"receipt_spread"`
	// Rates makes some messages fail.
	Rates Rates `json:"rates" yaml:"rates"`
	// DeliverWindow limits the unacknowledged deliver_sm of one connection; 0 is 1000.
	DeliverWindow int `json:"deliver_window" yaml:"deliver_window"`
	// RetryDelay is the time until a refused deliver_sm is sent again; 0 is 1 s.
	RetryDelay time.Duration `json:"retry_delay" yaml:"retry_delay"`
	// AckTimeout is the time after which an unanswered deliver_sm is sent again; 0 is 30 s.
	AckTimeout time.Duration `json:"ack_timeout" yaml:"ack_timeout"`
	// RefusedIsFinal drops a refused deliver_sm instead of sending it again, as some SMSCs do.
	RefusedIsFinal bool `json:"refused_is_final" yaml:"refused_is_final"`
	// MaxPending bounds the deliver_sm that wait for one system_id; 0 is 500,000. What is above is dropped and counted.
	MaxPending int `json:"max_pending" yaml:"max_pending"`
	// TLVs adds receipted_message_id, message_state and network_error_code to receipts. The id in the TLV has the form
	// of the response.
	TLVs bool `json:"tlvs" yaml:"tlvs"`
	// ResponseID and ReceiptID are the forms of the id in submit_sm_resp and in the text of a receipt.
	ResponseID IDForm `json:"response_id" yaml:"response_id"`
	ReceiptID  IDForm `json:"receipt_id"  yaml:"receipt_id"`
	// ReceiptIDWidth fills the id in the text of a receipt with leading zeros up to so many characters.
	ReceiptIDWidth int `json:"receipt_id_width" yaml:"receipt_id_width"`
	// FirstSequence is the number of the first deliver_sm on a connection; 0 is 1, so that it meets the client's own.
	FirstSequence uint32 `json:"first_sequence" yaml:"first_sequence"`

	// Alphabet is how data_coding 0 is read.
	Alphabet smstext.Encoding `json:"alphabet" yaml:"alphabet"`
	// EnquireLink is the silence after which the server asks; 0 means never.
	EnquireLink time.Duration `json:"enquire_link" yaml:"enquire_link"`
	// IdleTimeout is the silence after which a connection is closed; 0 is 10 min. One that does not bind has 30 s.
	IdleTimeout time.Duration `json:"idle_timeout" yaml:"idle_timeout"`
	// WriteTimeout bounds one write; 0 is 30 s.
	WriteTimeout time.Duration `json:"write_timeout" yaml:"write_timeout"`

	// Record is a file to which every accepted message is appended as a line of JSON (Message), before it is answered.
	Record string `json:"record" yaml:"record"`
	// Keep holds accepted messages in memory for Messages, Counts and Texts.
	Keep bool `json:"keep" yaml:"keep"`
	// KeepLimit bounds the messages kept; 0 is 500,000. What is above is counted only.
	KeepLimit int `json:"keep_limit" yaml:"keep_limit"`
	// NoRules turns off the behaviour by the last digits of the destination.
	NoRules bool `json:"no_rules" yaml:"no_rules"`
	// Faults are set from the start and again by Reset.
	Faults []Fault `json:"faults" yaml:"faults"`
	// Seed makes the random choices repeatable for the same order of messages.
	Seed uint64 `json:"seed" yaml:"seed"`
	// Log gets binds, refusals and lost connections; nil is silent.
	Log *slog.Logger `json:"-" yaml:"-"`
}

// Validate returns all faults of the configuration joined, each with the name of its setting.
func (c *Config) Validate() error {
	var errs []error
	add := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for name, n := range map[string]int{
		"max_binds": c.MaxBinds, "tps": c.TPS, "account_tps": c.AccountTPS, "window": c.Window,
		"deliver_window": c.DeliverWindow, "max_pending": c.MaxPending, "receipt_id_width": c.ReceiptIDWidth,
		"keep_limit": c.KeepLimit,
	} {
		add(n >= 0, "%s: %d is negative", name, n)
	}
	add(c.ReceiptIDWidth <= 64, "receipt_id_width: %d is above 64", c.ReceiptIDWidth)
	for name, d := range map[string]time.Duration{
		"response_delay": c.ResponseDelay, "receipt_delay": c.ReceiptDelay, "receipt_spread": c.ReceiptSpread,
		"retry_delay": c.RetryDelay, "ack_timeout": c.AckTimeout, "enquire_link": c.EnquireLink,
		"idle_timeout": c.IdleTimeout, "write_timeout": c.WriteTimeout,
	} {
		add(d >= 0, "%s: %s is negative", name, d)
	}
	r := c.Rates
	for name, share := range map[string]float64{
		"undelivered": r.Undelivered, "expired": r.Expired, "rejected": r.Rejected, "no_receipt": r.NoReceipt,
	} {
		add(share >= 0 && share <= 1, "rates.%s: %v is not between 0 and 1", name, share)
	}
	add(r.Undelivered+r.Expired+r.Rejected+r.NoReceipt <= 1, "rates: together they are above 1")
	switch c.Receipts {
	case "", ReceiptsAsked, ReceiptsAll, ReceiptsNone:
	default:
		add(false, "receipts: %q is not asked, all or none", c.Receipts)
	}
	for name, form := range map[string]IDForm{"response_id": c.ResponseID, "receipt_id": c.ReceiptID} {
		switch form {
		case "", IDHex, IDHexUpper, IDDecimal, IDScattered:
		default:
			add(false, "%s: %q is not hex, hex_upper, decimal or scattered", name, form)
		}
	}
	add(c.FirstSequence <= maxSequence, "first_sequence: %d is above %d", c.FirstSequence, maxSequence)
	add(c.Alphabet <= smstext.UCS2, "alphabet: %s", c.Alphabet)
	for i, f := range c.Faults {
		if _, err := compile(f); err != nil {
			errs = append(errs, fmt.Errorf("faults[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.RetryDelay, time.Second)
	def(&c.AckTimeout, 30*time.Second)
	def(&c.IdleTimeout, 10*time.Minute)
	def(&c.WriteTimeout, 30*time.Second)
	number := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	number(&c.DeliverWindow, 1000)
	number(&c.MaxPending, 500_000)
	number(&c.KeepLimit, 500_000)
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Receipts == "" {
		c.Receipts = ReceiptsAsked
	}
	if c.FirstSequence == 0 {
		c.FirstSequence = 1
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
