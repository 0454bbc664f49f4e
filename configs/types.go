package configs

import (
	"os"
	"path/filepath"

	"github.com/herald-gateway/herald/internal/secret"
)

// Config is the whole configuration of a process.
type Config struct {
	Process   string            `yaml:"process" doc:"Name of this process among those that share a database; at most one process runs under a name at a time. Empty: made from the host name and the data directory."`
	Data      string            `yaml:"data" doc:"Directory of the embedded database and broker. Empty: /var/lib/herald for root, else .data in the working directory."`
	HTTP      HTTP              `yaml:"http" doc:"Listeners."`
	Postgres  Postgres          `yaml:"postgres" doc:"The database."`
	Kafka     Kafka             `yaml:"kafka" doc:"The broker and its topics."`
	Log       Log               `yaml:"log" doc:"Logs, on standard error."`
	Dispatch  Dispatch          `yaml:"dispatch" doc:"How jobs become messages at a provider."`
	Retention Retention         `yaml:"retention" doc:"How long rows are kept. Figures, consents and suppressions are kept for ever."`
	Providers []Provider        `yaml:"providers" doc:"Accounts with providers. None: the simulators stand in, in herald up."`
	Policies  map[string]Policy `yaml:"policies" doc:"Limits on what one recipient gets, by name. A job names its policy, else that of its topic or default counts."`

	BootstrapAPIKey secret.String `yaml:"-" env:"HERALD_BOOTSTRAP_API_KEY" doc:"A key for the API with all rights, for the time before others are made. Only as a variable."`
	ClockShift      Duration      `yaml:"-" env:"HERALD_TEST_CLOCK_SHIFT" doc:"For tests: how far the clock of this process runs ahead. Only as a variable."`
}

// HTTP is where Herald listens.
type HTTP struct {
	Public    string `yaml:"public" doc:"Address of the public listener: clicks, pixels, unsubscribe pages, webhooks of providers."`
	Private   string `yaml:"private" doc:"Address of the private listener: API, UI, metrics, health, profiles."`
	PublicURL string `yaml:"public_url" doc:"How recipients reach the public listener, such as https://m.shop.example. Empty: http and the public address."`
}

// Postgres says which database to use.
type Postgres struct {
	URL          secret.String `yaml:"url" doc:"Connection string, as a URL or keywords and values. Empty: an embedded server in the data directory."`
	URLFile      string        `yaml:"url_file" doc:"File that holds url."`
	HotConns     int           `yaml:"hot_conns" doc:"Connections for the message path, at most."`
	GeneralConns int           `yaml:"general_conns" doc:"Connections for everything else, at most."`
}

// Embedded says that Herald runs the database itself.
func (p *Postgres) Embedded() bool { return p.URL.IsZero() }

// Kafka says which broker to use and how its topics are made.
type Kafka struct {
	Brokers    []string        `yaml:"brokers" doc:"Addresses of the brokers. None: an embedded broker in the data directory."`
	Prefix     string          `yaml:"prefix" doc:"What the names of the topics begin with."`
	Listen     string          `yaml:"listen" doc:"Where the embedded broker listens."`
	ClientID   string          `yaml:"client_id" doc:"How the broker's logs name Herald."`
	TLS        TLS             `yaml:"tls" doc:"Encryption of the connections to the brokers."`
	SASL       SASL            `yaml:"sasl" doc:"Login at the brokers."`
	Partitions Partitions      `yaml:"partitions" doc:"Partitions of topics that Herald makes. 0: 4, 4, 4 and 1 with the embedded broker, else 12, 24, 12 and 3."`
	Replicas   int             `yaml:"replicas" doc:"Copies of each partition of topics that Herald makes. 0: three, or as many as there are brokers."`
	Retention  TopicsRetention `yaml:"retention" doc:"How long records are kept in topics that Herald makes."`
}

// Embedded says that Herald runs the broker itself.
func (k *Kafka) Embedded() bool { return len(k.Brokers) == 0 }

// TLS is the encryption of client connections.
type TLS struct {
	Enabled    bool   `yaml:"enabled" doc:"Whether connections are encrypted."`
	CAFile     string `yaml:"ca_file" doc:"Certificates of the authorities that are trusted, PEM. Empty: the system's."`
	CertFile   string `yaml:"cert_file" doc:"Herald's own certificate, PEM, when the broker asks for one."`
	KeyFile    string `yaml:"key_file" doc:"The key of cert_file, PEM."`
	ServerName string `yaml:"server_name" doc:"Name that the broker's certificate must carry. Empty: the host that was dialled."`
}

