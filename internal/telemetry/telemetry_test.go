package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/telemetry"
)

func get(t *testing.T, h http.Handler, method, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	log, level, err := telemetry.NewLogger(&b, telemetry.LogConfig{Level: "warn"})
	require.NoError(t, err)
	log.InfoContext(t.Context(), "quiet")
	require.Empty(t, b.String())

	h := telemetry.LevelHandler(level)
	code, body := get(t, h, http.MethodPut, "debug\n")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "debug\n", body)
	log.DebugContext(t.Context(), "loud", "job_id", 8, "phone", "+79160000001", slog.Group("g", "token", "hk_x"))
	require.JSONEq(t, `{"level":"DEBUG","msg":"loud","job_id":8,"phone":"<redacted>","g":{"token":"<redacted>"}}`,
		`{`+b.String()[strings.Index(b.String(), `"level"`):])

	code, _ = get(t, h, http.MethodPut, "shout")
	require.Equal(t, http.StatusBadRequest, code)
	code, _ = get(t, h, http.MethodPost, "info")
	require.Equal(t, http.StatusMethodNotAllowed, code)
	_, body = get(t, h, http.MethodGet, "")
	require.Equal(t, "debug\n", body)

	b.Reset()
	log, _, err = telemetry.NewLogger(&b, telemetry.LogConfig{Format: "text"})
	require.NoError(t, err)
	log.InfoContext(t.Context(), "x")
	require.Contains(t, b.String(), "msg=x")
	for _, bad := range []telemetry.LogConfig{{Level: "loud"}, {Format: "xml"}} {
		_, _, err = telemetry.NewLogger(&b, bad)
		require.Error(t, err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	build := telemetry.ReadBuild("1.2.3")
	require.Equal(t, "1.2.3", build.Version)
	require.NotEmpty(t, telemetry.ReadBuild("").Version)
	_, body := get(t, telemetry.MetricsHandler(telemetry.NewRegistry(build)), http.MethodGet, "")
	for _, want := range []string{"herald_build_info{", `version="1.2.3"`, "go_goroutines", "process_"} {
		require.Contains(t, body, want)
	}
	w := httptest.NewRecorder()
	telemetry.ProfileHandler().ServeHTTP(w,
		httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/", nil))
	require.Contains(t, w.Body.String(), "goroutine")
}

func report(t *testing.T, h http.Handler) (int, telemetry.Report) {
	t.Helper()
	code, body := get(t, h, http.MethodGet, "")
	var r telemetry.Report
	require.NoError(t, json.Unmarshal([]byte(body), &r))
	return code, r
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := new(telemetry.Health)
	var broker error
	h.Register("postgres", func(context.Context) error { return nil })
	h.Register("kafka", func(context.Context) error { return broker })
	h.RegisterStartup("migrations", func(context.Context) error { return errors.New("running") })

	code, r := report(t, h.ReadyHandler())
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, telemetry.Report{Status: "ok", Checks: map[string]string{"postgres": "ok", "kafka": "ok"}}, r)

	broker = errors.New("away")
	code, r = report(t, h.ReadyHandler())
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, telemetry.Report{Status: "failed", Checks: map[string]string{"postgres": "ok", "kafka": "away"}}, r)

	code, r = report(t, h.StartupHandler())
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "running", r.Checks["migrations"])
	h.RegisterStartup("migrations", func(context.Context) error { return nil })
	code, _ = report(t, h.StartupHandler())
	require.Equal(t, http.StatusOK, code)

	broker = nil
	require.False(t, h.Draining())
	h.Drain()
	require.True(t, h.Draining())
	code, r = report(t, h.ReadyHandler())
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "draining", r.Status)
	code, _ = report(t, h.LiveHandler())
	require.Equal(t, http.StatusOK, code)
}

func TestHealth_ACheckThatHangsOrPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := new(telemetry.Health)
		release := make(chan struct{})
		h.Register("hangs", func(context.Context) error { <-release; return nil })
		h.Register("panics", func(context.Context) error { panic("no") })
		r := h.Ready(t.Context())
		require.Equal(t, "failed", r.Status)
		require.Equal(t, "no answer in time", r.Checks["hangs"])
		require.Contains(t, r.Checks["panics"], "panicked")
		close(release)
		synctest.Wait()
	})
}
