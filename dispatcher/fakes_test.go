package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	"github.com/herald-gateway/herald/providers"
)

// world is everything around a dispatcher, in memory.
type world struct {
	mu        sync.Mutex
	t         *testing.T
	lastOwner int64
	dead      map[int64]bool
	nextID    delivery.ID
	keys      map[string]delivery.ID
	claims    map[delivery.ID]*dispatcher.Claim
	bodies    map[delivery.ID][]byte
	due       []delivery.Due
	void      map[string]int
	fates     map[delivery.ID]delivery.Fate
	events    []delivery.Event
	dead2     []delivery.Record // dead letters
	refs      map[string]delivery.ID
	submits   []submit
	answer    func(*providers.Message) providers.Result
	delay     time.Duration
	size      int            // of every message
	finished  map[int64]bool // offsets
	offset    int64
	log       []string // events and submits in the order in which they happened
	awayUntil time.Time
	lag       time.Duration // of the answer to the next claim
}

type submit struct {
	message delivery.ID
	to      string
	text    string
	resend  bool
}

type fixture struct {
	*world
	d      *dispatcher.Dispatcher
	owner  *dispatcher.Ownership
	window *providers.Window
	reg    *prometheus.Registry
}

func accepted(m *providers.Message) providers.Result {
	return providers.Result{Outcome: delivery.OutcomeAccepted, ProviderIDs: []string{"r" + m.ID.String()}, Parts: 1}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC))) // ids need a time after their epoch
	return &world{
		t: t, dead: map[int64]bool{}, nextID: delivery.IDAt(time.Now()), keys: map[string]delivery.ID{},
		claims: map[delivery.ID]*dispatcher.Claim{}, bodies: map[delivery.ID][]byte{}, void: map[string]int{},
		fates: map[delivery.ID]delivery.Fate{}, refs: map[string]delivery.ID{}, finished: map[int64]bool{},
		answer: accepted, delay: 10 * time.Millisecond, size: 1,
	}
}

// setup starts a dispatcher in w with one SMS account. Call it in a synctest bubble.
func setup(t *testing.T, w *world) *fixture {
	t.Helper()
	f := &fixture{world: w, window: providers.NewWindow(), reg: prometheus.NewRegistry()}
	f.window.SetSize(100)
	log := slog.New(slog.DiscardHandler)
	f.owner = dispatcher.NewOwnership(w, "test", "herald-1", log, func(context.Context, []string) {})
	require.NoError(t, f.owner.Register(t.Context()))
	var err error
	f.d, err = dispatcher.New(dispatcher.Config{
		EventsTopic: "events", DeadTopic: "dead", Zone: time.FixedZone("MSK", 3*3600),
	}, dispatcher.Deps{
		Claims: w, Owner: f.owner, Fates: w, Events: w, References: w, Now: time.Now, Log: log,
		Metrics: f.reg,
		Accounts: []dispatcher.Account{{
			Provider: &account{w}, Window: f.window, Limiter: providers.NewLimiter(0),
		}},
	})
	require.NoError(t, err)
	f.d.Start()
	return f
}

// gauge is the sum of a metric's series.
func (f *fixture) gauge(name string) (n int) {
	families, err := f.reg.Gather()
	require.NoError(f.t, err)
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				n += int(m.GetGauge().GetValue())
			}
		}
	}
	return n
}

func (f *fixture) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	require.NoError(f.t, f.d.Drain(ctx))
}

// send gives a job's record to the dispatcher and returns its offset.
func (f *fixture) send(j *delivery.Job) int64 {
	b, err := delivery.EncodeJob(j)
	require.NoError(f.t, err)
	return f.sendBytes(j.Category.Lane(), b)
}

func (f *fixture) sendBytes(lane delivery.Lane, b []byte) int64 {
	f.mu.Lock()
	f.offset++
	off := f.offset
	f.mu.Unlock()
	f.d.Handle(f.t.Context(), lane, []*delivery.Received{{
		Record: delivery.Record{Topic: "jobs", Offset: off, Value: b, Time: time.Now()}, From: f.world,
	}})
	return off
}

