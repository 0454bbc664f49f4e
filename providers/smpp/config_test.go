package smpp_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/secret"
	"github.com/herald-gateway/herald/internal/smstext"
	"github.com/herald-gateway/herald/providers/smpp"
)

func TestConfig_YAML(t *testing.T) {
	t.Parallel()
	cfg := smpp.DefaultConfig()
	require.NoError(t, yaml.UnmarshalWithOptions([]byte(`
addr: smsc.example:2775
system_id: herald
password: `+password+`
bind: tx+rx
window: 10
source: SHOP
ton: 5
npi: 0
senders: [{name: "1234", ton: 3}]
resp_timeout: 5s
alphabet: latin1
receipt_id: hex
status: {"0x40b": fatal}
errors: {"21b": address_gone}
`), &cfg, yaml.Strict()))
	require.NoError(t, cfg.Validate())
	require.Equal(t, 2, cfg.Binds, "the default stays")
	require.Equal(t, 5*time.Second, cfg.RespTimeout)
	require.Equal(t, smstext.Latin1, cfg.Alphabet)
	require.Equal(t, 3, *cfg.Senders[0].TON)
	require.Equal(t, password, cfg.Password.Reveal())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, cfg), password)
	}
}

func TestConfig_ValidateNamesAllFaults(t *testing.T) {
	t.Parallel()
	require.NoError(t, func() error {
		c := smpp.DefaultConfig()
		c.Addr, c.SystemID = "smsc:2775", "herald"
		return c.Validate()
	}())
	n := 300
	err := (&smpp.Config{
		Addr: "smsc", CA: "x", SystemID: "sixteen letters!", SystemType: "thirteen char", ServiceType: "sixsix", Bind: "both",
		Window: -1, Source: "a name of more than twenty characters", TON: &n, NPI: &n, DestTON: -1, DestNPI: 256,
		Senders: []smpp.Sender{{Name: "", TON: &n}}, Long: "no", Alphabet: smstext.UCS2, Validity: "no", ValidityMin: time.Hour,
		ValidityMax: time.Minute, Receipts: "no", RespID: "no", ReceiptID: "no", ReceiptDetect: "no", ReceiptZone: "Mars",
		ReceiptOverload: "no", Status: map[string]string{"x": "fatal", "1": "unknown"}, Errors: map[string]string{"1": "no"},
	}).Validate()
	require.Error(t, err)
	for _, setting := range []string{
		"addr", "ca_file", "system_id", "system_type", "service_type", "bind", "binds", "window", "source", "ton", "npi",
		"dest_ton", "dest_npi", "senders[0]", "senders[0].ton", "bind_timeout", "resp_timeout", "write_timeout", "enquire_link", "max_pdu",
		"long", "alphabet", "max_parts", "validity", "validity_min", "receipts", "resp_id", "receipt_id", "receipt_detect",
		"receipt_zone", "receipt_overload", `status["x"]`, `status["1"]`, `errors["1"]`,
	} {
		require.Regexp(t, `(?m)^`+regexpQuote(setting)+`: `, err.Error())
	}
}

func regexpQuote(s string) string {
	out := ""
	for _, r := range s {
		if r == '[' || r == ']' {
			out += `\`
		}
		out += string(r)
	}
	return out
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	setup, _ := setupOf("smsc:2775", func(c *smpp.Config) { c.Window = 0 })
	_, err := smpp.New(setup)
	require.ErrorContains(t, err, "window: ")
	setup, _ = setupOf("smsc:2775", nil)
	setup.Channel = delivery.ChannelEmail
	_, err = smpp.New(setup)
	require.ErrorContains(t, err, "channel: ")
	setup, _ = setupOf("smsc:2775", func(c *smpp.Config) { c.TLS, c.CA = true, "/does/not/exist" })
	_, err = smpp.New(setup)
	require.ErrorContains(t, err, "ca_file: ")
	setup, _ = setupOf("smsc:2775", func(c *smpp.Config) { c.Password, c.PasswordFile = secret.String{}, "/does/not/exist" })
	_, err = smpp.New(setup)
	require.ErrorContains(t, err, "password_file")
}

func TestNew_PasswordFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	s := startSim(t, simDefault())
	a := open(t, s.Addr(), func(c *smpp.Config) { c.Password, c.PasswordFile = secret.String{}, file })
	require.Eventually(t, func() bool { return a.window.Size() == 200 }, 5*time.Second, 5*time.Millisecond)
}

func TestNew_TwoAccountsShareARegistry(t *testing.T) {
	t.Parallel()
	s := startSim(t, simDefault())
	first := open(t, s.Addr(), nil)
	setup, second := setupOf(s.Addr(), nil)
	setup.Metrics, setup.Log = first.metrics, slog.New(slog.DiscardHandler)
	_, err := smpp.New(setup)
	require.ErrorContains(t, err, "metrics", "the name is taken")
	setup.Name = "tele2"
	second.Provider, err = smpp.New(setup)
	require.NoError(t, err)
	closeNow(t, second)
}
