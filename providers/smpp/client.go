package smpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/secret"
	"github.com/herald-gateway/herald/providers"
)

// ErrNotBound is what Submit returns while no connection is bound: nothing has left, submit again later.
var ErrNotBound = errors.New("no connection is bound")

// ErrClosed is what Submit returns after Close.
var ErrClosed = errors.New("the provider is closed")

var (
	_ providers.Provider      = (*client)(nil)
	_ providers.Sizer         = (*client)(nil)
	_ providers.ReceiptSource = (*client)(nil)
	_ hooks                   = (*client)(nil)
)

// client is one account.
type client struct {
	name    string
	cfg     Config
	log     *slog.Logger
	window  *providers.Window
	enc     *encoder
	class   classifier
	parser  receiptParser
	metrics *metrics
	health  health
	links   []*link
	dial    dialer

	turn     atomic.Uint32 // which link is looked at first
	bindsUp  atomic.Int32
	waiting  atomic.Int32  // Submits that wait for room
	room     chan struct{} // told when there may be room
	closing  chan struct{} // closed by Close
	stop     context.CancelFunc
	stopSink context.CancelFunc
	running  sync.WaitGroup // of links and of repeat
	sinks    sync.WaitGroup // the goroutine that feeds the sink

	queue    chan inbound
	sink     atomic.Pointer[providers.Sink]
	listened chan struct{}
	sinkEnd  chan struct{}
	unacked  atomic.Int64 // inbound that the sink has not taken yet
	kept     atomic.Int32 // of them, without an SMSC to send them again
	joining  atomic.Int32 // replies of which parts are missing

	mu      sync.Mutex
	closed  bool
	last    bool // no part goes again
	flights int
	landing chan struct{} // closed when closed and flights is 0
	delayed []delayed
}

// delayed is a set of parts that go again later.
type delayed struct {
	at     time.Time
	flight *flight
	parts  []int
	prefer *session
}

// dialer opens a connection to the SMSC.
type dialer func(ctx context.Context) (net.Conn, error)

// New makes an account and starts to connect it. It does not wait for the connection. Errors name the setting.
func New(setup providers.Setup) (providers.Provider, error) { return newClient(setup, nil) }

// Check reports everything that is wrong with an account's settings, without connecting it.
func Check(setup providers.Setup) error {
	_, err := load(setup)
	return err
}

// load reads the settings of an account.
func load(setup providers.Setup) (Config, error) {
	cfg := DefaultConfig()
	if err := setup.Decode(&cfg); err != nil {
		return cfg, err
	}
	if cfg.Password.IsZero() && cfg.PasswordFile != "" {
		if err := secret.Resolve(&cfg); err != nil {
			return cfg, err
		}
	}
	err := cfg.Validate()
	if setup.Channel != delivery.ChannelSMS {
		err = errors.Join(err, fmt.Errorf("channel: smpp sends sms, not %s", setup.Channel))
	}
	return cfg, err
}

func newClient(setup providers.Setup, dial dialer) (*client, error) {
	cfg, err := load(setup)
	if err != nil {
		return nil, err
	}
	c := &client{
		name: setup.Name, cfg: cfg, log: setup.Log.With("provider", setup.Name), window: setup.Window, dial: dial,
		room: make(chan struct{}, 1), closing: make(chan struct{}), landing: make(chan struct{}),
		queue: make(chan inbound, inboundQueue), listened: make(chan struct{}), sinkEnd: make(chan struct{}),
	}
	if c.dial == nil {
		if c.dial, err = newDialer(&c.cfg); err != nil {
			return nil, err
		}
	}
	if c.enc, err = newEncoder(&c.cfg); err != nil {
		return nil, err
	}
	c.class.over, _ = newStatusMap(cfg.Status) // Validate read it
	if c.metrics, err = newMetrics(setup.Metrics, c); err != nil {
		return nil, err
	}
	c.parser = newReceiptParser(c)
	c.start()
	return c, nil
}

func newReceiptParser(c *client) receiptParser {
	zone, _ := time.LoadLocation(c.cfg.ReceiptZone) // Validate read both
	reasons, _ := newReasonMap(c.cfg.Errors)
	return receiptParser{
		provider: c.name, respID: c.cfg.RespID, textID: c.cfg.ReceiptID, byText: c.cfg.ReceiptDetect == DetectText,
		zone: zone, reasons: reasons, unparsed: c.metrics.unparsed.Inc, clashs: c.metrics.clashes.Inc,
	}
}

