package tracking_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/tracking"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// memory is a store without a database.
type memory struct {
	sweeping sync.Mutex // rows that are looked at are nobody else's

	mu       sync.Mutex
	refs     map[tracking.Key]tracking.Target
	accepted map[tracking.Key]time.Time // a reference without a time is found at any
	parts    map[delivery.ID]tracking.Parts
	parked   []parked
	err      error
}

type parked struct {
	delivery.Receipt
	at time.Time
}

func (s *memory) Resolve(_ context.Context, keys []tracking.Key, since, till time.Time) (map[tracking.Key]tracking.Target, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[tracking.Key]tracking.Target{}
	for _, k := range keys {
		if t, ok := s.find(k, since, till); ok {
			found[k] = t
		}
	}
	return found, s.err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *memory) find(k tracking.Key, since, till time.Time) (tracking.Target, bool) {
	t, ok := s.refs[k]
	at := s.accepted[k]
	return t, ok && (at.IsZero() || !at.Before(since) && !at.After(till))
}

func (s *memory) Park(_ context.Context, list []delivery.Receipt, _ map[string]delivery.Channel, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, r := range list {
		s.parked = append(s.parked, parked{r, now})
	}
	return nil
}

func (s *memory) MarkParts(_ context.Context, marks []tracking.Parts) ([]tracking.Parts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]tracking.Parts, 0, len(marks))
	for _, m := range marks {
		p := s.parts[m.Message]
		p.Message, p.Parts, p.OK = m.Message, m.Parts, p.OK|m.OK
		p.Bad = (p.Bad | m.Bad) &^ p.OK
		s.parts[m.Message] = p
		out = append(out, p)
	}
	return out, s.err
}

func (s *memory) Sweep(
	ctx context.Context, q tracking.SweepQuery, found func(context.Context, []tracking.Found) error,
) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	s.mu.Lock()
	var list []tracking.Found
	var rest []parked
	for _, p := range s.parked {
		t, ok := s.find(tracking.Key{Provider: p.Provider, Ref: p.Ref}, p.at.Add(-q.Depth), latest(q.Till, p.at.Add(q.Skew)))
		if ok && !p.at.Before(q.ParkedSince) && p.at.Before(q.ParkedBefore) {
			list = append(list, tracking.Found{Receipt: p.Receipt, Target: t})
		} else {
			rest = append(rest, p)
		}
	}
	seen := len(s.parked)
	s.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if err := found(ctx, list); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = append(rest, s.parked[seen:]...)
	return nil
}

func (s *memory) Waiting(_ context.Context, before, drop time.Time) (out tracking.Parked, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.parked)
	s.parked = slices.DeleteFunc(s.parked, func(p parked) bool { return p.at.Before(drop) })
	for _, p := range s.parked {
		if p.at.Before(before) {
			out.Orphans++
		}
	}
	out.Receipts, out.Dropped = int64(len(s.parked)), int64(n-len(s.parked))
	return out, nil
}

type log struct {
	mu     sync.Mutex
	events []delivery.Event
	err    error
}

func (l *log) Write(_ context.Context, records []delivery.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	for _, r := range records {
		var e delivery.Event
		if err := delivery.DecodeEvent(r.Value, &e); err != nil {
			return err
		}
		l.events = append(l.events, e)
	}
	return nil
}

type bundle struct {
	*tracking.Receipts
	store *memory
	log   *log
}

func setup(t *testing.T, now func() time.Time) *bundle {
	t.Helper()
	b := &bundle{store: &memory{
		refs: map[tracking.Key]tracking.Target{}, accepted: map[tracking.Key]time.Time{}, parts: map[delivery.ID]tracking.Parts{},
	}, log: new(log)}
	if now == nil {
		now = func() time.Time { return noon }
	}
	var err error
	b.Receipts, err = tracking.NewReceipts(tracking.Config{
		Topic: "events", Now: now, Channels: map[string]delivery.Channel{"viber": delivery.ChannelViber},
	}, b.store, b.log)
	require.NoError(t, err)
	return b
}

func of(ref string, s delivery.ReceiptState) delivery.Receipt {
	return delivery.Receipt{Provider: "mts", Ref: ref, State: s, At: noon}
}

// kinds are the events as "kind" or "kind{reason}".
func (b *bundle) kinds() []string {
	list := make([]string, 0, len(b.log.events))
	for _, e := range b.log.events {
		name := e.Kind.String()
		if e.Reason != 0 {
			name += "{" + e.Reason.String() + "}"
		}
		list = append(list, name)
	}
	return list
}

