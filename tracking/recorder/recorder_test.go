package recorder_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/tracking/recorder"
	"github.com/herald-gateway/herald/tracking/recorder/recordertest"
)

const dead = "herald.dead"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

type bundle struct {
	rec   *recorder.Recorder
	store *recordertest.Memory
	log   *recordertest.Log
	next  int64
}

func setup(t require.TestingT, change ...func(*recorder.Config)) *bundle {
	b := &bundle{store: recordertest.NewMemory(), log: new(recordertest.Log)}
	cfg := recorder.Config{
		Stream: "recorder", Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead,
		Now: func() time.Time { return noon.Add(3 * time.Hour) },
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	b.rec, err = recorder.New(cfg, b.store, b.log)
	require.NoError(t, err)
	return b
}

// record hands the events over as one batch.
func (b *bundle) record(t require.TestingT, events ...delivery.Event) {
	b.handle(t, recordertest.Records(0, b.next, events))
}

func (b *bundle) handle(t require.TestingT, records []delivery.Record) {
	if b.next == 0 {
		at, err := b.rec.Position(ctx(t), 0)
		require.NoError(t, err)
		require.Equal(t, int64(-1), at)
	}
	for i := range records {
		records[i].Offset = b.next + int64(i)
	}
	require.NoError(t, b.rec.Handle(ctx(t), 0, records))
	b.next += int64(len(records))
}

// origin and receipt make events of message n of the job.
func origin(job delivery.ID, n int, k delivery.Kind, at time.Time, change ...func(*delivery.Event)) delivery.Event {
	e := delivery.Event{
		V: 1, ID: delivery.DispatchEventID(job.Message(n), k, 0, 1), Kind: k, At: at, Job: job, Message: job.Message(n),
		Link: n, Provider: "mts", ProfileID: -7, Launch: "autumn", Attempt: 1,
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func receipt(job delivery.ID, n int, k delivery.Kind, at time.Time) delivery.Event {
	m := job.Message(n)
	return delivery.Event{
		V: 1, ID: delivery.ReceiptEventID(m, k, 1, k.String()), Kind: k, At: at, Job: job, Message: m, Provider: "mts",
	}
}

func next(link int, at time.Time) func(*delivery.Event) {
	return func(e *delivery.Event) { e.Next = &delivery.Next{Link: link, At: at} }
}

func because(r delivery.Reason) func(*delivery.Event) {
	return func(e *delivery.Event) { e.Reason = r }
}

func buckets(m *recordertest.Memory) map[string]int64 {
	out := map[string]int64{}
	for e, n := range m.Ledger {
		name := e.Bucket.String()
		if e.Reason != 0 {
			name += "{" + e.Reason.String() + "}"
		}
		out[name] += n
	}
	return out
}

func TestRecorder_OrderAndRepeatsChangeNothing(t *testing.T) {
	t.Parallel()
	first := delivery.IDAt(noon)
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		jobs := recordertest.History(rng, first, rapid.IntRange(1, 12).Draw(t, "jobs"), "autumn", "")
		straight, shuffled := setup(t), setup(t)
		if all := recordertest.InOrder(jobs); len(all) > 0 {
			// Names get their numbers in the order of the log; they are not what is compared here.
			straight.record(t, all...)
			maps.Copy(shuffled.store.Names(), straight.store.Names())
		}
		mixed := recordertest.Shuffle(rng, jobs)
		for len(mixed) > 0 {
			n := rapid.IntRange(1, len(mixed)).Draw(t, "batch")
			shuffled.record(t, mixed[:n]...)
			mixed = mixed[n:]
		}
		same := []cmp.Option{cmpopts.EquateEmpty()}
		require.Empty(t, cmp.Diff(straight.store.Rows, shuffled.store.Rows, same...))
		require.Empty(t, cmp.Diff(straight.store.Rollup, shuffled.store.Rollup, same...))
		require.Empty(t, cmp.Diff(straight.store.Ledger, shuffled.store.Ledger, same...))
		var rows, counted int64
		byJob := map[delivery.ID]bool{}
		for id := range straight.store.Rows {
			byJob[id.Job()] = true
		}
		rows = int64(len(byJob))
		for _, n := range straight.store.Ledger {
			counted += n
		}
		require.Equal(t, rows, counted, "each job stands in one bucket")
	})
}

func TestRecorder_LedgerFollowsTheJob(t *testing.T) {
	t.Parallel()
	job := delivery.IDAt(noon)
	at := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	tests := []struct {
		name   string
		events []delivery.Event
		want   map[string]int64
	}{
		{"accepted", []delivery.Event{origin(job, 0, delivery.KindAccepted, at(0))}, map[string]int64{"awaiting": 1}},
		{
			"early receipt waits for its message",
			[]delivery.Event{receipt(job, 0, delivery.KindDelivered, at(1)), origin(job, 0, delivery.KindAccepted, at(0))},
			map[string]int64{"delivered": 1},
		},
		{"receipt alone is no fate", []delivery.Event{receipt(job, 0, delivery.KindDelivered, at(1))}, map[string]int64{}},
		{
			"late acceptance of one in doubt",
			[]delivery.Event{origin(job, 0, delivery.KindUnknown, at(0)), receipt(job, 0, delivery.KindAccepted, at(1))},
			map[string]int64{"awaiting": 1},
		},
		{
			"failure moves it from accepted",
			[]delivery.Event{
				origin(job, 0, delivery.KindAccepted, at(0)), receipt(job, 0, delivery.KindFailed, at(1)),
			},
			map[string]int64{"failed": 1},
		},
		{
			"link failed, next to come",
			[]delivery.Event{origin(job, 0, delivery.KindRejected, at(0), next(1, at(9)))},
			map[string]int64{"pending": 1},
		},
		{
			"link failed, next accepted",
			[]delivery.Event{
				origin(job, 0, delivery.KindRejected, at(0), next(1, at(9))), origin(job, 1, delivery.KindAccepted, at(2)),
			},
			map[string]int64{"awaiting": 1},
		},
		{
			"accepted with a link to come",
			[]delivery.Event{origin(job, 0, delivery.KindAccepted, at(0), next(1, at(9)))},
			map[string]int64{"open": 1},
		},
		{
			"hold-out has no next link",
			[]delivery.Event{
				origin(job, 0, delivery.KindSuppressed, at(0), next(1, at(9)), because(delivery.ReasonHoldout)),
			},
			map[string]int64{"suppressed{holdout}": 1},
		},
		{
			"redriven alone is no fate",
			[]delivery.Event{origin(job, 0, delivery.KindRedriven, at(0))},
			map[string]int64{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			one, apart := setup(t), setup(t)
			one.record(t, tt.events...)
			for _, e := range tt.events {
				apart.record(t, e)
			}
			require.Equal(t, tt.want, buckets(one.store))
			require.Equal(t, tt.want, buckets(apart.store))
		})
	}
}

func TestRecorder_NextLinks(t *testing.T) {
	t.Parallel()
	job := delivery.IDAt(noon)
	deadline := noon.Add(time.Hour)
	accepted := origin(job, 0, delivery.KindAccepted, noon, next(1, deadline), func(e *delivery.Event) { e.Turn = 2 })
	failed := receipt(job, 0, delivery.KindFailed, noon.Add(time.Minute))
	tests := []struct {
		name   string
		events []delivery.Event
		want   []time.Time
	}{
		{"deadline of an acceptance", []delivery.Event{accepted}, []time.Time{deadline}},
		{"once for repeats", []delivery.Event{accepted, accepted}, []time.Time{deadline}},
		{"at once after a failure", []delivery.Event{accepted, failed, failed}, []time.Time{deadline, failed.At}},
		{"not when it arrived", []delivery.Event{accepted, receipt(job, 0, delivery.KindDelivered, noon), failed}, []time.Time{deadline}},
		{"not when the next one exists", []delivery.Event{accepted, origin(job, 1, delivery.KindAccepted, noon), failed}, []time.Time{deadline}},
		{"the dispatcher goes on itself", []delivery.Event{origin(job, 0, delivery.KindSuppressed, noon, next(1, time.Time{}))}, nil},
		{"refused at once", []delivery.Event{origin(job, 0, delivery.KindRejected, noon, next(1, deadline))}, []time.Time{noon}},
		{"in doubt", []delivery.Event{origin(job, 0, delivery.KindUnknown, noon, next(1, deadline))}, []time.Time{deadline}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, e := range tt.events {
				b.record(t, e)
			}
			var got []time.Time
			for _, d := range b.store.Due {
				got = append(got, d.At)
				require.Equal(t, job.Message(1), d.Message)
				require.Equal(t, job.Message(0), d.Skip)
				require.Equal(t, delivery.UnlessDelivered.Flags(), d.SkipFlags)
				require.Equal(t, tt.events[0].Turn+1, d.Turn)
			}
			require.Equal(t, tt.want, got)
			silent := setup(t, func(c *recorder.Config) { c.Replay = true })
			silent.record(t, tt.events...)
			require.Empty(t, silent.store.Due)
		})
	}
}

