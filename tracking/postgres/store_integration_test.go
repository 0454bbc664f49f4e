//go:build integration

package postgres_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/delivery"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
	"github.com/herald-gateway/herald/tracking"
	trackstore "github.com/herald-gateway/herald/tracking/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
	"github.com/herald-gateway/herald/tracking/recorder/recordertest"
	"github.com/herald-gateway/herald/tracking/reports"
)

const stream, dead = "recorder", "herald.dead"

type bundle struct {
	db    *pg.DB
	store *trackstore.Store
	rec   *recorder.Recorder
	log   *recordertest.Log
	read  *trackstore.Reports
	fates *trackstore.Fates
	next  map[int]int64
	mu    sync.Mutex
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := pgtest.DB(t)
	b := &bundle{
		db: db, store: trackstore.New(db, duestore.New(db.Hot)), log: new(recordertest.Log),
		read: trackstore.NewReports(db.General, time.Now), fates: trackstore.NewFates(db.Hot), next: map[int]int64{},
	}
	var err error
	b.rec, err = recorder.New(recorder.Config{Stream: stream, Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead}, b.store, b.log)
	require.NoError(t, err)
	return b
}

// record hands the events over as one batch of the partition.
func (b *bundle) record(t *testing.T, part int, events ...delivery.Event) {
	t.Helper()
	b.mu.Lock()
	from, known := b.next[part]
	b.next[part] = from + int64(len(events))
	b.mu.Unlock()
	if !known {
		_, err := b.rec.Position(t.Context(), part)
		require.NoError(t, err)
	}
	require.NoError(t, b.rec.Handle(t.Context(), part, recordertest.Records(part, from, events)))
}

// claim makes the rows that a dispatcher makes of jobs, in the launch.
func (b *bundle) claim(t *testing.T, label string, jobs ...delivery.ID) {
	t.Helper()
	id, err := b.store.Launch(t.Context(), label, time.Now())
	require.NoError(t, err)
	_, err = b.db.General.Exec(t.Context(), `insert into claim (id, owner, launch_id) select unnest($1::bigint[]), 1, $2`, jobs, id)
	require.NoError(t, err)
	_, err = b.db.General.Exec(t.Context(), `insert into launch_claimed as l (launch_id, owner, n) values ($1, 1, $2)
		on conflict (launch_id, owner) do update set n = l.n + excluded.n`, id, len(jobs))
	require.NoError(t, err)
}

// dump reads a table as text, row by row.
func dump(t *testing.T, db *pg.DB, sql string) string {
	t.Helper()
	rows, err := db.General.Query(t.Context(), `select x::text from (`+sql+`) x order by 1`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(list, "\n")
}

// count is how many rows a table has.
func (b *bundle) count(t *testing.T, table string) (n int) {
	t.Helper()
	require.NoError(t, b.db.General.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n))
	return n
}

func (b *bundle) tables(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"message": dump(t, b.db, `select p.name, l.label, to_jsonb(m) - 'provider' - 'launch_id' from message m
			join launch l on l.id = m.launch_id left join provider p on p.id = m.provider`),
		"rollup": dump(t, b.db, `select l.label, r.variant, r.channel, r.kind, r.hour, r.n from rollup r
			join launch l on l.id = r.launch_id where r.n <> 0`),
		"ledger": dump(t, b.db, `select l.label, e.variant, e.bucket, e.reason, e.n from ledger e
			join launch l on l.id = e.launch_id where e.n <> 0`),
	}
}

// names gives the providers their numbers in one order, because the greater one decides between equal events.
func (b *bundle) names(t *testing.T) {
	t.Helper()
	for _, p := range []string{"mts", "relay"} {
		_, err := b.store.Provider(t.Context(), p, delivery.ChannelSMS)
		require.NoError(t, err)
	}
}

func first() delivery.ID { return delivery.IDAt(time.Now().Add(-time.Minute)).Job() }