func TestReceipts_States(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	id := delivery.IDAt(noon)
	b.Remember("mts", []string{"a"}, id)
	for s, want := range map[delivery.ReceiptState]string{
		delivery.ReceiptSent: "", delivery.ReceiptDelivered: "delivered", delivery.ReceiptUndelivered: "failed",
		delivery.ReceiptRejected: "rejected", delivery.ReceiptExpired: "expired", delivery.ReceiptRead: "read",
	} {
		b.log.events = nil
		require.NoError(t, b.Receipts.Receipts(t.Context(), []delivery.Receipt{of("a", s)}))
		if want == "" {
			require.Empty(t, b.log.events)
			continue
		}
		require.Equal(t, []string{want}, b.kinds())
		e := b.log.events[0]
		require.Equal(t, id, e.Message)
		require.Equal(t, id.Job(), e.Job)
		require.Zero(t, e.ProfileID, "an event of tracking makes no message row")
	}
}

func TestReceipts_Resolution(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	id := delivery.IDAt(noon)
	b.Remember("mts", []string{"cached"}, id)
	b.store.refs[tracking.Key{Provider: "mts", Ref: "stored"}] = tracking.Target{Message: id + 8, Part: 1, Parts: 1}
	alt, known := of("unheard", delivery.ReceiptDelivered), of("", delivery.ReceiptDelivered)
	alt.AltRef, known.Message = "stored", id+16
	foreign := of("stored", delivery.ReceiptDelivered)
	foreign.Provider = "other"
	batch := []delivery.Receipt{
		of("cached", delivery.ReceiptDelivered), of("stored", delivery.ReceiptDelivered), alt, known, foreign,
		of("nobody", delivery.ReceiptDelivered), of("", delivery.ReceiptDelivered),
	}
	require.NoError(t, b.Receipts.Receipts(t.Context(), batch))
	var got []delivery.ID
	for _, e := range b.log.events {
		got = append(got, e.Message)
	}
	slices.Sort(got)
	require.Equal(t, []delivery.ID{id, id + 8, id + 8, id + 16}, got)
	require.Len(t, b.store.parked, 2)
	first := slices.Clone(b.log.events)
	b.log.events = nil
	require.NoError(t, b.Receipts.Receipts(t.Context(), batch[:4]))
	require.Empty(t, cmp.Diff(first, b.log.events), "a repeat is the same event")
}

func TestReceipts_AreAnsweredWhenDurable(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.Remember("mts", []string{"a"}, delivery.IDAt(noon))
	b.log.err = errors.New("no broker")
	require.ErrorIs(t, b.Receipts.Receipts(t.Context(), []delivery.Receipt{of("a", delivery.ReceiptDelivered)}), b.log.err)
	b.store.err = errors.New("no database")
	require.ErrorIs(t, b.Receipts.Receipts(t.Context(), []delivery.Receipt{of("x", delivery.ReceiptDelivered)}), b.store.err)
}

func TestReceipts_Parts(t *testing.T) {
	t.Parallel()
	ok := func(ref string) delivery.Receipt { return of(ref, delivery.ReceiptDelivered) }
	bad := func(ref string) delivery.Receipt { return of(ref, delivery.ReceiptUndelivered) }
	tests := []struct {
		name    string
		batches [][]delivery.Receipt
		want    []string
	}{
		{"all in one batch", [][]delivery.Receipt{{ok("p1"), ok("p2"), ok("p3")}}, []string{"delivered", "delivered", "delivered"}},
		{"one after the other", [][]delivery.Receipt{{ok("p3")}, {ok("p1")}, {ok("p2")}}, []string{"delivered"}},
		{"two of three", [][]delivery.Receipt{{ok("p3")}, {ok("p1")}, {ok("p1")}}, nil},
		{"first bad one at once", [][]delivery.Receipt{{ok("p3")}, {bad("p1")}}, []string{"failed{partial}"}},
		{"bad, then good after all", [][]delivery.Receipt{{bad("p1")}, {ok("p1"), ok("p2")}, {ok("p3")}}, []string{"failed{partial}", "delivered"}},
		{"good, then bad", [][]delivery.Receipt{{ok("p1"), ok("p2")}, {ok("p3")}, {bad("p3")}}, []string{"delivered"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.Remember("mts", []string{"p1", "p2", "p3"}, delivery.IDAt(noon))
			for _, batch := range tt.batches {
				require.NoError(t, b.Receipts.Receipts(t.Context(), batch))
			}
			require.Empty(t, cmp.Diff(tt.want, b.kinds(), cmpopts.EquateEmpty()))
			ids := map[string]bool{}
			for _, e := range b.log.events {
				ids[e.ID] = true
			}
			require.LessOrEqual(t, len(ids), 2, "the same fact has the same id")
		})
	}
}

func TestReceipts_LateAcceptance(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	id := delivery.IDAt(noon)
	late := of("p2", delivery.ReceiptAccepted)
	late.Message, late.Part, late.Parts = id, 2, 3
	require.NoError(t, b.Receipts.Receipts(t.Context(), []delivery.Receipt{late}))
	require.Equal(t, []string{"accepted"}, b.kinds())
	require.Equal(t, []string{"", "p2", ""}, b.log.events[0].ProviderRefs)
	require.NoError(t, b.Receipts.Receipts(t.Context(), []delivery.Receipt{of("p2", delivery.ReceiptUndelivered)}))
	require.Equal(t, []string{"accepted", "failed{partial}"}, b.kinds(), "its receipts are known from then on")
}