func TestRecorder_TimelineAndReferences(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := delivery.IDAt(noon)
	refs := func(list ...string) func(*delivery.Event) {
		return func(e *delivery.Event) { e.ProviderRefs, e.Parts = list, len(list) }
	}
	late := receipt(job, 0, delivery.KindAccepted, noon.Add(time.Minute))
	late.ProviderRefs, late.Parts = []string{"", "b7"}, 2
	b.record(t, origin(job, 0, delivery.KindHeld, noon, because(delivery.ReasonQuietHours)))
	b.record(t, origin(job, 0, delivery.KindUnknown, noon), late)
	b.record(t, origin(job, 1, delivery.KindAccepted, noon, refs("c1", "c2")), origin(job, 1, delivery.KindRedriven, noon))
	b.record(t, receipt(job, 0, delivery.KindDelivered, noon.Add(time.Hour)))

	var lines []string
	for _, l := range b.store.Lines {
		line := l.Kind.String()
		if l.Late {
			line += " late"
		}
		lines = append(lines, line)
	}
	require.Equal(t, []string{"held", "unknown", "redriven", "delivered late"}, lines)
	var got []string
	for _, r := range b.store.Refs {
		got = append(got, r.Ref)
		require.Equal(t, 2, r.Parts)
	}
	require.Equal(t, []string{"b7", "c1", "c2"}, got)
	require.Equal(t, 2, b.store.Refs[0].Part)
}