func accepted(job delivery.ID, label string, refs ...string) delivery.Event {
	return delivery.Event{
		V: 1, ID: delivery.DispatchEventID(job, delivery.KindAccepted, 0, 1), Kind: delivery.KindAccepted, At: time.Now(),
		Job: job, Message: job, Provider: "mts", ProfileID: -7, Launch: label, Attempt: 1, ProviderRefs: refs, Parts: len(refs),
	}
}

func TestRecorder_ExactUnderAnyOrderAndConcurrency(t *testing.T) {
	t.Parallel()
	const partitions = 4
	labels := []string{"autumn", "winter", "spring"}
	rng := rand.New(rand.NewPCG(7, 7))
	base := first()
	jobs := recordertest.History(rng, base, 400, append(labels, "")...)
	jobs = append(jobs, recordertest.History(rng, base-delivery.IDAt(delivery.Epoch().Add(24*time.Hour)), 100, labels...)...)

	straight, mixed := setup(t), setup(t)
	straight.names(t)
	mixed.names(t)
	straight.record(t, 0, recordertest.InOrder(jobs)...)

	var workers sync.WaitGroup
	for part := range partitions {
		var mine []recordertest.Job
		for i, j := range jobs {
			if i%partitions == part {
				mine = append(mine, j)
			}
		}
		seed := rand.New(rand.NewPCG(uint64(part), 3))
		workers.Go(func() {
			for events := recordertest.Shuffle(seed, mine); len(events) > 0; {
				n := min(len(events), 1+seed.IntN(120))
				mixed.record(t, part, events[:n]...)
				events = events[n:]
			}
		})
	}
	workers.Wait()
	want := straight.tables(t)
	require.NotEmpty(t, want["rollup"])
	require.Empty(t, cmp.Diff(want, mixed.tables(t)))

	for _, label := range labels { // what was counted on the way is what is counted from the rows
		var ids []delivery.ID
		for _, j := range jobs {
			if len(j.Events) > 0 && j.Events[0].Launch == label {
				ids = append(ids, j.ID)
			}
		}
		mixed.claim(t, label, ids...)
		_, err := mixed.db.General.Exec(t.Context(), `update launch set created_at = $1 where label = $2`, jobs[len(jobs)-1].ID.Time().Add(-time.Hour), label)
		require.NoError(t, err)
		v, err := mixed.read.Verify(t.Context(), label)
		require.NoError(t, err)
		require.Empty(t, v.Faults)
		require.True(t, v.OK)
		sum := v.Ledger.Accepted + v.Ledger.Expired + v.Ledger.Unknown + v.Ledger.Pending
		for _, m := range []map[string]int64{v.Ledger.Suppressed, v.Ledger.Held, v.Ledger.Failed} {
			for _, n := range m {
				sum += n
			}
		}
		require.Equal(t, v.Ledger.Audience, sum)
		mixed.figuresListTheirIDs(t, label, &v.Ledger)
	}
}

// figuresListTheirIDs pages through the lists of all figures of the ledger and compares their lengths.
func (b *bundle) figuresListTheirIDs(t *testing.T, label string, l *reports.Ledger) {
	t.Helper()
	sum := func(m map[string]int64) (n int64) {
		for v := range maps.Values(m) {
			n += v
		}
		return n
	}
	for kind, want := range map[string]int64{
		"accepted": l.Accepted, "delivered": l.Delivered, "awaiting": l.Awaiting, "open": l.Open, "expired": l.Expired,
		"unknown": l.Unknown, "pending": l.Pending, "held": sum(l.Held), "suppressed": sum(l.Suppressed), "failed": sum(l.Failed),
	} {
		jobs := map[delivery.ID]bool{}
		var cursor int64
		for {
			page, err := b.read.Messages(t.Context(), label, reports.MessageQuery{Kind: kind, Limit: 7, Cursor: cursor})
			require.NoError(t, err)
			for _, m := range page.Items {
				require.False(t, jobs[m.Job], "%s: job %s twice", kind, m.Job)
				jobs[m.Job] = true
			}
			if page.Next == "" {
				break
			}
			id, err := delivery.ParseID(page.Next)
			require.NoError(t, err)
			cursor = int64(id)
		}
		require.Len(t, jobs, int(want), "%s of %s", kind, label)
	}
}

