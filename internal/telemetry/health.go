package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// checkTimeout bounds one check: a check that hangs counts as failed.
const checkTimeout = 2 * time.Second

// Health knows whether a process lives, has started, and is ready to work. Its methods may be called from any goroutine;
// the zero value is ready to use.
type Health struct {
	mu       sync.Mutex
	ready    []check
	startup  []check
	draining bool
}

type check struct {
	name string
	fn   func(context.Context) error
}

// Register adds a check of readiness: what the process needs to do its work, such as the database. The check gets 2 s.
// A name that is there already is replaced.
func (h *Health) Register(name string, fn func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = put(h.ready, check{name, fn})
}

// RegisterStartup adds a check of what must have happened once before the process works, such as the migrations.
func (h *Health) RegisterStartup(name string, fn func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.startup = put(h.startup, check{name, fn})
}

func put(list []check, c check) []check {
	for i := range list {
		if list[i].name == c.name {
			list[i] = c
			return list
		}
	}
	return append(list, c)
}

// Drain makes the process not ready for good: it is about to stop.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Draining says that Drain was called.
func (h *Health) Draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// Report is the state of the process as the handlers tell it.
type Report struct {
	Status string            `json:"status"` // ok, failed or draining
	Checks map[string]string `json:"checks"` // ok, or what is wrong, by the name of the check
}

// Ready runs the checks of readiness, all at the same time.
func (h *Health) Ready(ctx context.Context) Report {
	h.mu.Lock()
	list, draining := append([]check(nil), h.ready...), h.draining
	h.mu.Unlock()
	r := run(ctx, list)
	if draining {
		r.Status = "draining"
	}
	return r
}

// Started runs the checks of the start, all at the same time.
func (h *Health) Started(ctx context.Context) Report {
	h.mu.Lock()
	list := append([]check(nil), h.startup...)
	h.mu.Unlock()
	return run(ctx, list)
}

func run(ctx context.Context, list []check) Report {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	type answer struct {
		name string
		err  error
	}
	answers := make(chan answer, len(list)) // room for all: a check that hangs leaves its goroutine, not ours
	for _, c := range list {
		go func() { answers <- answer{c.name, safely(ctx, c.fn)} }()
	}
	r := Report{Status: "ok", Checks: make(map[string]string, len(list))}
	for _, c := range list {
		r.Checks[c.name] = "no answer in time"
	}
	for range list {
		select {
		case a := <-answers:
			r.Checks[a.name] = "ok"
			if a.err != nil {
				r.Checks[a.name] = a.err.Error()
			}
		case <-ctx.Done():
		}
	}
	for _, state := range r.Checks {
		if state != "ok" {
			r.Status = "failed"
		}
	}
	return r
}

func safely(ctx context.Context, fn func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the check panicked: %v", p)
		}
	}()
	return fn(ctx)
}

// LiveHandler answers that the process runs. It depends on nothing, so that no outage of a neighbour gets the process
// killed.
func (h *Health) LiveHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeReport(w, Report{Status: "ok", Checks: map[string]string{}})
	})
}

// ReadyHandler answers 200 when every check of readiness passes and the process is not draining, else 503; the body
// lists each check.
func (h *Health) ReadyHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { writeReport(w, h.Ready(r.Context())) })
}

// StartupHandler answers 200 when every check of the start passes, else 503; the body lists each check.
func (h *Health) StartupHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { writeReport(w, h.Started(r.Context())) })
}

func writeReport(w http.ResponseWriter, r Report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r)
}
