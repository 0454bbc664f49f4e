package configs_test

import (
	"crypto/tls"
	"encoding/pem"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/internal/secret"
)

var update = flag.Bool("update", false, "write herald.example.yaml")

func same(t *testing.T, want, got *configs.Config) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, cmpopts.IgnoreUnexported(configs.Settings{})))
}

func faults(t *testing.T, err error) configs.Faults {
	t.Helper()
	var list configs.Faults
	require.ErrorAs(t, err, &list)
	return list
}

func TestExampleFileIsTheDefaults(t *testing.T) {
	t.Parallel()
	want, err := configs.Example()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("herald.example.yaml", want, 0o600))
	}
	got, err := os.ReadFile("herald.example.yaml")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./configs -update")
	c, err := configs.Load("herald.example.yaml", nil)
	require.NoError(t, err)
	same(t, configs.Default(), c)
	require.NoError(t, configs.Default().Validate())

	_, sample, found := strings.Cut(string(want), "# For example:\n#\n")
	require.True(t, found)
	c, err = configs.Parse("sample", []byte(strings.ReplaceAll("\n"+sample, "\n# ", "\n")), nil)
	require.NoError(t, err)
	require.Equal(t, "mts", c.Providers[0].Name)
	require.InDelta(t, 200, c.Providers[0].Rate.PerSecond(), 0)
	require.Equal(t, configs.Quiet{From: "21:00", To: "09:00"}, c.Policies["default"].Quiet)
	require.Equal(t, []string{"drop", "defer"}, []string{c.Policies["default"].Caps[0].On, c.Policies["default"].Caps[1].On})
}

func TestDevFileLoads(t *testing.T) {
	t.Parallel()
	c, err := configs.Load("herald.dev.yaml", nil)
	require.NoError(t, err)
	require.Equal(t, "smpp", c.Providers[0].Type)
	require.Equal(t, 100, c.Providers[0].Weight)
}

func TestLoad_TheLaterWins(t *testing.T) {
	t.Parallel()
	file := []byte("http: {public: 127.0.0.1:1, private: 127.0.0.1:2, public_url: https://m.shop.example}\nlog:\n  level: warn\n")
	env := []string{
		"HERALD_HTTP_PUBLIC=127.0.0.1:3", "HERALD_HTTP_PRIVATE=127.0.0.1:4", "HERALD_KAFKA_BROKERS=a:1, b:2",
		"HERALD_DISPATCH_LANES_BULK_WAIT=1s", "HERALD_POSTGRES_URL=postgres://u:hunter2@h/d", "HERALD_KAFKA_TLS_ENABLED=true",
		"HERALD_BOOTSTRAP_API_KEY=hk_x", "HERALD_TEST_CLOCK_SHIFT=36h", "HERALD_API_KEY=other", "HERALD_TEST_DATABASE_URL=x",
		"HERALD_HTTP_SERVICE_HOST=10.0.0.1", "HERALD_HTTP_PORT=tcp://x", "HERALD_HTTP_PORT_80_TCP=x", "PATH=/bin",
	}
	c, err := configs.Parse("f", file, env, configs.Set("http.private", "127.0.0.1:5"), configs.Set("data", "/d"))
	require.NoError(t, err)
	want := configs.Default()
	want.HTTP = configs.HTTP{Public: "127.0.0.1:3", Private: "127.0.0.1:5", PublicURL: "https://m.shop.example"}
	want.Log.Level = "warn"
	want.Kafka.Brokers = []string{"a:1", "b:2"}
	want.Kafka.TLS.Enabled = true
	want.Dispatch.Lanes.Bulk.Wait = configs.Second
	want.Postgres.URL = secret.New("postgres://u:hunter2@h/d")
	want.BootstrapAPIKey = secret.New("hk_x")
	want.ClockShift = configs.Duration(36 * time.Hour)
	want.Data = "/d"
	same(t, want, c)
	require.Equal(t, "/d", c.DataDir())
	require.False(t, c.Kafka.Embedded() || c.Postgres.Embedded())

	_, err = configs.Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	c, err = configs.Load("", nil)
	require.NoError(t, err)
	same(t, configs.Default(), c)
}