func (c *client) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if len(c.cfg.Password.Reveal()) > 8 {
		c.log.WarnContext(ctx, "the password is longer than the 8 characters of SMPP 3.4")
	}
	roles := []role{roleTransceiver}
	if c.cfg.Bind == BindPair {
		roles = []role{roleTransmitter, roleReceiver}
	}
	for i := range c.cfg.Binds {
		for _, r := range roles {
			c.links = append(c.links, newLink(c, i+1, r))
		}
	}
	for _, l := range c.links {
		c.running.Go(func() { l.run(ctx) })
	}
	c.running.Go(func() { c.repeat(ctx) })
	sinkCtx, cancelSink := context.WithCancel(context.Background())
	c.stopSink = cancelSink
	c.sinks.Go(func() { c.feed(sinkCtx) })
}

// Name is the account's name.
func (c *client) Name() string { return c.name }

// Capability says that receipts tell of delivery, unless they are turned off.
func (c *client) Capability() providers.Capability {
	return providers.Capability{
		Channel: delivery.ChannelSMS, ReportsDelivery: c.cfg.Receipts == ReceiptsFinal,
	}
}

// Size is how many PDUs the message takes.
func (c *client) Size(m *providers.Message) int {
	if sms, ok := m.Content.(*delivery.SMS); ok && sms != nil {
		return c.enc.count(sms.Text)
	}
	return 1
}

// Submit hands the message over. It waits under ctx for room in a window; the dispatcher's own window mostly saw to
// that.
func (c *client) Submit(
	ctx context.Context, m *providers.Message, done func(*providers.Message, providers.Result),
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	if r := c.refused(m, now); r != nil {
		return c.refuse(m, done, *r)
	}
	b := benches.Get().(*bench) //nolint:forcetypeassert // the pool holds nothing else
	defer benches.Put(b)
	t := &b.text
	if err := c.enc.cut(t, m.Content.(*delivery.SMS).Text); err != nil { //nolint:forcetypeassert // refused looked at it
		return c.refuse(m, done, *refuse(delivery.OutcomeContent, delivery.ReasonContent, err.Error()))
	}
	f := &flight{client: c, msg: m, done: done, began: now, open: len(t.Parts)}
	f.parts = f.one[:]
	b.frame = c.enc.encode(b.frame[:0], m, t, 0, now)
	if len(t.Parts) > 1 {
		f.parts = make([]part, len(t.Parts))
		f.parts[0].frame = append([]byte(nil), b.frame...)
		for i := 1; i < len(t.Parts); i++ {
			f.parts[i].frame = c.enc.encode(nil, m, t, i, now)
		}
	}
	if !c.takeOff() {
		return ErrClosed
	}
	if err := c.hand(ctx, f, b.frame); err != nil {
		c.landed()
		return err
	}
	return nil
}

// bench is what a message is taken apart and encoded on.
type bench struct {
	text  text
	frame []byte
}

var benches = sync.Pool{New: func() any { return new(bench) }} //nolint:gochecknoglobals // a pool of scratch buffers

// refused says why the message is not sent; nil when it is.
func (c *client) refused(m *providers.Message, now time.Time) *providers.Result {
	if !m.ExpiresAt.IsZero() && !now.Before(m.ExpiresAt) {
		return &providers.Result{Outcome: delivery.OutcomeExpired}
	}
	return c.enc.refusal(m)
}

// refuse is done with a message that cannot be sent.
func (c *client) refuse(
	m *providers.Message, done func(*providers.Message, providers.Result), r providers.Result,
) error {
	if !c.takeOff() {
		return ErrClosed
	}
	defer c.landed()
	done(m, r)
	return nil
}

// takeOff counts a message that is on its way; false after Close.
func (c *client) takeOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.flights++
	return true
}

// landed counts a message that is done.
func (c *client) landed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights--; c.flights == 0 && c.closed {
		close(c.landing)
	}
}

// hand gives the message to the session with the most room, and waits for one to have some.
func (c *client) hand(ctx context.Context, f *flight, frame []byte) error {
	for {
		s, up := c.best()
		if s != nil && s.submit(f, frame, len(f.parts)) {
			if c.waiting.Load() > 0 {
				c.roomier() // there may be room for the next one, too
			}
			return nil
		}
		if s != nil {
			continue // somebody else was faster
		}
		if !up {
			return ErrNotBound
		}
		if err := c.waitRoom(ctx); err != nil {
			return err
		}
	}
}

