package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestResult_PrintsBesideAnOlderOne(t *testing.T) {
	t.Parallel()
	now, old := &Result{Scenario: "sms", At: time.Unix(0, 0)}, &Result{}
	now.add("whole", "rate", 12000, "msg/s")
	now.add("whole", "new figure", 3, "us")
	old.add("whole", "rate", 10000, "msg/s")
	path := filepath.Join(t.TempDir(), "old.json")
	b, err := json.Marshal(old)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	read, err := ReadResult(path)
	require.NoError(t, err)
	var out bytes.Buffer
	now.Print(&out, read)
	require.Regexp(t, `rate +12000 +msg/s +before 10000 +\+20.0 %`, out.String())
	require.Regexp(t, `new figure +3.00 +us +before 0.00`, out.String())
	_, err = ReadResult(filepath.Join(t.TempDir(), "none"))
	require.Error(t, err)
}

func read(t *testing.T, text string) metrics {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	m, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return m
}

func TestMetrics_QuantileSinceOlderOnes(t *testing.T) {
	t.Parallel()
	before := read(t, `# TYPE age histogram
age_bucket{lane="bulk",le="1"} 100
age_bucket{lane="bulk",le="2"} 100
age_bucket{lane="bulk",le="+Inf"} 100
age_sum{lane="bulk"} 50
age_count{lane="bulk"} 100
`)
	after := read(t, `# TYPE age histogram
age_bucket{lane="bulk",le="1"} 110
age_bucket{lane="bulk",le="2"} 120
age_bucket{lane="bulk",le="+Inf"} 120
age_sum{lane="bulk"} 70
age_count{lane="bulk"} 120
`)
	require.InDelta(t, 1.0, after.quantile(before, "age", "bulk", .5), 1e-9)
	require.InDelta(t, 1.5, after.quantile(before, "age", "bulk", .75), 1e-9)
	require.InDelta(t, 0.6, after.quantile(nil, "age", "bulk", .55), 1e-9)
	require.Zero(t, after.quantile(nil, "age", "transactional", .5))
}

func TestCPU_OfThisProcess(t *testing.T) {
	t.Parallel()
	for began := time.Now(); time.Since(began) < 100*time.Millisecond; {
	}
	require.Positive(t, cpu(os.Getpid()))
	require.Positive(t, ownCPU())
	require.Greater(t, peakMemory(os.Getpid()), int64(1<<20))
	require.Zero(t, cpu(1<<30))
}