func TestLoad_AllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	file := `http:
  privat: x
  public: nowhere
kafka:
  brokers: ["a:1", b]
  tls: {enabled: "yes"}
  sasl: {mechanism: magic, user: u, password: hunter2, password_file: /none}
  partitions: [1]
dispatch:
  lanes:
    bulk: {batch: 0x, wait: 5, max_in_flight: many}
retention: {job_key: 3d, messages: 1d}
providers:
  - {name: A!, channel: sms, rate: fast}
  - type: smpp
    name: mts
    channel: sms
  - {name: mts, type: smpp, channel: sms, weight: 1.5}
policies:
  default: {timezone: Moon, consent: no, quiet: {from: "25:00"}, caps: [{per: week, max: 0, on: cry}]}
`
	_, err := configs.Parse("h.yaml", []byte(file), []string{"HERALD_KAFKA_BROKER=x", "HERALD_LOG_LEVEL=loud"},
		configs.Set("log.format", "xml"), configs.Set("nope.x", "1"))
	want := strings.TrimSpace(`
h.yaml:2: http.privat: is no setting; perhaps private is meant
h.yaml:6: kafka.tls.enabled: must be true or false
h.yaml:8: kafka.partitions: must be a mapping of settings
h.yaml:11: dispatch.lanes.bulk.batch: must be a whole number
h.yaml:11: dispatch.lanes.bulk.wait: must be a duration with a unit, such as 500ms, 90s, 1h30m or 7d
h.yaml:11: dispatch.lanes.bulk.max_in_flight: must be a whole number
h.yaml:14: providers[0].rate: must be a rate such as 200/s, 90/m or 10/h
h.yaml:18: providers[2].weight: must be a whole number
HERALD_KAFKA_BROKER: is a variable of no setting
flag: nope.x: is no setting
h.yaml:7: kafka.sasl.password_file: give the value or the file, not both
h.yaml:3: http.public: must be host:port, such as 127.0.0.1:8081
h.yaml:5: kafka.brokers[1]: must be host:port, such as 127.0.0.1:8081
h.yaml:7: kafka.sasl.mechanism: must be one of plain, scram-sha-256, scram-sha-512
HERALD_LOG_LEVEL: log.level: must be one of debug, info, warn, error
flag: log.format: must be one of json, text
h.yaml:12: retention.messages: must be 31d to 36500d
h.yaml:5: kafka.retention.bulk: must be less than retention.job_key, else a record that is read again after a loss of offsets is sent again
h.yaml:14: providers[0].name: is required, at most 63 of a-z, 0-9, dash, dot and underscore
h.yaml:14: providers[0].type: is required, at most 63 of a-z, 0-9, dash, dot and underscore
h.yaml:18: providers[2].name: is taken by another provider
h.yaml:20: policies.default.timezone: must be a zone such as Europe/Moscow
h.yaml:20: policies.default.consent: must be one of required, asserted
h.yaml:20: policies.default.quiet.from: must be a time of day such as 21:00
h.yaml:20: policies.default.quiet.to: must be a time of day such as 21:00
h.yaml:20: policies.default.caps[0].per: must be one of day, 7d, 30d
h.yaml:20: policies.default.caps[0].max: must be 1 to 255
h.yaml:20: policies.default.caps[0].on: must be one of drop, defer, replace`)
	require.Empty(t, cmp.Diff(want, faults(t, err).Error()))
	require.NotContains(t, err.Error(), "hunter2")
}

