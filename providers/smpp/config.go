package smpp

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/secret"
	"github.com/herald-gateway/herald/internal/smstext"
)

// Config is the settings of one account.
type Config struct {
	Addr string `yaml:"addr" doc:"host:port of the SMSC"`
	TLS  bool   `yaml:"tls" doc:"speak TLS; the certificate must be valid for the host of addr"`
	CA   string `yaml:"ca_file" doc:"PEM file of the authorities that are trusted; empty: the system's"`

	SystemID     string        `yaml:"system_id" doc:"name of the account, at most 15 characters"`
	Password     secret.String `yaml:"password" doc:"at most 8 characters in SMPP 3.4"`
	PasswordFile string        `yaml:"password_file" doc:"file that holds the password"`
	SystemType   string        `yaml:"system_type" doc:"as the operator says, mostly empty"`

	Bind   string `yaml:"bind" doc:"transceiver, or tx+rx: a pair of connections for each bind"`
	Binds  int    `yaml:"binds" doc:"connections of this process; what the account allows, divided by the processes"`
	Window int    `yaml:"window" doc:"unanswered messages of one connection"`

	Source  string   `yaml:"source" doc:"the sender that recipients see"`
	TON     *int     `yaml:"ton" doc:"type of number of the source; empty: by its form"`
	NPI     *int     `yaml:"npi" doc:"numbering plan of the source; empty: by its form"`
	DestTON int      `yaml:"dest_ton" doc:"type of number of recipients"`
	DestNPI int      `yaml:"dest_npi" doc:"numbering plan of recipients"`
	Senders []Sender `yaml:"senders" doc:"further senders that a job may ask for"`

	BindTimeout  time.Duration `yaml:"bind_timeout" doc:"dial, TLS and bind together"`
	RespTimeout  time.Duration `yaml:"resp_timeout" doc:"after it a message without an answer is in doubt"`
	WriteTimeout time.Duration `yaml:"write_timeout" doc:"after it a connection whose peer does not read is cut"`
	EnquireLink  time.Duration `yaml:"enquire_link" doc:"silence after which the peer is asked whether it lives"`
	MaxPDU       int           `yaml:"max_pdu" doc:"longest PDU taken, in octets"`

	Long        string           `yaml:"long" doc:"how a long text goes: udh, sar or payload (one PDU and id)"`
	Alphabet    smstext.Encoding `yaml:"alphabet" doc:"what data_coding 0 means at this SMSC: gsm7, latin1 or ascii"`
	MaxParts    int              `yaml:"max_parts" doc:"longer texts are refused"`
	ServiceType string           `yaml:"service_type" doc:"as the operator says, mostly empty"`

	Validity    string        `yaml:"validity" doc:"form of validity_period: relative, absolute or none"`
	ValidityMin time.Duration `yaml:"validity_min" doc:"shortest time that the SMSC is given; 0: no limit"`
	ValidityMax time.Duration `yaml:"validity_max" doc:"longest time that the SMSC is given; 0: no limit"`

	Receipts        string `yaml:"receipts" doc:"final, failure or none"`
	RespID          IDForm `yaml:"resp_id" doc:"form of the ids in answers: string, dec or hex"`
	ReceiptID       IDForm `yaml:"receipt_id" doc:"form of the ids in receipts: string, dec or hex"`
	ReceiptDetect   string `yaml:"receipt_detect" doc:"esm: by esm_class; text: also by the look of the text"`
	ReceiptZone     string `yaml:"receipt_zone" doc:"time zone of the dates in receipts, such as Europe/Moscow"`
	ReceiptOverload string `yaml:"receipt_overload" doc:"nack: refuse for now; stall: stop reading (answers wait too)"`

	Status map[string]string `yaml:"status" doc:"command_status such as 0x40b to an outcome such as fatal"`
	Errors map[string]string `yaml:"errors" doc:"err of receipts to a reason such as address_gone"`
}

