package httpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Middleware wraps a handler.
type Middleware func(http.Handler) http.Handler

// Chain wraps h so that the first middleware is the outermost.
func Chain(h http.Handler, list ...Middleware) http.Handler {
	for _, m := range slices.Backward(list) {
		h = m(h)
	}
	return h
}

// Metrics measures requests as herald_http_request_duration_seconds{route,method,code}. The route is the pattern of the
// mux, never the path; requests that match none are the route "none", and unusual methods the method "other".
func Metrics(reg prometheus.Registerer) Middleware {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                           "herald_http_request_duration_seconds",
		Help:                           "How long HTTP requests took, by route, method and status.",
		Buckets:                        []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 100,
	}, []string{"route", "method", "code"})
	// Two listeners of a process share the metric.
	if err := reg.Register(durations); err != nil {
		var already prometheus.AlreadyRegisteredError
		if !errors.As(err, &already) {
			panic(err) // another metric has the name: a mistake in the program
		}
		durations = already.ExistingCollector.(*prometheus.HistogramVec) //nolint:forcetypeassert // equal descriptors
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			rec := &recorder{ResponseWriter: w}
			defer func() {
				durations.WithLabelValues(route(r), method(r.Method), strconv.Itoa(rec.code())).
					Observe(time.Since(began).Seconds())
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

// route is the pattern that the mux found, without its method.
func route(r *http.Request) string {
	pattern := r.Pattern
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	if pattern == "" {
		return "none"
	}
	return pattern
}

func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return m
	}
	return "other"
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 { // those below are announcements
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// Recover turns a panic of a handler into a log line and, when nothing was written yet, a 500.
func Recover(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &recorder{ResponseWriter: w}
			defer func() { //nolint:contextcheck // the request carries it
				if p := recover(); p != nil {
					recovered(r.Context(), log, rec, r, p)
				}
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

func recovered(ctx context.Context, log *slog.Logger, w *recorder, r *http.Request, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // a panic value: net/http compares it like this
		panic(p)
	}
	log.ErrorContext(ctx, "an http handler panicked",
		"route", route(r), "method", r.Method, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
	}
	WriteProblem(w, http.StatusInternalServerError, "this is a fault of Herald; see its log")
}

// LimitBody bounds the body of requests. Reading beyond fails with *http.MaxBytesError; a body that says itself that it
// is larger is refused at once. What is served at the paths in streams reads its body bit by bit and is not bounded.
func LimitBody(most int64, streams ...string) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slices.Contains(streams, r.URL.Path) {
				next.ServeHTTP(w, r)
				return
			}
			if r.ContentLength > most {
				WriteProblem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d bytes", most))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, most)
			next.ServeHTTP(w, r)
		})
	}
}

// LimitRequests lets at most as many requests run at the same time; a further one is told at once to come again. It
// shows both as herald_http_requests_running and herald_http_requests_max.
func LimitRequests(most int, reg prometheus.Registerer) Middleware {
	running := make(chan struct{}, most)
	gauge := func(name, help string, read func() int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(read()) }))
	}
	gauge("herald_http_requests_running", "Requests to the API that are being answered.", func() int { return len(running) })
	gauge("herald_http_requests_max", "How many there may be.", func() int { return most })
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case running <- struct{}{}:
				defer func() { <-running }()
				next.ServeHTTP(w, r)
			default:
				WriteUnavailable(w, time.Second, "too many requests are running")
			}
		})
	}
}

// Bearer is the key in an Authorization header of the scheme Bearer (RFC 6750), empty when there is none.
func Bearer(header string) string {
	scheme, key, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}
