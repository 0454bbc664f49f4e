package httpx_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/httpx"
)

func do(t *testing.T, h http.Handler, method, path, body string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w, w.Body.String()
}

func problem(t *testing.T, r *httptest.ResponseRecorder, body string) httpx.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", r.Header().Get("Content-Type"))
	var p httpx.Problem
	require.NoError(t, json.Unmarshal([]byte(body), &p))
	require.Equal(t, r.Code, p.Status)
	return p
}

func TestMux_ErrorsAreProblems(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /a/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "none" {
			http.Error(w, "mine", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, r.PathValue("id"))
	})
	h := httpx.Mux(mux)
	r, body := do(t, h, http.MethodGet, "/b", "")
	require.Equal(t, http.StatusNotFound, problem(t, r, body).Status)
	r, body = do(t, h, http.MethodPost, "/a/1", "")
	require.Equal(t, http.StatusMethodNotAllowed, problem(t, r, body).Status)
	require.Equal(t, "GET, HEAD", r.Header().Get("Allow"))
	_, body = do(t, h, http.MethodGet, "/a/x%2Fy", "")
	require.Equal(t, "x/y", body)
	r, body = do(t, h, http.MethodGet, "/a/none", "")
	require.Equal(t, http.StatusNotFound, r.Code)
	require.Equal(t, "mine\n", body, "what a handler answers stays")
	r, _ = do(t, h, http.MethodGet, "/a/../a/1", "")
	require.Equal(t, "/a/1", r.Header().Get("Location"))
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo/{id}", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			httpx.WriteProblem(w, http.StatusRequestEntityTooLarge, "")
			return
		}
		_, _ = w.Write(b)
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("oops") })
	mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); panic("oops") })
	mux.HandleFunc("GET /busy", func(w http.ResponseWriter, _ *http.Request) {
		httpx.WriteUnavailable(w, 100*time.Millisecond, "wait")
	})
	var log strings.Builder
	reg := prometheus.NewPedanticRegistry()
	httpx.Metrics(reg)
	h := httpx.Chain(httpx.Mux(mux), httpx.Metrics(reg), httpx.Recover(slog.New(slog.NewTextHandler(&log, nil))),
		httpx.LimitBody(4, "/echo/stream"))

	_, body := do(t, h, http.MethodPost, "/echo/stream", "12345")
	require.Equal(t, "12345", body)
	_, body = do(t, h, http.MethodPost, "/echo/1", "1234")
	require.Equal(t, "1234", body)
	r, body := do(t, h, http.MethodPost, "/echo/2", "12345")
	require.Equal(t, http.StatusRequestEntityTooLarge, problem(t, r, body).Status)
	w := httptest.NewRecorder()
	chunked := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/echo/3", io.MultiReader(strings.NewReader("12345")))
	h.ServeHTTP(w, chunked)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	r, body = do(t, h, http.MethodGet, "/panic", "")
	require.Equal(t, http.StatusInternalServerError, problem(t, r, body).Status)
	require.Contains(t, log.String(), "err=oops")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { do(t, h, http.MethodGet, "/half", "") })
	r, _ = do(t, h, http.MethodGet, "/busy", "")
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	do(t, h, "BREW", "/pot", "")

	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Equal(t, "herald_http_request_duration_seconds", families[0].GetName())
	seen := map[string]uint64{}
	for _, m := range families[0].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		seen[labels["method"]+" "+labels["route"]+" "+labels["code"]] = m.GetHistogram().GetSampleCount()
	}
	require.Equal(t, map[string]uint64{
		"POST /echo/{id} 200": 2, "POST none 413": 1, "POST /echo/{id} 413": 1, "GET /panic 500": 1, "GET /half 200": 1,
		"GET /busy 503": 1, "other none 404": 1,
	}, seen)
}

func TestLimitRequests_OneTooManyIsSentAway(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	entered, leave := make(chan struct{}), make(chan struct{})
	h := httpx.LimitRequests(2, reg)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		return w
	}
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() { ask() })
		<-entered
	}
	w := ask()
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 2)
	for _, f := range families { // as many as there may be
		require.InDelta(t, 2, f.GetMetric()[0].GetGauge().GetValue(), 0, f.GetName())
	}
	close(leave)
	running.Wait()
	running.Go(func() { ask() })
	<-entered
	running.Wait()
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer hk_x": "hk_x", "bearer  hk_x ": "hk_x", "Basic hk_x": "", "hk_x": "", "": "", "Bearer": "",
	} {
		require.Equal(t, want, httpx.Bearer(header), header)
	}
}

func TestServer_LifeCycle(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	s := httpx.New(httpx.Config{Name: "test", Addr: "127.0.0.1:0", Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				close(started)
				<-r.Context().Done()
				close(ended)
				return
			}
			_, _ = io.WriteString(w, "ok")
		})})
	require.Error(t, s.Serve())
	require.Empty(t, s.Addr())
	require.NoError(t, s.Listen(t.Context()))
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	fetch := func(path string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
		require.NoError(t, err)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = r.Body.Close() }()
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}
	require.NoError(t, fetch("/"))
	streamed := make(chan error, 1)
	go func() { streamed <- fetch("/stream") }()
	<-started

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no time at all: the stream is told to end and gets its moment
	require.NoError(t, s.Shutdown(ctx))
	<-ended
	require.NoError(t, <-streamed, "the stream ended in order")
	require.NoError(t, <-served)
	require.NoError(t, s.Shutdown(t.Context()), "again is harmless")
	require.Error(t, fetch("/"))

	taken := httpx.New(httpx.Config{Name: "a", Addr: "127.0.0.1:0"})
	require.NoError(t, taken.Listen(t.Context()))
	require.ErrorContains(t, httpx.New(httpx.Config{Name: "b", Addr: taken.Addr()}).Listen(t.Context()), "listen for b http")
	require.NoError(t, taken.Shutdown(t.Context()))
	require.NoError(t, httpx.New(httpx.Config{Name: "c", Addr: taken.Addr()}).Listen(t.Context()), "the port is free again")
}