// Sender is a source address that jobs may ask for by name.
type Sender struct {
	Name string `yaml:"name" doc:"as in the job and on the phone"`
	TON  *int   `yaml:"ton" doc:"empty: by the form of the name"`
	NPI  *int   `yaml:"npi" doc:"empty: by the form of the name"`
}

// The values of settings that choose between ways.
const (
	BindTransceiver = "transceiver"
	BindPair        = "tx+rx"

	LongUDH     = "udh"
	LongSAR     = "sar"
	LongPayload = "payload"

	ValidityRelative = "relative"
	ValidityAbsolute = "absolute"
	ValidityNone     = "none"

	ReceiptsFinal   = "final"
	ReceiptsFailure = "failure"
	ReceiptsNone    = "none"

	DetectESM  = "esm"
	DetectText = "text"

	OverloadNack  = "nack"
	OverloadStall = "stall"
)

// DefaultConfig is what holds for everything that an account does not set.
func DefaultConfig() Config {
	return Config{
		Bind: BindTransceiver, Binds: 2, Window: 100, DestTON: 1, DestNPI: 1,
		BindTimeout: 10 * time.Second, RespTimeout: 30 * time.Second, WriteTimeout: 10 * time.Second,
		EnquireLink: 30 * time.Second, MaxPDU: 64 << 10,
		Long: LongUDH, MaxParts: 10, Validity: ValidityRelative,
		Receipts: ReceiptsFinal, RespID: IDString, ReceiptID: IDString,
		ReceiptDetect: DetectESM, ReceiptZone: "UTC", ReceiptOverload: OverloadNack,
	}
}

// faults collects what is wrong with settings.
type faults []error

func (f *faults) check(ok bool, setting, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(setting+": "+format, args...))
	}
}

func (f *faults) oneOf(setting, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	f.check(false, setting, "%q is not %s", value, strings.Join(allowed, ", "))
}

// Validate returns everything that is wrong with the settings, joined, each fault with the setting's name.
func (c *Config) Validate() error {
	var f faults
	host, port, err := net.SplitHostPort(c.Addr)
	f.check(err == nil && host != "" && port != "", "addr", "%q is no host:port", c.Addr)
	f.check(c.CA == "" || c.TLS, "ca_file", "is of no use without tls")
	f.check(c.SystemID != "", "system_id", "is required")
	f.check(len(c.SystemID) <= 15, "system_id", "is longer than 15 characters")
	f.check(!strings.Contains(c.SystemID+c.SystemType+c.ServiceType+c.Password.Reveal(), "\x00"), "system_id",
		"neither it nor password, system_type and service_type may hold a NUL")
	f.check(len(c.SystemType) <= 12, "system_type", "is longer than 12 characters")
	f.check(len(c.ServiceType) <= 5, "service_type", "is longer than 5 characters")
	f.oneOf("bind", c.Bind, BindTransceiver, BindPair)
	f.check(c.Binds >= 1 && c.Binds <= 64, "binds", "%d is not between 1 and 64", c.Binds)
	f.check(c.Window >= 1 && c.Window <= 10_000, "window", "%d is not between 1 and 10000", c.Window)
	c.checkSenders(&f)
	for _, d := range []struct {
		name string
		time.Duration
	}{
		{"bind_timeout", c.BindTimeout},
		{"resp_timeout", c.RespTimeout},
		{"write_timeout", c.WriteTimeout},
		{"enquire_link", c.EnquireLink},
	} {
		f.check(d.Duration >= 100*time.Millisecond && d.Duration <= time.Hour, d.name, "%s is not between 100ms and 1h",
			d.Duration)
	}
	f.check(c.MaxPDU >= 1<<10 && c.MaxPDU <= 1<<20, "max_pdu", "%d is not between 1024 and 1048576", c.MaxPDU)
	f.oneOf("long", c.Long, LongUDH, LongSAR, LongPayload)
	f.check(c.Alphabet != smstext.UCS2, "alphabet", "ucs2 is not gsm7, latin1, ascii")
	f.check(c.MaxParts >= 1 && c.MaxParts <= smstext.MaxParts, "max_parts", "%d is not between 1 and %d", c.MaxParts,
		smstext.MaxParts)
	f.oneOf("validity", c.Validity, ValidityRelative, ValidityAbsolute, ValidityNone)
	f.check(c.ValidityMin >= 0, "validity_min", "is negative")
	f.check(c.ValidityMax >= 0, "validity_max", "is negative")
	f.check(c.ValidityMax == 0 || c.ValidityMin <= c.ValidityMax, "validity_min", "is above validity_max")
	c.checkReceipts(&f)
	return errors.Join(f...)
}