// SASL is the login at the brokers.
type SASL struct {
	Mechanism    string        `yaml:"mechanism" doc:"plain, scram-sha-256 or scram-sha-512. Empty: no login."`
	User         string        `yaml:"user" doc:"Name of the user."`
	Password     secret.String `yaml:"password" doc:"The user's password."`
	PasswordFile string        `yaml:"password_file" doc:"File that holds password."`
}

// Partitions are the numbers of partitions of the topics.
type Partitions struct {
	Transactional int `yaml:"transactional" doc:"Of the topic of transactional jobs."`
	Bulk          int `yaml:"bulk" doc:"Of the topic of bulk jobs."`
	Events        int `yaml:"events" doc:"Of the topic of events. It never changes once the topic is made."`
	Dead          int `yaml:"dead" doc:"Of the topic of dead letters."`
}

// TopicsRetention is how long the topics keep their records.
type TopicsRetention struct {
	Transactional Duration `yaml:"transactional" doc:"Transactional jobs; less than retention.job_key."`
	Bulk          Duration `yaml:"bulk" doc:"Bulk jobs; less than retention.job_key."`
	Events        Duration `yaml:"events" doc:"Events."`
	Dead          Duration `yaml:"dead" doc:"Dead letters."`
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error. It can be changed at run time on the private listener."`
	Format string `yaml:"format" doc:"json or text."`
}

// Dispatch is the budget of the dispatcher and its patience.
type Dispatch struct {
	Lanes        Lanes        `yaml:"lanes" doc:"Budgets of the two lanes, each with its own consumer."`
	Retry        Retry        `yaml:"retry" doc:"What follows a temporary refusal."`
	Redrive      Redrive      `yaml:"redrive" doc:"What becomes of messages in doubt: submitted, and the answer lost."`
	ProviderDown ProviderDown `yaml:"provider_down" doc:"What becomes of jobs while no provider of their channel works."`
	Drain        Duration     `yaml:"drain" doc:"How long messages in flight may finish when the process stops."`
}

// Lanes are the budgets of the lanes.
type Lanes struct {
	Transactional Lane `yaml:"transactional" doc:"Transactional jobs."`
	Bulk          Lane `yaml:"bulk" doc:"Marketing jobs."`
}

// Lane is the budget of one lane.
type Lane struct {
	MaxInFlight int      `yaml:"max_in_flight" doc:"Jobs that are read and have no fate yet, at most."`
	MaxPerPart  int      `yaml:"max_per_part" doc:"The same within one partition, counted from the oldest: what is read again after a crash. At least two batches."`
	Batch       int      `yaml:"batch" doc:"Jobs in one run through the stages, at most."`
	Wait        Duration `yaml:"wait" doc:"How long a batch waits to fill; 0: it takes what is there."`
	Workers     int      `yaml:"workers" doc:"Batches in the stages at once."`
}

// Retry paces what is tried again.
type Retry struct {
	Max   int      `yaml:"max" doc:"Submits of one message before it is given up as rejected."`
	First Duration `yaml:"first" doc:"The first pause; it grows fourfold."`
	Most  Duration `yaml:"most" doc:"The longest pause."`
}

// Redrive bounds how often a message in doubt is sent again.
type Redrive struct {
	Max int `yaml:"max" doc:"How often a transactional message in doubt is sent again; marketing never is."`
}

// ProviderDown is the patience with providers that do not work.
type ProviderDown struct {
	HoldAfter Duration `yaml:"hold_after" doc:"How long a job waits in memory before it is held."`
	HoldFor   Duration `yaml:"hold_for" doc:"How long it is held before the next try."`
	Patience  Duration `yaml:"patience" doc:"How long a job is held in all, never past its own end."`
}

// Retention is how long rows are kept.
type Retention struct {
	JobKey      Duration `yaml:"job_key" doc:"Keys of producers and positions of records: as long as a repeat is known as one."`
	Messages    Duration `yaml:"messages" doc:"Claims, messages, their timelines and the bodies of jobs. At least 31d: a job may live 30."`
	ProviderRef Duration `yaml:"provider_ref" doc:"Ids that providers gave, from acceptance: how late a receipt may come."`
}