func TestReceipts_Replies(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	reply := delivery.Reply{Provider: "viber", From: "8 916 123-45-67", Text: "стоп", At: noon, ID: "7"}
	require.NoError(t, b.Replies(t.Context(), []delivery.Reply{reply}))
	e := b.log.events[0]
	require.Equal(t, delivery.KindReplied, e.Kind)
	require.Equal(t, delivery.AnonymousProfile("+79161234567"), e.ProfileID)
	require.Equal(t, delivery.ChannelViber, e.Channel)
	require.NotContains(t, e.Detail+e.Code, "стоп")
}

func TestReceipts_SweepFindsThemLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Run(ctx) }()
		synctest.Wait()
		require.NoError(t, b.Receipts.Receipts(ctx, []delivery.Receipt{of("early", delivery.ReceiptDelivered), of("orphan", delivery.ReceiptDelivered)}))
		b.store.mu.Lock()
		b.store.refs[tracking.Key{Provider: "mts", Ref: "early"}] = tracking.Target{Message: delivery.IDAt(noon), Part: 1, Parts: 1}
		b.store.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, []string{"delivered"}, b.kinds())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Len(t, b.store.parked, 1)
		b.store.mu.Lock()
		b.store.refs[tracking.Key{Provider: "mts", Ref: "orphan"}] = tracking.Target{Message: delivery.IDAt(noon) + 8, Part: 1, Parts: 1}
		b.store.mu.Unlock()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		require.Len(t, b.log.events, 2, "an orphan is looked at once a minute")
		require.NoError(t, b.Receipts.Receipts(ctx, []delivery.Receipt{of("never", delivery.ReceiptDelivered)}))
		time.Sleep(73 * time.Hour)
		synctest.Wait()
		require.Empty(t, b.store.parked)
		cancel()
		<-done
	})
}

// A receipt can come long before its acceptance is recorded, long after it was accepted, or both.
func TestReceipts_LooksReachEveryAcceptance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accepted time.Duration // before the receipt
		recorded time.Duration // after the receipt
		within   time.Duration // of both
	}{
		"at once":                         {accepted: time.Second, within: 0},
		"early":                           {accepted: time.Second, recorded: 500 * time.Millisecond, within: 2 * time.Second},
		"recorder behind":                 {accepted: time.Second, recorded: 40 * time.Minute, within: 61 * time.Second},
		"telephone off for a day":         {accepted: 26 * time.Hour, within: 2*time.Minute + time.Second},
		"for two weeks":                   {accepted: 14 * 24 * time.Hour, within: 2*time.Minute + time.Second},
		"off, and the recorder was down":  {accepted: 26 * time.Hour, recorded: 5 * time.Hour, within: time.Hour + time.Second},
		"an id that is given again":       {accepted: -40 * time.Minute, recorded: 41 * time.Minute, within: time.Hour + time.Second},
		"a clock that is a little behind": {accepted: -time.Minute, recorded: time.Second, within: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, time.Now)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); b.Run(ctx) }()
				time.Sleep(90*time.Minute + 300*time.Millisecond) // any moment between the looks
				k := tracking.Key{Provider: "mts", Ref: "a"}
				record := func() {
					b.store.mu.Lock()
					defer b.store.mu.Unlock()
					b.store.refs[k] = tracking.Target{Message: delivery.IDAt(noon), Part: 1, Parts: 1}
				}
				b.store.accepted[k] = time.Now().Add(-c.accepted)
				if c.recorded == 0 {
					record()
				}
				require.NoError(t, b.Receipts.Receipts(ctx, []delivery.Receipt{of("a", delivery.ReceiptDelivered)}))
				if c.recorded > 0 {
					time.Sleep(c.recorded)
					synctest.Wait()
					require.Empty(t, b.kinds())
					record()
				}
				time.Sleep(c.within)
				synctest.Wait()
				require.Equal(t, []string{"delivered"}, b.kinds())
				cancel()
				<-done
			})
		})
	}
}

func TestReceipts_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := noon
	b := setup(t, func() time.Time { return now })
	b.Remember("mts", []string{"a"}, delivery.IDAt(noon))
	for range 3 { // every shard turns twice
		now = now.Add(3 * time.Minute)
		for i := range 2000 {
			b.Remember("mts", []string{time.Duration(i).String()}, delivery.IDAt(noon))
		}
	}
	require.NoError(t, b.Receipts.Receipts(t.Context(), []delivery.Receipt{of("a", delivery.ReceiptDelivered)}))
	require.Empty(t, b.log.events)
	require.Len(t, b.store.parked, 1, "it was forgotten")
}
