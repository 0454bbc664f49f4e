package dispatcher_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
)

func TestDispatcher_QueuesAreSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay = 5 * time.Second
		f := setup(t, w)
		f.window.SetSize(10)
		for i := range 25 {
			f.send(job(func(j *delivery.Job) { j.Key = strconv.Itoa(i) }))
		}
		time.Sleep(time.Second)
		for name, want := range map[string]int{
			"herald_jobs_in_work":                25,
			"herald_provider_unacknowledged":     len(w.submitted()),
			"herald_provider_unacknowledged_max": 20,
			"herald_provider_queue_messages":     25 - len(w.submitted()),
			"herald_inbox_batches":               0,
			"herald_inbox_batches_max":           2 * 8,
			"herald_stage_batches":               0,
			"herald_stage_batches_max":           2 * 3,
			"herald_met_jobs":                    0,
			"herald_reports_waiting":             0,
		} {
			require.Equal(t, want, f.gauge(name), name)
		}
		require.NotEmpty(t, w.submitted())
		time.Sleep(time.Minute)
		require.Zero(t, f.gauge("herald_jobs_in_work"))
		require.Zero(t, f.gauge("herald_provider_unacknowledged"))
		f.stop()
	})
}