// Provider is one account with a provider.
type Provider struct {
	Name     string   `yaml:"name" doc:"Name of the account, for ever: reports know it by this name."`
	Type     string   `yaml:"type" doc:"Which code speaks to it, such as smpp."`
	Channel  string   `yaml:"channel" doc:"What it sends, such as sms."`
	Weight   int      `yaml:"weight" doc:"Its share among the accounts of its channel that work."`
	Rate     Rate     `yaml:"rate" doc:"How fast messages are submitted, such as 200/s, parts counted one by one. Empty: no limit."`
	Settings Settings `yaml:"settings" doc:"Settings of the type, see docs/providers.md."`
}

// SetDefaults fills in what a provider of the file need not say.
func (p *Provider) SetDefaults() { p.Weight = 100 }

// Policy is a set of limits on what one recipient gets. It is checked when it is read; caps, quiet hours and consent are
// not yet in force.
type Policy struct {
	Caps     []Cap  `yaml:"caps" doc:"How many communications a recipient gets. Not yet in force."`
	Quiet    Quiet  `yaml:"quiet" doc:"Hours in which nothing of marketing is sent, in the recipient's zone. Not yet in force."`
	Timezone string `yaml:"timezone" doc:"Zone of recipients of whom none is known."`
	Consent  string `yaml:"consent" doc:"required: a stored consent; asserted: for jobs without a profile the producer vouches for it. Not yet in force."`
}

// SetDefaults fills in what a policy of the file need not say.
func (p *Policy) SetDefaults() { p.Timezone, p.Consent = "UTC", "required" }

// Cap is one rule of how many communications a recipient gets.
type Cap struct {
	Per     string `yaml:"per" doc:"day, 7d or 30d."`
	Rolling bool   `yaml:"rolling" doc:"Whether the period ends at the moment of sending; else it is of calendar days in the recipient's zone."`
	Max     int    `yaml:"max" doc:"Communications in the period."`
	Channel string `yaml:"channel" doc:"Only of this channel. Empty: of all."`
	Topic   string `yaml:"topic" doc:"Only of this consent topic. Empty: of all."`
	On      string `yaml:"on" doc:"What becomes of one too many: drop, defer or replace (one of lower priority)."`
}

// SetDefaults fills in what a cap of the file need not say.
func (c *Cap) SetDefaults() { c.On = "drop" }

// Quiet is a span of hours, which may pass midnight.
type Quiet struct {
	From string `yaml:"from" doc:"Begin, such as 21:00. Empty: no quiet hours."`
	To   string `yaml:"to" doc:"End, such as 09:00."`
}

// Default is the configuration that counts where nothing else is said.
func Default() *Config {
	lane := Lane{MaxPerPart: 1000, Batch: 500, Workers: 3}
	service, bulk := lane, lane
	service.MaxInFlight = 500
	bulk.MaxInFlight, bulk.Wait = 4000, 100*Millisecond
	policy := Policy{}
	policy.SetDefaults()
	return &Config{
		HTTP:     HTTP{Public: "0.0.0.0:8080", Private: "127.0.0.1:8081"},
		Postgres: Postgres{HotConns: 12, GeneralConns: 8},
		Kafka: Kafka{
			Prefix: "herald", Listen: "127.0.0.1:9092", ClientID: "herald",
			Retention: TopicsRetention{Transactional: 2 * Day, Bulk: 5 * Day, Events: 30 * Day, Dead: 30 * Day},
		},
		Log: Log{Level: "info", Format: "json"},
		Dispatch: Dispatch{
			Lanes:        Lanes{Transactional: service, Bulk: bulk},
			Retry:        Retry{Max: 6, First: 5 * Second, Most: 15 * Minute},
			Redrive:      Redrive{Max: 2},
			ProviderDown: ProviderDown{HoldAfter: 20 * Second, HoldFor: 30 * Second, Patience: 12 * Hour},
			Drain:        10 * Second,
		},
		Retention: Retention{JobKey: 7 * Day, Messages: 45 * Day, ProviderRef: 15 * Day},
		Policies:  map[string]Policy{"default": policy},
	}
}

// DataDir is the data directory: what is configured, else /var/lib/herald for root and .data in the working directory
// for everybody else.
func (c *Config) DataDir() string {
	switch {
	case c.Data != "":
		return filepath.Clean(c.Data)
	case os.Geteuid() == 0:
		return "/var/lib/herald"
	}
	return ".data"
}