func TestRecorder_BadRecordsAreBuried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := delivery.IDAt(noon)
	var events []delivery.Event
	for i := range 9 {
		job := first + delivery.ID(i*delivery.MessagesPerJob)
		events = append(events, origin(job, 0, delivery.KindRejected, noon))
	}
	events[4].Detail = "poison"
	b.store.Refuse = "poison"
	records := recordertest.Records(0, 0, events)
	records[1].Value = []byte(`{"v":1`)
	foreign := origin(delivery.IDAt(noon.AddDate(1, 0, 0)), 0, delivery.KindRejected, noon)
	records = append(records, recordertest.Records(0, 9, []delivery.Event{foreign})...)
	b.handle(t, records)

	require.Len(t, b.store.Rows, 7)
	var buried []int64
	for _, r := range b.log.Records(dead) {
		for i, was := range records {
			if string(was.Value) == string(r.Value) {
				buried = append(buried, int64(i))
			}
		}
	}
	slices.Sort(buried)
	require.Equal(t, []int64{1, 4, 9}, buried)
	at, err := b.rec.Position(ctx(t), 0)
	require.NoError(t, err)
	require.Equal(t, int64(10), at)
}

func TestRecorder_Fencing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := delivery.IDAt(noon)
	zombie, err := recorder.New(recorder.Config{Stream: "recorder", Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead}, b.store, b.log)
	require.NoError(t, err)
	_, err = zombie.Position(ctx(t), 0)
	require.NoError(t, err)
	b.record(t, origin(job, 0, delivery.KindAccepted, noon))
	again := recordertest.Records(0, 0, []delivery.Event{origin(job, 0, delivery.KindAccepted, noon)})
	require.ErrorIs(t, zombie.Handle(ctx(t), 0, again), recorder.ErrFenced)
	require.ErrorIs(t, zombie.Handle(ctx(t), 0, again), recorder.ErrFenced, "without asking for the position again")
	at, err := zombie.Position(ctx(t), 0)
	require.NoError(t, err)
	require.Equal(t, int64(1), at)

	lost := errors.New("lost")
	other := setup(t, func(c *recorder.Config) { c.Cluster, c.Lost = "other", lost })
	_, err = other.rec.Position(ctx(t), 0)
	require.ErrorIs(t, err, lost)
	require.ErrorIs(t, err, recorder.ErrOtherCluster)
}

func TestRecorder_DeadLettersComeBeforeTheCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log.Err = errors.New("no broker")
	_, err := b.rec.Position(ctx(t), 0)
	require.NoError(t, err)
	err = b.rec.Handle(ctx(t), 0, []delivery.Record{{Topic: recordertest.Topic, Value: []byte("no json")}})
	require.ErrorIs(t, err, b.log.Err)
	at, err := b.rec.Position(ctx(t), 0)
	require.NoError(t, err)
	require.Equal(t, int64(-1), at)
}

func TestRecorder_DaysThatAreGone(t *testing.T) {
	t.Parallel()
	old, today := delivery.IDAt(noon.AddDate(0, 0, -50)), delivery.IDAt(noon)
	b := setup(t)
	b.store.Gone = func(id delivery.ID) bool { return id < today }
	b.record(t, origin(old, 0, delivery.KindAccepted, noon), origin(today, 0, delivery.KindAccepted, noon))
	require.Len(t, b.store.Rows, 1)
	b.store.Gone = func(delivery.ID) bool { return true }
	err := b.rec.Handle(ctx(t), 0, recordertest.Records(0, 2, []delivery.Event{origin(today, 0, delivery.KindAccepted, noon)}))
	require.ErrorContains(t, err, "no partition", "today's partition will be made: the event waits")
}