func (w *world) isFinished(off int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finished[off]
}

func (w *world) kinds() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, e := range w.events {
		s := e.Kind.String()
		if e.Reason != delivery.ReasonNone {
			s += "{" + e.Reason.String() + "}"
		}
		list = append(list, s)
	}
	return list
}

func (w *world) history() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.log...)
}

func (w *world) submitted() []submit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]submit(nil), w.submits...)
}

// job is a valid job with the given change.
func job(change func(*delivery.Job)) *delivery.Job {
	j := &delivery.Job{
		V: 1, Key: "k", Category: delivery.CategoryMarketing,
		Recipient: &delivery.Recipient{Phone: "+79000000001"},
		Content:   &delivery.Content{SMS: &delivery.SMS{Text: "Hello {{ name }}"}},
		Data:      map[string]any{"name": "Olga"},
	}
	if change != nil {
		change(j)
	}
	return j
}

func transactional(j *delivery.Job) { j.Category = delivery.CategoryTransactional }

// Finish implements delivery.Finisher.
func (w *world) Finish(off int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished[off] = true
}

// Write implements dispatcher.Writer; recorded fates follow at once.
func (w *world) Write(_ context.Context, records []delivery.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range records {
		if len(r.Value) > 899_000 {
			return errors.New("the record is too large")
		}
		if r.Topic == "dead" {
			w.dead2 = append(w.dead2, r)
			continue
		}
		var e delivery.Event
		require.NoError(w.t, json.Unmarshal(r.Value, &e))
		w.events = append(w.events, e)
		w.log = append(w.log, "event "+e.Kind.String())
		f := w.fates[e.Message]
		if e.Kind == delivery.KindRedriven {
			f.Redriven++
		}
		if e.Kind.Rank() > f.Rank {
			f.Rank, f.Reason = e.Kind.Rank(), e.Reason
		}
		f.Turn = max(f.Turn, e.Turn)
		w.fates[e.Message] = f
	}
	return nil
}

// Remember implements dispatcher.References.
func (w *world) Remember(_ string, refs []string, m delivery.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range refs {
		w.refs[r] = m
	}
}

// Fates implements dispatcher.Fates.
func (w *world) Fates(_ context.Context, ids []delivery.ID) (map[delivery.ID]delivery.Fate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[delivery.ID]delivery.Fate{}
	for _, id := range ids {
		if f, ok := w.fates[id]; ok {
			out[id] = f
		}
	}
	return out, nil
}

// CatchUp implements dispatcher.Fates.
func (w *world) CatchUp(context.Context) error { return nil }

// Claim implements dispatcher.Claims.
func (w *world) Claim(
	_ context.Context, owner int64, asks []dispatcher.Ask, _ time.Time,
) ([]dispatcher.Claimed, error) {
	defer func() { time.Sleep(w.takeLag()) }()
	return w.claim(owner, asks)
}

// takeLag is how late the answer to a claim comes, once.
func (w *world) takeLag() (lag time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lag, w.lag = w.lag, 0
	return lag
}

func (w *world) claim(owner int64, asks []dispatcher.Ask) ([]dispatcher.Claimed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().Before(w.awayUntil) {
		return nil, context.DeadlineExceeded
	}
	if w.dead[owner] {
		return nil, dispatcher.ErrOwnerDead
	}
	out := make([]dispatcher.Claimed, len(asks))
	for i, a := range asks {
		id := a.ID
		if id == 0 {
			id = w.keys[a.Key]
		}
		if id == 0 {
			w.nextID += delivery.MessagesPerJob
			id = w.nextID
			w.keys[a.Key] = id
		}
		out[i] = dispatcher.Claimed{ID: id, LaunchID: 1}
		c, ok := w.claims[id]
		switch {
		case !ok:
			w.claims[id] = &dispatcher.Claim{ID: id, Owner: owner, Turn: a.Turn, Partition: a.Partition, Offset: a.Offset}
			out[i].Ours, out[i].New = true, true
		case a.Turn > 0 && (c.Turn < a.Turn || c.Turn == a.Turn && c.Stage&dispatcher.StageDue != 0):
			c.Turn, c.Owner, c.Stage = a.Turn, owner, c.Stage&dispatcher.StageCap
			out[i].Ours = true
		}
	}
	return out, nil
}

