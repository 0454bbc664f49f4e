package tracking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
)

const (
	// refAge is how long after its acceptance a message is looked for.
	refAge = 15 * 24 * time.Hour
	// recent is how old the acceptance of most receipts is at most. Older ones are not looked for at once, but by the
	// looks at parked receipts: most of those that are not known at first are early, and every hour that is searched has
	// its price.
	recent = 3 * time.Hour
	// skew is how far the clocks of Herald's processes may differ: one may accept a message later, by its own clock, than
	// another one sees its receipt.
	skew = 5 * time.Minute
	// parkedFor is how long a receipt waits for its message.
	parkedFor = 72 * time.Hour
	// young is how long a parked receipt is looked at each second.
	young = time.Minute
	// orphanAfter is when a parked receipt counts as one of nobody's: by then it has been looked for everywhere.
	orphanAfter = 4 * time.Minute
	// slowest is how long a look at all that is parked may take.
	slowest = 10 * time.Minute
	maxRef  = 512 // bytes of a provider's id
)

// Config holds the settings of Receipts.
type Config struct {
	Topic string // the events topic
	// Channels are the channels of the providers, by name; a provider that is missing is taken for SMS.
	Channels map[string]delivery.Channel
	Every    time.Duration         // pause between looks at parked receipts; default 1 s
	Timeout  time.Duration         // of one look at young receipts, and of the events of one page; default 20 s
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
	// Resolve finds what the keys stand for, by the newest acceptance in the hours from since to till. Unknown keys are
	// left out.
	Resolve(ctx context.Context, keys []Key, since, till time.Time) (map[Key]Target, error)
	// Park keeps receipts that nobody knows. A second receipt of one provider, ref and state changes nothing.
	Park(ctx context.Context, receipts []delivery.Receipt, channels map[string]delivery.Channel, now time.Time) error
	// MarkParts adds to the states of messages, which are all different, and returns the new states in any order.
	MarkParts(ctx context.Context, marks []Parts) ([]Parts, error)
	// Sweep calls found with parked receipts whose message is known now, and forgets them when it returns nil.
	Sweep(ctx context.Context, q SweepQuery, found func(context.Context, []Found) error) error
	// Waiting forgets the parked receipts from before drop, and counts what is parked then. Orphans are receipts from
	// before the time.
	Waiting(ctx context.Context, before, drop time.Time) (Parked, error)
}

// Parked counts what waits for its message.
type Parked struct {
	Receipts, Events int64
	Orphans          int64 // of the receipts
	Dropped          int64 // receipts that waited too long and are gone
}

// Parts is what is known of the parts of a message, one bit each, the lowest for part 1. A part that arrived is not bad.
type Parts struct {
	Message delivery.ID
	Parts   int
	OK, Bad int64
}

// SweepQuery says which parked receipts are looked at.
type SweepQuery struct {
	ParkedSince, ParkedBefore time.Time     // when the receipts were parked
	Depth, Skew               time.Duration // how long before or after that their messages were accepted, at most
	Till                      time.Time     // later acceptances count up to here, whenever the receipt was parked
	Limit                     int           // of receipts in one transaction
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
	memory := newMemory()
	return &Receipts{
		cfg: cfg, store: store, writer: writer, memory: memory, metrics: newMetrics(cfg.Metrics, memory),
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
	now := r.cfg.Now()
	targets, err := r.store.Resolve(ctx, keys, now.Add(-recent), now.Add(skew))
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

// look is a way to search for the messages of parked receipts.
type look struct {
	every    time.Duration
	from, to time.Duration // how long ago they were parked
	depth    time.Duration // how long before that the message was accepted, at most
}

// deep says that every acceptance is searched that is kept: also those after the receipt was parked, because a provider may
// give an id again, and clocks may be wrong.
func (l look) deep() bool { return l.depth == refAge }

// youngOnes finds early receipts within a second or two of the acceptance's record.
func (r *Receipts) youngOnes() look {
	return look{every: r.cfg.Every, from: young + r.cfg.Every, depth: recent}
}

// olderOnes find late receipts one to two minutes after they came, and what a recorder left behind for hours within the
// hour.
func olderOnes() []look {
	return []look{
		{every: time.Minute, from: parkedFor, to: young, depth: recent},
		{every: time.Minute, from: young + 2*time.Minute, to: young, depth: refAge},
		{every: time.Hour, from: parkedFor, to: young, depth: refAge},
	}
}

// Run looks for the messages of parked receipts until ctx ends. Older ones are looked at by one look after the other:
// each passes over what another one has in hand.
func (r *Receipts) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { r.repeat(ctx, r.youngOnes()) })
	both.Go(func() { r.repeat(ctx, olderOnes()...) })
	both.Wait()
}

// repeat takes each look at once and then as often as it is due. The first is the one that is due most often.
func (r *Receipts) repeat(ctx context.Context, looks ...look) {
	tick := time.NewTicker(looks[0].every)
	defer tick.Stop()
	taken := make([]time.Time, len(looks))
	for {
		for i, l := range looks {
			now := r.cfg.Now()
			if now.Sub(taken[i]) < l.every-r.cfg.Every { // a tick may come a little early
				continue
			}
			if err := r.sweep(ctx, l); err == nil {
				taken[i] = now
			} else if ctx.Err() == nil {
				r.cfg.Log.WarnContext(ctx, "parked receipts wait", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const sweepPage = 500

// Sweep looks once for the messages of all parked receipts, however old, and counts those that wait for long.
func (r *Receipts) Sweep(ctx context.Context) error {
	return r.sweep(ctx, look{from: parkedFor, depth: refAge})
}

func (r *Receipts) sweep(ctx context.Context, l look) error {
	limit := r.cfg.Timeout
	if l.from == parkedFor {
		limit = slowest
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	now := r.cfg.Now()
	q := SweepQuery{
		ParkedSince: now.Add(-l.from), ParkedBefore: now.Add(-l.to), Depth: l.depth, Skew: skew, Limit: sweepPage,
	}
	if l.to == 0 {
		q.ParkedBefore = now.Add(parkedFor) // the clock of whoever parked it may be ahead
	}
	if l.deep() {
		q.Till = now.Add(skew)
	}
	if l.from == parkedFor {
		parked, err := r.store.Waiting(ctx, now.Add(-orphanAfter), q.ParkedSince)
		if err != nil {
			return fmt.Errorf("count what is parked: %w", err)
		}
		r.metrics.park(parked)
		r.metrics.results.WithLabelValues("dropped").Add(float64(parked.Dropped))
	}
	err := r.store.Sweep(ctx, q, func(ctx context.Context, found []Found) error {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
		defer cancel()
		return r.emit(ctx, found)
	})
	if err != nil {
		return fmt.Errorf("sweep parked receipts: %w", err)
	}
	return nil
}
