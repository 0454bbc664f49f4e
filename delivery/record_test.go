package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
)

// headers are the record's headers by name, each of which stands there once.
func headers(t *testing.T, r delivery.Record) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, h := range r.Headers {
		require.NotContains(t, m, h.Key)
		m[h.Key] = string(h.Value)
	}
	return m
}

func TestJobRecord(t *testing.T) {
	t.Parallel()
	job := func(profile string, r *delivery.Recipient) *delivery.Job {
		return &delivery.Job{V: 1, Category: delivery.CategoryMarketing, Profile: profile, Recipient: r, Template: "t"}
	}
	for key, j := range map[string]*delivery.Job{
		"crm:1":             job("crm:1", &delivery.Recipient{Phone: "89161234567"}),
		"+79161234567":      job("", &delivery.Recipient{Phone: "8 916 123-45-67", Email: "o@shop.example"}),
		"olga@shop.example": job("", &delivery.Recipient{Email: "Olga@Shop.example", Push: []string{"t"}}),
		"t":                 job("", &delivery.Recipient{Push: []string{"t"}}),
	} {
		rec, err := delivery.JobRecord("herald.jobs.bulk", j)
		require.NoError(t, err)
		require.Equal(t, "herald.jobs.bulk", rec.Topic)
		require.Equal(t, key, string(rec.Key))
		require.Equal(t, map[string]string{"content-type": "application/json"}, headers(t, rec))
		got, err := delivery.DecodeJob(rec.Value)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(j, got))
	}
	large := job("p", nil)
	large.Data = map[string]any{"a": strings.Repeat("x", delivery.MaxJobBytes)}
	_, err := delivery.JobRecord("t", large)
	require.Equal(t, []string{""}, fields(t, err))
	large.Data = map[string]any{"f": func() {}}
	_, err = delivery.JobRecord("t", large)
	require.ErrorContains(t, err, "encode job")
}

// The largest job that is taken from outside is still taken when Herald has written it again with its additions.
func TestJobRecord_LargestJobComesBack(t *testing.T) {
	t.Parallel()
	head, tail := `{`+rest+`,"data":{"a":"`, `"}}`
	text := head + strings.Repeat("\u2028<", (delivery.MaxJobBytes-len(head)-len(tail))/4) + tail
	job, err := delivery.DecodeOutsideJob([]byte(text))
	require.NoError(t, err)
	job.Herald = &delivery.Internal{ID: 1 << 62, Number: 7, Link: 7, Turn: 32767, Attempt: 32767, Revision: 1<<31 - 1, Holdout: true}
	rec, err := delivery.JobRecord("t", job)
	require.NoError(t, err)
	_, err = delivery.DecodeJob(rec.Value)
	require.NoError(t, err)
}

func TestEventRecord(t *testing.T) {
	t.Parallel()
	for _, e := range kinds() {
		rec, err := delivery.EventRecord("herald.events", &e)
		require.NoError(t, err)
		key := e.Job.String()
		if e.Job == 0 {
			key = e.ProfileID.String()
		}
		require.Equal(t, "herald.events", rec.Topic)
		require.Equal(t, key, string(rec.Key))
		require.Equal(t, map[string]string{
			"content-type": "application/json", "ce_id": e.ID, "ce_type": "herald." + e.Kind.String(), "ce_source": "herald",
			"ce_specversion": "1.0", "ce_time": "2026-11-22T10:00:01.5Z",
		}, headers(t, rec))
		require.Equal(t, e.ID, string(rec.Header("ce_id")))
		require.Nil(t, rec.Header("traceparent"))
		var got delivery.Event
		require.NoError(t, delivery.DecodeEvent(rec.Value, &got))
		require.Empty(t, cmp.Diff(e, got))
	}
	_, err := delivery.EventRecord("t", &delivery.Event{V: 1, ID: "x", Kind: delivery.KindHeld})
	require.Equal(t, []string{"at"}, fields(t, err))
	e := kinds()[0]
	e.Reason = 25
	_, err = delivery.EventRecord("t", &e)
	require.ErrorContains(t, err, "25 is no reason")
}

func TestDeadRecord(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.FixedZone("MSK", 3*60*60))
	original := delivery.Record{
		Topic: "herald.jobs.bulk", Partition: 3, Offset: 77, Key: []byte("p"), Value: []byte("{\xff"), Time: at,
		Headers: []delivery.Header{{Key: "traceparent", Value: []byte("00-1-2-01")}},
	}
	dead := delivery.DeadRecord("herald.dead", original, "invalid", "is "+strings.Repeat("ж", 1000), "cascade[0].ttl", at, 1)
	require.Equal(t, "herald.dead", dead.Topic)
	require.Equal(t, original.Key, dead.Key)
	require.Equal(t, original.Value, dead.Value)
	want := map[string]string{
		"traceparent": "00-1-2-01", "x-error-class": "invalid", "x-error": "is " + strings.Repeat("ж", 498),
		"x-error-field": "cascade[0].ttl", "x-origin-topic": "herald.jobs.bulk", "x-origin-partition": "3",
		"x-origin-offset": "77", "x-attempts": "1", "x-first-at": "2026-11-22T10:00:00Z", "x-last-at": "2026-11-22T10:00:00Z",
	}
	require.Empty(t, cmp.Diff(want, headers(t, dead)))
	require.Equal(t, original.Headers, delivery.WithoutDeadHeaders(dead.Headers))
	require.Len(t, original.Headers, 1)

	dead.Offset = 5
	again := delivery.DeadRecord("herald.dead", dead, "poison", "x", "", at.Add(time.Hour), 4)
	got := headers(t, again)
	require.Equal(t, "2026-11-22T10:00:00Z", got["x-first-at"])
	require.Equal(t, "2026-11-22T11:00:00Z", got["x-last-at"])
	require.Equal(t, "4", got["x-attempts"])
	require.NotContains(t, got, "x-error-field")
	tombstone := delivery.DeadRecord("herald.dead", delivery.Record{Topic: "t"}, "invalid", "", "", at, 1)
	require.Nil(t, tombstone.Key)
	require.Nil(t, tombstone.Value)
}

type finished []int64

func (f *finished) Finish(offset int64) { *f = append(*f, offset) }

func TestReceived_Done(t *testing.T) {
	t.Parallel()
	var f finished
	r := delivery.Received{Record: delivery.Record{Offset: 7}, From: &f}
	r.Done()
	require.Equal(t, finished{7}, f)
}
