package tracking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
)

const (
	// refAge is how long after its acceptance a message is looked for.
	refAge = 15 * 24 * time.Hour
	// parkedFor is how long a receipt waits for its message.
	parkedFor = 72 * time.Hour
	// orphanAfter is when a parked receipt counts as one of nobody's.
	orphanAfter = time.Minute
	maxRef      = 512 // bytes of a provider's id
)

// Config holds the settings of Receipts.
type Config struct {
	Topic string // the events topic
	// Channels are the channels of the providers, by name; a provider that is missing is taken for SMS.
	Channels map[string]delivery.Channel
	Every    time.Duration         // pause between looks at parked receipts; default 1 s
	Timeout  time.Duration         // of one look; default 20 s
	Now      func() time.Time      // the clock; default time.Now
	Log      *slog.Logger          // default: silence
	Metrics  prometheus.Registerer // default: none
}

func (c *Config) defaults() error {
	if c.Every <= 0 {
		c.Every = time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Topic == "" {
		return errors.New("tracking: the events topic is required")
	}
	return nil
}

// Writer writes records to Kafka and returns nil when all of them are acknowledged.
type Writer interface {
	Write(ctx context.Context, records []delivery.Record) error
}

// Store keeps references, parked receipts and the states of parts.
type Store interface {
	// Resolve finds what the keys stand for, by the newest acceptance not before since. Unknown keys are left out.
	Resolve(ctx context.Context, keys []Key, since time.Time) (map[Key]Target, error)
	// Park keeps receipts that nobody knows. A second receipt of one provider, ref and state changes nothing.
	Park(ctx context.Context, receipts []delivery.Receipt, channels map[string]delivery.Channel, now time.Time) error
	// MarkParts adds to the states of messages, which are all different, and returns the new states in any order.
	MarkParts(ctx context.Context, marks []Parts) ([]Parts, error)
	// Sweep calls found with parked receipts whose message is known now, and forgets them when it returns nil.
	Sweep(ctx context.Context, q SweepQuery, found func(context.Context, []Found) error) (int, error)
	// Orphans counts the parked receipts from before the time, and forgets those from before drop.
	Orphans(ctx context.Context, before, drop time.Time) (orphans, dropped int64, err error)
}

// Parts is what is known of the parts of a message, one bit each, the lowest for part 1. A part that arrived is not bad.
type Parts struct {
	Message delivery.ID
	Parts   int
	OK, Bad int64
}

// SweepQuery says which parked receipts are looked at.
type SweepQuery struct {
	Since       time.Time // of acceptances
	ParkedSince time.Time // of receipts
	Limit       int
}

// Found is a receipt with its target.
type Found struct {
	delivery.Receipt
	Target Target
}

// Receipts takes what providers tell. It is safe for concurrent use.
type Receipts struct {
	cfg     Config
	store   Store
	writer  Writer
	memory  *memory
	metrics *metrics
}

// NewReceipts makes a Receipts.
func NewReceipts(cfg Config, store Store, writer Writer) (*Receipts, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	return &Receipts{
		cfg: cfg, store: store, writer: writer, memory: newMemory(), metrics: newMetrics(cfg.Metrics),
	}, nil
}

// Remember learns the provider's ids of an accepted message, one per part and in order, before its receipts come.
func (r *Receipts) Remember(provider string, refs []string, message delivery.ID) {
	now := r.cfg.Now()
	for i, ref := range refs {
		if ref != "" {
			r.memory.put(Key{provider, ref}, Target{message, i + 1, len(refs)}, now)
		}
	}
}

// Receipts makes events of the receipts and parks those whose message is not known. It returns nil when all of that is
// durable.
func (r *Receipts) Receipts(ctx context.Context, batch []delivery.Receipt) error {
	rest := make([]delivery.Receipt, 0, len(batch))
	for _, rc := range batch {
		r.metrics.receipt(rc.Provider, rc.State)
		rc.Ref, rc.AltRef = clean(rc.Ref), clean(rc.AltRef)
		switch {
		case rc.State == delivery.ReceiptSent:
		case rc.Message == 0 && rc.Ref == "" && rc.AltRef == "", len(rc.Ref) > maxRef:
			r.metrics.results.WithLabelValues("unusable").Inc()
		default:
			rest = append(rest, rc)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	found, unknown, err := r.resolve(ctx, rest)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		if err := r.store.Park(ctx, unknown, r.cfg.Channels, r.cfg.Now()); err != nil {
			return fmt.Errorf("park %d receipts: %w", len(unknown), err)
		}
		r.metrics.results.WithLabelValues("parked").Add(float64(len(unknown)))
	}
	return r.emit(ctx, found)
}

func clean(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// resolve finds the receipts' messages: in the receipt itself, in memory, among the recorded references.
func (r *Receipts) resolve(
	ctx context.Context, batch []delivery.Receipt,
) (found []Found, unknown []delivery.Receipt, err error) {
	var asked []delivery.Receipt
	var keys []Key
	for _, rc := range batch {
		if t, ok := r.known(&rc); ok {
			found = append(found, Found{rc, t})
			continue
		}
		asked = append(asked, rc)
		keys = append(keys, keysOf(&rc)...)
	}
	if len(asked) == 0 {
		return found, nil, nil
	}
	targets, err := r.store.Resolve(ctx, keys, r.cfg.Now().Add(-refAge))
	if err != nil {
		return nil, nil, fmt.Errorf("resolve %d receipts: %w", len(asked), err)
	}
	for _, rc := range asked {
		t, ok := Target{}, false
		for _, k := range keysOf(&rc) {
			if t, ok = targets[k]; ok {
				break
			}
		}
		if ok {
			found = append(found, Found{rc, t})
		} else {
			unknown = append(unknown, rc)
		}
	}
	return found, unknown, nil
}

// keysOf lists the forms of the receipt's id in the order in which they are tried.
func keysOf(rc *delivery.Receipt) []Key {
	keys := make([]Key, 0, 2)
	for _, ref := range []string{rc.Ref, rc.AltRef} {
		if ref != "" {
			keys = append(keys, Key{rc.Provider, ref})
		}
	}
	return keys
}

func (r *Receipts) known(rc *delivery.Receipt) (Target, bool) {
	if rc.Message != 0 {
		return Target{rc.Message, max(1, rc.Part), max(1, rc.Parts)}, true
	}
	for _, k := range keysOf(rc) {
		if t, ok := r.memory.get(k); ok {
			return t, true
		}
	}
	return Target{}, false
}

// emit writes the events of receipts whose messages are known.
func (r *Receipts) emit(ctx context.Context, found []Found) error {
	if len(found) == 0 {
		return nil
	}
	events, err := r.events(ctx, found)
	if err != nil {
		return err
	}
	if err := r.write(ctx, events); err != nil {
		return err
	}
	r.metrics.results.WithLabelValues("resolved").Add(float64(len(found)))
	return nil
}

func (r *Receipts) write(ctx context.Context, events []delivery.Event) error {
	records := make([]delivery.Record, 0, len(events))
	for i := range events {
		rec, err := delivery.EventRecord(r.cfg.Topic, &events[i])
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	if len(records) == 0 {
		return nil
	}
	if err := r.writer.Write(ctx, records); err != nil {
		return fmt.Errorf("write %d events of receipts: %w", len(records), err)
	}
	return nil
}

// Replies makes an event of each message that a recipient sent. The event names the recipient by the id of a profile
// without a client; it holds neither number nor text.
func (r *Receipts) Replies(ctx context.Context, batch []delivery.Reply) error {
	events := make([]delivery.Event, 0, len(batch))
	for _, p := range batch {
		profile := delivery.AnonymousProfile(delivery.NormalAddress(p.From))
		id := p.ID
		if id == "" {
			id = profile.String() + "-" + p.At.UTC().Format(time.RFC3339Nano)
		}
		events = append(events, delivery.Event{
			V: delivery.Version, ID: "reply-" + p.Provider + "-" + clean(id), Kind: delivery.KindReplied, At: r.at(p.At),
			Channel: r.cfg.Channels[p.Provider], Provider: p.Provider, ProfileID: profile,
		})
	}
	return r.write(ctx, events)
}

func (r *Receipts) at(t time.Time) time.Time {
	if t.IsZero() {
		return r.cfg.Now().UTC()
	}
	return t.UTC()
}

// Run looks each second for the messages of parked receipts until ctx ends. Receipts that waited longer than a minute
// are looked at once a minute, and counted as orphans.
func (r *Receipts) Run(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	var full time.Time
	for {
		now := r.cfg.Now()
		all := now.Sub(full) >= orphanAfter
		if err := r.Sweep(ctx, all); err != nil && ctx.Err() == nil {
			r.cfg.Log.WarnContext(ctx, "parked receipts wait", "err", err)
		} else if all {
			full = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const sweepPage = 500

// Sweep looks once for the messages of parked receipts: of those from the last minute, or of all.
func (r *Receipts) Sweep(ctx context.Context, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	now := r.cfg.Now()
	q := SweepQuery{Since: now.Add(-refAge), ParkedSince: now.Add(-orphanAfter - r.cfg.Every), Limit: sweepPage}
	if all {
		q.ParkedSince = now.Add(-parkedFor)
		orphans, dropped, err := r.store.Orphans(ctx, now.Add(-orphanAfter), q.ParkedSince)
		if err != nil {
			return fmt.Errorf("count orphans: %w", err)
		}
		r.metrics.orphans.Set(float64(orphans))
		r.metrics.results.WithLabelValues("dropped").Add(float64(dropped))
	}
	for {
		n, err := r.store.Sweep(ctx, q, r.emit)
		if err != nil {
			return fmt.Errorf("sweep parked receipts: %w", err)
		}
		if n < q.Limit {
			return nil
		}
	}
}