func TestRecorder_ReplayGivesTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	jobs := recordertest.History(rand.New(rand.NewPCG(1, 2)), first(), 120, "autumn")
	b.names(t)
	for _, j := range jobs {
		if len(j.Events) > 0 {
			b.record(t, 0, j.Events...)
		}
	}
	want := b.tables(t)
	due := dump(t, b.db, `select * from due`)
	require.NotEmpty(t, due)
	_, err := b.db.General.Exec(t.Context(), `delete from message; delete from message_event; delete from rollup; delete from ledger;
		delete from stream_offset; delete from provider_ref`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	replay, err := recorder.New(recorder.Config{Stream: "replay", Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead, Replay: true}, b.store, b.log)
	require.NoError(t, err)
	_, err = replay.Position(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, replay.Handle(t.Context(), 0, recordertest.Records(0, 0, recordertest.InOrder(jobs))))
	require.Empty(t, cmp.Diff(want, b.tables(t)))
	require.Equal(t, due, dump(t, b.db, `select * from due`), "a replay makes nothing due")
}

func TestRecorder_ParksAndBuries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := first()
	early := delivery.Event{
		V: 1, ID: delivery.ReceiptEventID(job, delivery.KindDelivered, 1, "delivered"), Kind: delivery.KindDelivered,
		At: time.Now(), Job: job, Message: job, Provider: "mts",
	}
	b.record(t, 0, early, early)
	b.record(t, 0, early)
	require.Equal(t, 1, b.count(t, "event_parked"))
	b.record(t, 0, accepted(job, "autumn"))
	require.Equal(t, 0, b.count(t, "event_parked"))
	require.Contains(t, b.tables(t)["ledger"], fmt.Sprintf(",%d,", delivery.BucketDelivered))

	bad := accepted(job+8, "autumn")
	bad.ID, bad.Kind, bad.Detail = "x", delivery.KindRejected, "x"
	long := delivery.Event{ // an id that no index can hold
		V: 1, ID: randomText(6000), Kind: delivery.KindDelivered, At: time.Now(), Job: job + 16, Message: job + 16,
	}
	b.record(t, 0, accepted(job+24, "autumn"), long, bad)
	require.Len(t, b.log.Records(dead), 1)
	require.Equal(t, 3, b.count(t, "message"))
}

func randomText(n int) string {
	rng := rand.New(rand.NewPCG(1, 1))
	var s strings.Builder
	for range n {
		s.WriteByte(byte('a' + rng.IntN(26)))
	}
	return s.String()
}

func TestRecorder_Position(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(t, 0, accepted(first(), ""))
	other, err := recorder.New(recorder.Config{Stream: stream, Topic: recordertest.Topic, Cluster: "other", DeadTopic: dead}, b.store, b.log)
	require.NoError(t, err)
	_, err = other.Position(t.Context(), 0)
	require.ErrorIs(t, err, recorder.ErrOtherCluster)
	zombie, err := recorder.New(recorder.Config{Stream: stream, Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead}, b.store, b.log)
	require.NoError(t, err)
	at, err := zombie.Position(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, int64(1), at)
	b.record(t, 0, accepted(first()+8, ""))
	err = zombie.Handle(t.Context(), 0, recordertest.Records(0, 1, []delivery.Event{accepted(first()+8, "")}))
	require.ErrorIs(t, err, recorder.ErrFenced)

	for end, want := range map[int64]bool{0: true, 2: true, 3: false} {
		caught, err := b.fates.Caught(t.Context(), stream, recordertest.Topic, map[int]int64{0: end})
		require.NoError(t, err)
		require.Equal(t, want, caught, "end %d", end)
	}
	caught, err := b.fates.Caught(t.Context(), stream, recordertest.Topic, map[int]int64{0: 2, 1: 5})
	require.NoError(t, err)
	require.False(t, caught, "a partition that nobody has read")
}