func TestLoad_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"no yaml":        {"http: {public: hunter2", "f:1"},
		"two documents":  {"log: {level: info}\n---\nlog: {level: warn}\n", "only one document"},
		"a list":         {"- 1\n", "f:1: must be a mapping"},
		"key twice":      {"log:\n  level: info\n  level: warn\n", "f:3"},
		"anchor":         {"log: &l {level: info}\n", "anchors"},
		"alias bomb":     {"process: &a [x]\ndata: [*a, *a]\n", "anchors"},
		"merge":          {"log:\n  <<: {level: info}\n", "f:2"},
		"tag":            {"process: !!binary aGk=\n", "tags"},
		"env only":       {"bootstrap_api_key: x\n", "bootstrap_api_key: is no setting"},
		"dash":           {"\"-\": x\n", "is no setting"},
		"deep":           {"providers: [{settings: " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + ", nam: 1}]\n", "nam"},
		"placeholder":    {"postgres: {url: <secret>}\n", "placeholder"},
		"secret missing": {"postgres: {url_file: /none}\n", "postgres.url_file: open /none"},
		"mapping scalar": {"process: {a: b}\n", "process: must be a single value"},
		"url":            {"http: {public_url: m.shop.example}\n", "http.public_url"},
		"same listener":  {"http: {private: 0.0.0.0:8080}\n", "must differ"},
		"sasl alone":     {"kafka: {sasl: {user: u}}\n", "mechanism: is required"},
		"tls off":        {"kafka: {tls: {server_name: x}}\n", "enabled: must be true"},
		"cert alone":     {"kafka: {tls: {enabled: true, cert_file: doc.go}}\n", "goes together"},
		"small part":     {"dispatch: {lanes: {bulk: {max_per_part: 10}}}\n", "two batches"},
		"too long":       {"process: " + strings.Repeat("x", 129) + "\n", "process"},
		"policy name":    {"policies: {\"Ä\": {}}\n", "a policy's name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := configs.Parse("f", []byte(c.file), nil)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

type account struct {
	Addr         string        `yaml:"addr"`
	Password     secret.String `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	Window       int           `yaml:"window"`
	TON          uint8         `yaml:"ton"`
	Enquire      time.Duration `yaml:"enquire"`
	Factor       float64       `yaml:"factor"`
	Senders      []struct {
		Name string `yaml:"name"`
	} `yaml:"senders"`
	Extra map[string]int `yaml:"extra"`
	TLS   *struct {
		CA string `yaml:"ca"`
	} `yaml:"tls"`
	base `yaml:",inline"`
}

type base struct {
	Binds int `yaml:"binds"`
}

func provider(settings string) string {
	return "providers:\n  - name: mts\n    type: smpp\n    channel: sms\n    settings:\n      " +
		strings.ReplaceAll(settings, "\n", "\n      ") + "\n"
}

func TestSettings_Decode(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pw")
	require.NoError(t, os.WriteFile(file, []byte("0123\n"), 0o600))
	c, err := configs.Parse("f", []byte(provider("addr: smsc:2775\npassword_file: "+file+"\nton: 5\nenquire: 30s\nfactor: 1.5\n"+
		"senders: [{name: SHOP}]\nextra: {a: 1}\ntls: {ca: /ca}\nbinds: 2")), nil)
	require.NoError(t, err)
	got := account{Window: 10}
	require.NoError(t, c.Providers[0].Settings.Decode(&got))
	require.Equal(t, "0123", got.Password.Reveal())
	require.Equal(t, []any{10, uint8(5), 30 * time.Second, 1.5, "SHOP", 1, "/ca", 2},
		[]any{got.Window, got.TON, got.Enquire, got.Factor, got.Senders[0].Name, got.Extra["a"], got.TLS.CA, got.Binds})

	c, err = configs.Parse("f", []byte(provider("adr: x\naddr: [1]\nton: 256\nwindow: \"5\"\nsenders: [{nam: x}]\npassword: 0123\n"+
		"password_file: /none\nextra: {a: b}")), nil)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(`
f:6: providers[0].settings.adr: is no setting; perhaps addr is meant
f:7: providers[0].settings.addr: must be a single value
f:8: providers[0].settings.ton: must be a whole number
f:9: providers[0].settings.window: must be a whole number
f:10: providers[0].settings.senders[0].nam: is no setting; perhaps name is meant
f:13: providers[0].settings.extra.a: must be a whole number
f:12: providers[0].settings.password_file: give the value or the file, not both`),
		c.Providers[0].Settings.Decode(&account{}).Error())
	require.Equal(t, "f:6: providers[0].settings.addr: is required",
		c.Providers[0].Settings.Fault("addr", "is required").Error())
	require.Error(t, c.Providers[0].Settings.Decode(account{}))

	require.NoError(t, configs.Settings{}.Decode(&account{}))
	s, err := configs.ParseSettings("password: 0123\nwindow: 7")
	require.NoError(t, err)
	got = account{}
	require.NoError(t, s.Decode(&got))
	require.Equal(t, "0123", got.Password.Reveal(), "a password keeps its zeros")
}

func TestPrint_HidesSecretsAndReadsBack(t *testing.T) {
	t.Parallel()
	file := provider("addr: smsc:2775\npassword: hunter2\napi_key: 12345\nurl: https://u:hunter2@h/x\nlist: [{auth_token: hunter2}]\n"+
		"password_file: /run/secrets/mts\nwindow: 100") + `    rate: 90/m
policies:
  night: {quiet: {from: "21:00", to: "09:00"}, caps: [{per: day, max: 1}]}
`
	c, err := configs.Parse("f", []byte(file), []string{
		"HERALD_POSTGRES_URL=postgres://u:hunter2@h/d",
		"HERALD_BOOTSTRAP_API_KEY=hunter2",
	})
	require.NoError(t, err)
	b, err := c.YAML()
	require.NoError(t, err)
	text := string(b)
	require.NotContains(t, text, "hunter2")
	require.NotContains(t, text, "12345")
	for _, want := range []string{
		"url: <secret>", "password: <secret>", "api_key: <secret>", "password_file: /run/secrets/mts", "window: 100",
		"addr: smsc:2775", "rate: 90/m", `from: "21:00"`, "bulk: 5d", "brokers: []", "public_url: \"\"",
	} {
		require.Contains(t, text, want)
	}
	_, err = configs.Parse("printed", b, nil)
	require.ErrorContains(t, err, "placeholder")

	c.Postgres.URL = secret.String{}
	b, err = c.YAML()
	require.NoError(t, err)
	again, err := configs.Parse("printed", b, nil, configs.Set("postgres.url", ""))
	require.NoError(t, err)
	c.BootstrapAPIKey = secret.String{}
	same(t, c, again)
}

func TestDoc_NamesEverySetting(t *testing.T) {
	t.Parallel()
	doc := configs.Doc()
	for _, want := range []string{
		"| `http.private` | `127.0.0.1:8081` | `HERALD_HTTP_PRIVATE` |", "HERALD_KAFKA_SASL_PASSWORD_FILE",
		"| `retention.messages` | `45d` |", "HERALD_BOOTSTRAP_API_KEY", "| `weight` | `100` |", "| `quiet.from` |", "Not yet in force",
	} {
		require.Contains(t, doc, want)
	}
	var check func(t *testing.T, typ reflect.Type)
	check = func(t *testing.T, typ reflect.Type) {
		t.Helper()
		for f := range typ.Fields() {
			require.NotEmpty(t, f.Tag.Get("doc"), "%s.%s", typ.Name(), f.Name)
			for e := f.Type; ; e = e.Elem() {
				if k := e.Kind(); k == reflect.Slice || k == reflect.Map {
					continue
				}
				if e.Kind() == reflect.Struct && e.PkgPath() == typ.PkgPath() && e != reflect.TypeFor[configs.Settings]() {
					check(t, e)
				}
				break
			}
		}
	}
	check(t, reflect.TypeFor[configs.Config]())
}

func TestTLS_Client(t *testing.T) {
	t.Parallel()
	off := configs.TLS{}
	c, err := off.Client()
	require.NoError(t, err)
	require.Nil(t, c)

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(
		&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	trusting := configs.TLS{Enabled: true, CAFile: ca, ServerName: "example.com"}
	c, err = trusting.Client()
	require.NoError(t, err)
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), c)
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	for _, bad := range []configs.TLS{
		{Enabled: true, CAFile: "/none"}, {Enabled: true, CAFile: "doc.go"}, {Enabled: true, CertFile: ca, KeyFile: ca},
	} {
		_, err := bad.Client()
		require.ErrorContains(t, err, "tls.")
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"90s": "1m30s", "24h": "1d", "36h": "36h", "7d": "7d", "0": "0s", "100ms": "100ms", "12h0m0s": "12h", "60m": "1h",
	} {
		var d configs.Duration
		require.NoError(t, d.UnmarshalText([]byte(text)))
		require.Equal(t, want, d.String())
	}
	for text, want := range map[string]string{"200/s": "200/s", "90/m": "90/m", "60/m": "1/s", "1/h": "1/h", "": "", "0.5/s": "30/m"} {
		var r configs.Rate
		require.NoError(t, r.UnmarshalText([]byte(text)))
		require.Equal(t, want, r.String())
	}
	for _, bad := range []string{"200", "0/s", "-1/s", "NaN/s", "1e99/s", "x/s", "5/d"} {
		require.Error(t, new(configs.Rate).UnmarshalText([]byte(bad)), bad)
	}
	for _, bad := range []string{"5", "d", "-1d", "99999999d", "1w"} {
		require.Error(t, new(configs.Duration).UnmarshalText([]byte(bad)), bad)
	}
}

func FuzzParse(f *testing.F) {
	example, err := configs.Example()
	require.NoError(f, err)
	f.Add(string(example))
	f.Add(provider("addr: x\npassword: y\nbinds: 2"))
	f.Add("a: &a [*a]\n<<: *a")
	f.Add("? [a]\n: |\n  b\n---\n- {}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := configs.Parse("f", []byte(text), nil)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, c.Validate())
		_, err = c.YAML()
		require.NoError(t, err)
		for i := range c.Providers {
			_ = c.Providers[i].Settings.Decode(&account{})
		}
	})
}