func (c *Config) checkSenders(f *faults) {
	octet := func(setting string, n *int) {
		f.check(n == nil || *n >= 0 && *n <= 255, setting, "is not between 0 and 255")
	}
	if c.Source != "" {
		_, err := newAddress(c.Source, c.TON, c.NPI)
		f.check(err == nil, "source", "%v", err)
	}
	for i, s := range c.Senders {
		_, err := newAddress(s.Name, s.TON, s.NPI)
		setting := fmt.Sprintf("senders[%d]", i)
		f.check(err == nil, setting, "%v", err)
		octet(setting+".ton", s.TON)
		octet(setting+".npi", s.NPI)
	}
	octet("ton", c.TON)
	octet("npi", c.NPI)
	octet("dest_ton", &c.DestTON)
	octet("dest_npi", &c.DestNPI)
}

func (c *Config) checkReceipts(f *faults) {
	f.oneOf("receipts", c.Receipts, ReceiptsFinal, ReceiptsFailure, ReceiptsNone)
	f.oneOf("resp_id", string(c.RespID), string(IDString), string(IDDecimal), string(IDHex))
	f.oneOf("receipt_id", string(c.ReceiptID), string(IDString), string(IDDecimal), string(IDHex))
	f.oneOf("receipt_detect", c.ReceiptDetect, DetectESM, DetectText)
	f.oneOf("receipt_overload", c.ReceiptOverload, OverloadNack, OverloadStall)
	_, err := time.LoadLocation(c.ReceiptZone)
	f.check(err == nil, "receipt_zone", "%q is not known", c.ReceiptZone)
	if _, err := newStatusMap(c.Status); err != nil {
		*f = append(*f, err)
	}
	if _, err := newReasonMap(c.Errors); err != nil {
		*f = append(*f, err)
	}
}

// newStatusMap reads the setting status.
func newStatusMap(m map[string]string) (map[uint32]delivery.Outcome, error) {
	out := make(map[uint32]delivery.Outcome, len(m))
	var f faults
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name := m[key]
		status, err := strconv.ParseUint(key, 0, 32)
		f.check(err == nil, "status["+strconv.Quote(key)+"]", "is no number such as 0x40b")
		var outcome delivery.Outcome
		for _, o := range []delivery.Outcome{
			delivery.OutcomeRecipient, delivery.OutcomeContent, delivery.OutcomeThrottled, delivery.OutcomeTemporary,
			delivery.OutcomeFatal,
		} {
			if o.String() == name {
				outcome = o
			}
		}
		f.check(outcome != 0, "status["+strconv.Quote(key)+"]",
			"%q is not recipient, content, throttled, temporary or fatal", name)
		out[uint32(status)] = outcome
	}
	return out, errors.Join(f...)
}

// newReasonMap reads the setting errors.
func newReasonMap(m map[string]string) (map[string]delivery.Reason, error) {
	out := make(map[string]delivery.Reason, len(m))
	var f faults
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name := m[key]
		reason, err := delivery.ParseReason(name)
		f.check(err == nil && reason != delivery.ReasonNone, "errors["+strconv.Quote(key)+"]", "%q is no reason", name)
		out[strings.ToLower(key)] = reason
	}
	return out, errors.Join(f...)
}