// Look implements dispatcher.Claims.
func (w *world) Look(_ context.Context, ids []delivery.ID) ([]dispatcher.Claim, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []dispatcher.Claim
	for _, id := range ids {
		if c, ok := w.claims[id]; ok {
			seen := *c
			seen.Dead = c.Owner == 0 || w.dead[c.Owner]
			list = append(list, seen)
		}
	}
	return list, nil
}

// TakeOver implements dispatcher.Claims.
func (w *world) TakeOver(_ context.Context, owner int64, list []dispatcher.Claim) ([]dispatcher.Claim, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead[owner] {
		return nil, dispatcher.ErrOwnerDead
	}
	var taken []dispatcher.Claim
	for _, was := range list {
		if c := w.claims[was.ID]; c.Owner == was.Owner && c.Stage&dispatcher.StageDue == 0 {
			c.Owner = owner
			taken = append(taken, *c)
		}
	}
	return taken, nil
}

// Mark implements dispatcher.Claims.
func (w *world) Mark(_ context.Context, owner int64, ids []delivery.ID) ([]delivery.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ours []delivery.ID
	for _, id := range ids {
		if c := w.claims[id]; c.Owner == owner && !w.dead[owner] {
			c.Stage |= dispatcher.StageHanded
			ours = append(ours, id)
		}
	}
	return ours, nil
}

// Unmark implements dispatcher.Claims.
func (w *world) Unmark(_ context.Context, owner int64, ids []delivery.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if c := w.claims[id]; c.Owner == owner {
			c.Stage &^= dispatcher.StageHanded
		}
	}
	return nil
}

// Hold implements dispatcher.Claims.
func (w *world) Hold(_ context.Context, owner int64, holds []dispatcher.Hold) ([]delivery.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ours []delivery.ID
	for _, h := range holds {
		if c := w.claims[h.Job]; c.Owner == owner && c.Turn == h.Turn {
			c.Turn, c.Stage, c.Owner = c.Turn+1, c.Stage&dispatcher.StageCap|dispatcher.StageDue, 0
			w.due = append(w.due, h.Due)
			w.bodies[h.Job] = h.Body
			ours = append(ours, h.Job)
		}
	}
	return ours, nil
}

// Void implements dispatcher.Claims.
func (w *world) Void(_ context.Context, _ int64, labels map[string]int, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l, n := range labels {
		w.void[l] += n
	}
	return nil
}

// Register implements dispatcher.Owners.
func (w *world) Register(context.Context, string, string) (dispatcher.Owner, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastOwner++
	return dispatcher.Owner{ID: w.lastOwner}, nil
}

// Beat implements dispatcher.Owners.
func (w *world) Beat(_ context.Context, id int64) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.dead[id], nil
}

// Reap implements dispatcher.Owners.
func (w *world) Reap(context.Context, time.Duration) ([]string, error) { return nil, nil }

// Retire implements dispatcher.Owners.
func (w *world) Retire(_ context.Context, id int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[id] = true
	return nil
}

// account is a provider that answers as the world says.
type account struct{ w *world }

func (*account) Name() string { return "mts" }

func (*account) Capability() providers.Capability {
	return providers.Capability{Channel: delivery.ChannelSMS, ReportsDelivery: true}
}

func (a *account) Size(*providers.Message) int { return a.w.size }

func (a *account) Submit(_ context.Context, m *providers.Message, done func(*providers.Message, providers.Result)) error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	sms, _ := m.Content.(*delivery.SMS)
	a.w.submits = append(a.w.submits, submit{m.ID, m.To, sms.Text, m.Resend})
	a.w.log = append(a.w.log, "submit")
	answer, delay := a.w.answer, a.w.delay
	time.AfterFunc(delay, func() { done(m, answer(m)) })
	return nil
}

func (*account) Close(context.Context) error { return nil }
