package configs

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the zones of policies are known on every machine
)

// maxJobLife is how long a job may live: what is kept of it must be kept longer.
const maxJobLife = 31 * Day

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	topicForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
	clockForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

// Validate reports everything that cannot work, as Faults. It looks at no network; files that are named must exist.
func (c *Config) Validate() error { return c.check().err() }

type checker struct{ faults Faults }

func (k *checker) fault(path, format string, args ...any) {
	k.faults = append(k.faults, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *Config) check() Faults {
	k := new(checker)
	if len(c.Process) > 128 || strings.ContainsAny(c.Process, "#\n\t\x00") {
		k.fault("process", "must be at most 128 characters, none of them # or a control character")
	}
	k.http(&c.HTTP)
	k.between("postgres.hot_conns", c.Postgres.HotConns, 1, 500)
	k.between("postgres.general_conns", c.Postgres.GeneralConns, 1, 500)
	k.kafka(&c.Kafka)
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "json", "text")
	k.dispatch(&c.Dispatch)
	k.retention(c)
	k.providers(c.Providers)
	k.policies(c.Policies)
	return k.faults
}

func (k *checker) http(h *HTTP) {
	k.address("http.public", h.Public)
	k.address("http.private", h.Private)
	if h.Public == h.Private && !strings.HasSuffix(h.Public, ":0") {
		k.fault("http.private", "must differ from http.public")
	}
	if h.PublicURL == "" {
		return
	}
	u, err := url.Parse(h.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" ||
		u.User != nil {
		k.fault("http.public_url", "must be a URL such as https://m.shop.example")
	}
}

func (k *checker) kafka(c *Kafka) {
	for i, b := range c.Brokers {
		k.address(fmt.Sprintf("kafka.brokers[%d]", i), b)
	}
	k.address("kafka.listen", c.Listen)
	if !topicForm.MatchString(c.Prefix) {
		k.fault("kafka.prefix", "must be letters, digits, dots, dashes and underscores")
	}
	k.file("kafka.tls.ca_file", c.TLS.CAFile)
	k.file("kafka.tls.cert_file", c.TLS.CertFile)
	k.file("kafka.tls.key_file", c.TLS.KeyFile)
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		k.fault("kafka.tls.cert_file", "goes together with key_file")
	}
	if !c.TLS.Enabled && (c.TLS.CAFile != "" || c.TLS.CertFile != "" || c.TLS.ServerName != "") {
		k.fault("kafka.tls.enabled", "must be true when other settings of tls are given")
	}
	k.sasl(&c.SASL)
	p := c.Partitions
	for _, n := range []struct {
		name string
		n    int
	}{{"transactional", p.Transactional}, {"bulk", p.Bulk}, {"events", p.Events}, {"dead", p.Dead}} {
		k.between("kafka.partitions."+n.name, n.n, 0, 1000)
	}
	k.between("kafka.replicas", c.Replicas, 0, 10)
}

func (k *checker) sasl(s *SASL) {
	mechanism := strings.ToLower(s.Mechanism)
	if mechanism == "" {
		if s.User != "" || !s.Password.IsZero() {
			k.fault("kafka.sasl.mechanism", "is required with a user or password")
		}
		return
	}
	k.oneOf("kafka.sasl.mechanism", mechanism, "plain", "scram-sha-256", "scram-sha-512")
	if s.User == "" {
		k.fault("kafka.sasl.user", "is required with a mechanism")
	}
	if s.Password.IsZero() {
		k.fault("kafka.sasl.password", "is required with a mechanism; or give password_file")
	}
}

func (k *checker) dispatch(d *Dispatch) {
	for _, l := range []struct {
		path string
		lane Lane
	}{{"dispatch.lanes.transactional", d.Lanes.Transactional}, {"dispatch.lanes.bulk", d.Lanes.Bulk}} {
		k.between(l.path+".max_in_flight", l.lane.MaxInFlight, 1, 1_000_000)
		k.between(l.path+".max_per_part", l.lane.MaxPerPart, 1, 1_000_000)
		k.between(l.path+".batch", l.lane.Batch, 1, 10_000)
		k.between(l.path+".workers", l.lane.Workers, 1, 64)
		k.spans(span{l.path + ".wait", l.lane.Wait, 0, 10 * Second})
		if l.lane.Batch >= 1 && l.lane.MaxPerPart < 2*l.lane.Batch {
			k.fault(l.path+".max_per_part", "must hold at least two batches")
		}
	}
	k.between("dispatch.retry.max", d.Retry.Max, 1, 100)
	k.between("dispatch.redrive.max", d.Redrive.Max, 0, 100)
	k.spans(
		span{"dispatch.retry.first", d.Retry.First, 100 * Millisecond, Day},
		span{"dispatch.retry.most", d.Retry.Most, 100 * Millisecond, Day},
		span{"dispatch.provider_down.hold_after", d.ProviderDown.HoldAfter, 0, 10 * Minute},
		span{"dispatch.provider_down.hold_for", d.ProviderDown.HoldFor, Second, Day},
		span{"dispatch.provider_down.patience", d.ProviderDown.Patience, 0, 30 * Day},
		span{"dispatch.drain", d.Drain, 0, 5 * Minute},
	)
	if d.Retry.Most < d.Retry.First {
		k.fault("dispatch.retry.most", "must not be shorter than first")
	}
}