func (c *client) waitRoom(ctx context.Context) error {
	c.waiting.Add(1)
	defer c.waiting.Add(-1)
	if s, up := c.best(); s != nil || !up {
		return nil
	}
	select {
	case <-c.room:
		return nil
	case <-c.closing:
		return ErrClosed
	case <-ctx.Done():
		c.roomier() // somebody else may need what this one was told
		return ctx.Err()
	}
}

// best is the session with the most room; nil when none has any. up says that one could have later.
func (c *client) best() (best *session, up bool) {
	most, turn := 0, int(c.turn.Add(1))
	for i := range c.links {
		s := c.links[(turn+i)%len(c.links)].session.Load()
		if s == nil || !s.role.sends() {
			continue
		}
		if n := s.room(); n > most {
			best, most = s, n
		}
		up = up || s.up()
	}
	return best, up
}

// roomier wakes a Submit that waits for room.
func (c *client) roomier() {
	if c.waiting.Load() == 0 {
		return
	}
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// repeats says that parts may still go again.
func (c *client) repeats() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.last
}

// later sends parts of a message again after a pause, if possible on the same connection.
func (c *client) later(f *flight, parts []int, after time.Duration, s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delayed = append(c.delayed, delayed{at: time.Now().Add(after), flight: f, parts: parts, prefer: s})
}

// repeat sends delayed parts when their time comes.
func (c *client) repeat(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			for _, d := range c.due(now) {
				c.again(d)
			}
		case <-ctx.Done():
			return
		}
	}
}

// delayedNow is how many messages have parts that wait to go again.
func (c *client) delayedNow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.delayed)
}

// due takes the delayed parts whose time has come.
func (c *client) due(now time.Time) (list []delayed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.delayed[:0]
	for _, d := range c.delayed {
		if d.at.After(now) {
			kept = append(kept, d)
		} else {
			list = append(list, d)
		}
	}
	clear(c.delayed[len(kept):])
	c.delayed = kept
	return list
}

// again hands parts to the connection they were on, or to the one with the most room. Without one they are as good as
// not sent, and the message decides what then.
func (c *client) again(d delayed) {
	s := d.prefer
	if s == nil || !s.up() {
		s, _ = c.best()
	}
	for _, n := range d.parts {
		if s == nil || !s.resubmit(d.flight, n) {
			d.flight.answered(s, n, answer{verdict: notSent})
		}
	}
}

// bound is told when a connection comes or goes: the account's window follows.
func (c *client) bound(n int32) {
	up := c.bindsUp.Add(n)
	c.mu.Lock()
	if !c.closed {
		c.window.SetSize(int(up) * c.cfg.Window)
	}
	c.mu.Unlock()
	c.wakeOne()
}

// wakeOne wakes a waiting Submit in any case, so that it sees that no connection is left.
func (c *client) wakeOne() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// Close stops taking messages, waits for answers until ctx ends, unbinds and closes. What has no answer then is
// unknown.
func (c *client) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	close(c.closing)
	if c.flights == 0 {
		close(c.landing)
	}
	c.window.SetSize(0)
	c.mu.Unlock()
	err := c.land(ctx)
	c.settleInbound(ctx)
	c.leave(ctx)
	close(c.sinkEnd)
	defer context.AfterFunc(ctx, c.stopSink)()
	c.sinks.Wait()
	c.stopSink()
	c.metrics.close()
	return err
}

// land waits until all messages are done or ctx ends.
func (c *client) land(ctx context.Context) error {
	select {
	case <-c.landing:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		return fmt.Errorf("close: %d messages without an answer: %w", c.flights, ctx.Err())
	}
}

// leave unbinds all connections at once and waits until everything has ended.
func (c *client) leave(ctx context.Context) {
	c.mu.Lock()
	c.last = true
	c.mu.Unlock()
	var wg sync.WaitGroup
	until := time.Now().Add(byePatience)
	if ctx.Err() != nil {
		until = time.Now()
	} else if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	for _, l := range c.links {
		wg.Go(func() { l.close(until) })
	}
	wg.Wait()
	c.stop()
	c.running.Wait()
	for _, d := range c.due(time.Now().Add(24 * time.Hour)) {
		for _, n := range d.parts {
			d.flight.answered(nil, n, answer{verdict: withdrawn})
		}
	}
}