func TestFates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job, old := first(), delivery.IDAt(time.Now().AddDate(0, 0, -100))
	redriven := func(attempt int) delivery.Event {
		e := accepted(job+8, "")
		e.Kind, e.ID = delivery.KindRedriven, delivery.DispatchEventID(job+8, delivery.KindRedriven, 0, attempt)
		return e
	}
	rejected := accepted(job, "")
	rejected.Kind, rejected.Reason, rejected.Turn = delivery.KindRejected, delivery.ReasonAddressGone, 3
	b.record(t, 0, rejected, redriven(1), redriven(2), redriven(2))
	b.record(t, 0, redriven(2))
	got, err := b.fates.Fates(t.Context(), []delivery.ID{job, job + 8, job + 16, old})
	require.NoError(t, err)
	require.Equal(t, map[delivery.ID]delivery.Fate{
		job:     {Rank: delivery.RankRejected, Turn: 3, Reason: delivery.ReasonAddressGone},
		job + 8: {Redriven: 2},
	}, got)
}

func TestReports_VerifyNamesWhatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := first()
	var jobs []delivery.ID
	for i := range 20 {
		jobs = append(jobs, job+delivery.ID(8*i))
	}
	b.claim(t, "autumn", jobs...)
	for _, j := range jobs[:19] {
		b.record(t, 0, accepted(j, "autumn"))
	}
	_, err := b.read.Close(t.Context(), "autumn")
	require.NoError(t, err)
	v, err := b.read.Verify(t.Context(), "autumn")
	require.NoError(t, err)
	require.True(t, v.OK, "%v", v.Faults)
	require.Equal(t, int64(1), v.Ledger.Pending)
	require.False(t, v.Ledger.Finished)
	b.record(t, 0, accepted(jobs[19], "autumn"))
	l, err := b.read.Ledger(t.Context(), "autumn")
	require.NoError(t, err)
	require.True(t, l.Finished)

	_, err = b.db.General.Exec(t.Context(), `delete from message where id = $1`, jobs[4])
	require.NoError(t, err)
	v, err = b.read.Verify(t.Context(), "autumn")
	require.NoError(t, err)
	require.False(t, v.OK)
	require.Equal(t, []delivery.ID{jobs[4]}, v.Missing)
	require.Contains(t, strings.Join(v.Faults, "\n"), "pending: 0 in the figures, 1 counted")

	r, err := b.read.Report(t.Context(), "autumn")
	require.NoError(t, err)
	require.Equal(t, int64(20), r.Rows[0].Counts["accepted"])
}

func TestReports_JobTellsItsStory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := first()
	b.claim(t, "autumn", job, job+8)
	held := accepted(job, "autumn")
	held.ID, held.Kind, held.Reason = "h", delivery.KindHeld, delivery.ReasonQuietHours
	failed := delivery.Event{
		V: 1, ID: "f", Kind: delivery.KindFailed, At: time.Now().Add(time.Second), Job: job, Message: job, Provider: "mts",
		Reason: delivery.ReasonUnreachable, Code: "27",
	}
	again := failed
	again.ID = "f2"
	b.record(t, 0, held, accepted(job, "autumn", "a1", "a2"), failed, again)
	got, err := b.read.Job(t.Context(), job.Message(3))
	require.NoError(t, err)
	require.Equal(t, "failed", got.Bucket)
	require.Equal(t, "unreachable", got.Reason)
	require.Equal(t, "autumn", got.Launch)
	require.Len(t, got.Messages, 1)
	m := got.Messages[0]
	require.Equal(t, 2, m.Parts)
	require.Equal(t, "mts", m.Provider)
	kinds := map[string]int{}
	for _, e := range m.Timeline {
		kinds[e.Kind]++
	}
	require.Equal(t, map[string]int{"held": 1, "accepted": 1, "failed": 1}, kinds)
	got, err = b.read.Job(t.Context(), job+8)
	require.NoError(t, err)
	require.Equal(t, "pending", got.Bucket)
	_, err = b.read.Job(t.Context(), job+16)
	require.ErrorIs(t, err, reports.ErrNotFound)
	_, err = b.read.Job(t.Context(), 8)
	require.ErrorIs(t, err, reports.ErrNotFound)
}