func (k *checker) retention(c *Config) {
	r, t := c.Retention, c.Kafka.Retention
	k.spans(
		span{"retention.job_key", r.JobKey, Day, 365 * Day},
		span{"retention.messages", r.Messages, maxJobLife, maxDays * Day},
		span{"retention.provider_ref", r.ProviderRef, Day, 365 * Day},
		span{"kafka.retention.transactional", t.Transactional, Hour, 365 * Day},
		span{"kafka.retention.bulk", t.Bulk, Hour, 365 * Day},
		span{"kafka.retention.events", t.Events, Hour, maxDays * Day},
		span{"kafka.retention.dead", t.Dead, Hour, maxDays * Day},
	)
	for name, topic := range map[string]Duration{"transactional": t.Transactional, "bulk": t.Bulk} {
		if topic >= r.JobKey {
			k.fault("kafka.retention."+name, "must be less than retention.job_key, else a record that is read again "+
				"after a loss of offsets is sent again")
		}
	}
}

func (k *checker) providers(list []Provider) {
	seen := map[string]bool{}
	for i := range list {
		p, path := &list[i], fmt.Sprintf("providers[%d]", i)
		for _, f := range []struct{ key, value string }{{"name", p.Name}, {"type", p.Type}, {"channel", p.Channel}} {
			if !nameForm.MatchString(f.value) {
				k.fault(path+"."+f.key, "is required, at most 63 of a-z, 0-9, dash, dot and underscore")
			}
		}
		if seen[p.Name] {
			k.fault(path+".name", "is taken by another provider")
		}
		seen[p.Name] = true
		k.between(path+".weight", p.Weight, 0, 1_000_000)
	}
}

func (k *checker) policies(policies map[string]Policy) {
	if _, ok := policies["default"]; !ok {
		k.fault("policies.default", "is required")
	}
	for name, p := range policies {
		path := join("policies", name)
		if !nameForm.MatchString(name) {
			k.fault(path, "a policy's name is at most 63 of a-z, 0-9, dash, dot and underscore")
		}
		if _, err := time.LoadLocation(p.Timezone); err != nil || p.Timezone == "" || p.Timezone == "Local" {
			k.fault(path+".timezone", "must be a zone such as Europe/Moscow")
		}
		k.oneOf(path+".consent", p.Consent, "required", "asserted")
		k.quiet(path+".quiet", p.Quiet)
		for i, rule := range p.Caps {
			at := fmt.Sprintf("%s.caps[%d]", path, i)
			k.oneOf(at+".per", rule.Per, "day", "7d", "30d")
			k.between(at+".max", rule.Max, 1, 255)
			k.oneOf(at+".on", rule.On, "drop", "defer", "replace")
			if rule.Channel != "" && !nameForm.MatchString(rule.Channel) {
				k.fault(at+".channel", "must be a channel such as sms")
			}
		}
	}
}

func (k *checker) quiet(path string, q Quiet) {
	if q == (Quiet{}) {
		return
	}
	for _, f := range []struct{ key, value string }{{"from", q.From}, {"to", q.To}} {
		if !clockForm.MatchString(f.value) {
			k.fault(path+"."+f.key, "must be a time of day such as 21:00")
		}
	}
	if q.From == q.To {
		k.fault(path+".to", "must differ from from")
	}
}

func (k *checker) between(path string, n, least, most int) {
	if n < least || n > most {
		k.fault(path, "must be %d to %d", least, most)
	}
}

type span struct {
	path        string
	d           Duration
	least, most Duration
}

func (k *checker) spans(list ...span) {
	for _, s := range list {
		if s.d < s.least || s.d > s.most {
			k.fault(s.path, "must be %s to %s", s.least, s.most)
		}
	}
}

func (k *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		k.fault(path, "must be one of %s", strings.Join(allowed, ", "))
	}
}

func (k *checker) address(path, value string) {
	_, port, err := net.SplitHostPort(value)
	n, numErr := strconv.Atoi(port)
	if err != nil || numErr != nil || n < 0 || n > 65535 {
		k.fault(path, "must be host:port, such as 127.0.0.1:8081")
	}
}

func (k *checker) file(path, name string) {
	if name == "" {
		return
	}
	if _, err := os.Stat(name); err != nil {
		k.fault(path, "%s", err)
	}
}