func TestReceipts_EndToEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	receipts, err := tracking.NewReceipts(tracking.Config{Topic: recordertest.Topic}, b.store, b.log)
	require.NoError(t, err)
	job := first()
	parts := []string{"a1", "a2", "a3"}
	told := func(ref string, s delivery.ReceiptState) delivery.Receipt {
		return delivery.Receipt{Provider: "mts", Ref: ref, State: s, At: time.Now(), Raw: []byte("id:" + ref)}
	}
	batch := []delivery.Receipt{
		told("a1", delivery.ReceiptDelivered), told("a3", delivery.ReceiptDelivered), told("nobody", delivery.ReceiptDelivered),
		told("a3", delivery.ReceiptDelivered),
	}
	require.NoError(t, receipts.Receipts(t.Context(), batch), "early: nobody knows the ids")
	require.NoError(t, receipts.Receipts(t.Context(), batch), "again")
	require.Equal(t, 3, b.count(t, "receipt_parked"))
	b.record(t, 0, accepted(job, "autumn", parts...))
	require.NoError(t, receipts.Sweep(t.Context()))
	require.Empty(t, b.log.Records(recordertest.Topic), "one part is missing")
	require.Equal(t, 1, b.count(t, "receipt_parked"))
	require.NoError(t, receipts.Receipts(t.Context(), []delivery.Receipt{told("a2", delivery.ReceiptDelivered)}))
	out := b.log.Records(recordertest.Topic)
	require.Len(t, out, 1)
	var e delivery.Event
	require.NoError(t, delivery.DecodeEvent(out[0].Value, &e))
	require.Equal(t, delivery.KindDelivered, e.Kind)
	require.Equal(t, job, e.Message)
	b.record(t, 0, e)
	got, err := b.fates.Fates(t.Context(), []delivery.ID{job})
	require.NoError(t, err)
	require.Equal(t, delivery.RankDelivered, got[job].Rank)

	newer := accepted(job+8, "autumn", "a1")
	newer.At = newer.At.Add(time.Second)
	b.record(t, 0, newer)
	found, err := b.store.Resolve(t.Context(), []tracking.Key{{Provider: "mts", Ref: "a1"}, {Provider: "who", Ref: "a1"}},
		time.Now().Add(-time.Hour), time.Now())
	require.NoError(t, err)
	require.Equal(t, map[tracking.Key]tracking.Target{{Provider: "mts", Ref: "a1"}: {Message: job + 8, Part: 1, Parts: 1}}, found, "the newest acceptance counts")
	parked, err := b.store.Waiting(t.Context(), time.Now().Add(time.Minute), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, tracking.Parked{Receipts: 1, Orphans: 1}, parked)
}

func BenchmarkRecorder_AcceptedThenDelivered(b *testing.B) {
	db := pgtest.DB(b)
	store := trackstore.New(db, duestore.New(db.Hot))
	rec, err := recorder.New(recorder.Config{Stream: stream, Topic: recordertest.Topic, Cluster: "c", DeadTopic: dead}, store, new(recordertest.Log))
	require.NoError(b, err)
	_, err = rec.Position(b.Context(), 0)
	require.NoError(b, err)
	job, offset := first(), int64(0)
	const batch = 500
	for b.Loop() {
		sent, arrived := make([]delivery.Event, batch), make([]delivery.Event, batch)
		for i := range batch {
			sent[i] = accepted(job, "autumn", job.String())
			arrived[i] = delivery.Event{
				V: 1, ID: delivery.ReceiptEventID(job, delivery.KindDelivered, 1, "delivered"), Kind: delivery.KindDelivered,
				At: time.Now(), Job: job, Message: job, Provider: "mts",
			}
			job += 8
		}
		for _, events := range [][]delivery.Event{sent, arrived} {
			require.NoError(b, rec.Handle(b.Context(), 0, recordertest.Records(0, offset, events)))
			offset += batch
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "us/message")
}
