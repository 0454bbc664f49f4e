package app

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	"github.com/herald-gateway/herald/internal/httpx"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/telemetry"
	"github.com/herald-gateway/herald/tracking"
)

// Role is a part of the work that a process may do.
type Role string

// The roles. Several processes may have the same one.
const (
	RoleAPI      Role = "api"      // jobs by HTTP, reports
	RoleDispatch Role = "dispatch" // jobs to providers; receipts that come over their connections
	RoleTrack    Role = "track"    // receipts that could not be resolved at once
	RoleRecord   Role = "record"   // events into the database
	RoleSchedule Role = "schedule" // what is due, and housekeeping
)

// Roles lists all roles.
func Roles() []Role { return []Role{RoleAPI, RoleDispatch, RoleTrack, RoleRecord, RoleSchedule} }

// Options says how a process runs.
type Options struct {
	Config   *configs.Config
	Roles    []Role // none: all
	Simulate bool   // simulators stand in for channels without a provider
	Version  string
	Log      *slog.Logger
	Level    *slog.LevelVar
}

// App is one process of Herald.
type App struct {
	cfg    *configs.Config
	opts   Options
	log    *slog.Logger
	reg    *prometheus.Registry
	health telemetry.Health
	build  telemetry.Build
	stops  stack
	fatal  chan error
	api    atomic.Pointer[http.Handler] // nil until what the API needs is there

	private  *httpx.Server
	db       *postgres.DB
	kafka    *kafka.Client
	cluster  string
	producer producers
	owner    *dispatcher.Ownership
	receipts *tracking.Receipts
	key      string // the administrator's
	keyMade  bool   // at this start
	info     RunInfo
}

// producers are the writers of the process: each class of traffic has its own.
type producers struct {
	events *kafka.Producer                   // events of bulk jobs, and everything that is not urgent
	jobs   map[delivery.Lane]*kafka.Producer // jobs, by lane; the transactional one also serves its events
}

// New makes a process. Start starts it.
func New(opts Options) *App {
	if len(opts.Roles) == 0 {
		opts.Roles = Roles()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Level == nil {
		opts.Level = new(slog.LevelVar)
	}
	build := telemetry.ReadBuild(opts.Version)
	return &App{
		cfg: opts.Config, opts: opts, log: opts.Log, reg: telemetry.NewRegistry(build), build: build,
		stops: stack{log: opts.Log}, fatal: make(chan error, 8),
	}
}

// Start starts the process and returns when everything runs, or when ctx ends. A database or broker that is away is
// waited for; health says so meanwhile. After an error, and in any case at the end, Stop must be called.
//
// The straight line of steps is the order in which things need each other. Each registers its stop at once.
func (a *App) Start(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.DataDir(), 0o711); err != nil { //nolint:gosec // the embedded server's user passes through
		return fmt.Errorf("data directory: %w", err)
	}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"private listener", a.startPrivate},
		{"database", a.startDatabase},
		{"broker", a.startBroker},
		{"api key", a.startKey},
		{"owner", a.role(a.startOwner, RoleRecord, RoleDispatch)},
		{"recorder", a.role(a.startRecorder, RoleRecord)},
		{"scheduler", a.role(a.startScheduler, RoleSchedule)},
		{"receipts", a.startReceipts},
		{"dispatcher", a.role(a.startDispatcher, RoleDispatch)},
		{"api", a.role(a.startAPI, RoleAPI)},
	} {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("start %s: %w", step.name, err)
		}
	}
	a.stops.push("run.json", time.Second, func(context.Context) error { return removeRunInfo(a.cfg.DataDir()) })
	return writeRunInfo(a.cfg.DataDir(), a.info)
}

// role is a step for processes that have one of the roles.
func (a *App) role(start func(context.Context) error, roles ...Role) func(context.Context) error {
	for _, r := range roles {
		if slices.Contains(a.opts.Roles, r) {
			return start
		}
	}
	return func(context.Context) error { return nil }
}

// Run starts the process, runs it until ctx ends or a part of it fails for good, and stops it.
func (a *App) Run(ctx context.Context, ready func(RunInfo)) error {
	err := a.Start(ctx)
	if err == nil {
		a.log.InfoContext(ctx, "ready", "private", a.info.Private, "kafka", a.info.Kafka)
		if ready != nil {
			ready(a.info)
		}
		select {
		case <-ctx.Done():
		case err = <-a.fatal:
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, a.Stop(stop))
}

// stopLimit bounds the whole stop.
const stopLimit = 45 * time.Second

// Stop drains the process and stops it in reverse order of its start. It may be called after a failed Start.
func (a *App) Stop(ctx context.Context) error {
	a.health.Drain()
	a.log.InfoContext(ctx, "stopping")
	return a.stops.unwind(ctx)
}

// NewKey is the administrator's key when this start has made it; else empty. It is for showing it once.
func (a *App) NewKey() string {
	if !a.keyMade {
		return ""
	}
	return a.key
}

// Info says where the process can be reached.
func (a *App) Info() RunInfo { return a.info }

// now is the process's clock. Tests may run it ahead.
func (a *App) now() time.Time { return time.Now().Add(a.cfg.ClockShift.D()) }

// failed ends Run: a part has met something that only a person can settle.
func (a *App) failed(name string, err error) {
	select {
	case a.fatal <- fmt.Errorf("%s: %w", name, err):
	default:
	}
}

// startPrivate opens the private listener first of all, so that health tells what the process waits for.
func (a *App) startPrivate(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", a.health.LiveHandler())
	mux.Handle("GET /readyz", a.health.ReadyHandler())
	mux.Handle("GET /startupz", a.health.StartupHandler())
	mux.Handle("GET /metrics", telemetry.MetricsHandler(a.reg))
	mux.Handle("/debug/pprof/", a.admin(telemetry.ProfileHandler()))
	mux.Handle("/debug/loglevel", a.admin(telemetry.LevelHandler(a.opts.Level)))
	mux.Handle("/api/", httpx.LimitRequests(maxRequests, a.reg)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := a.api.Load()
		if h == nil || a.health.Draining() {
			httpx.WriteUnavailable(w, 2*time.Second, "the process is starting or stopping, or has not the role api")
			return
		}
		(*h).ServeHTTP(w, r)
	})))
	handler := httpx.Chain(httpx.Mux(mux), httpx.Metrics(a.reg), httpx.Recover(a.log), httpx.LimitBody(maxBody, api.ImportPath))
	a.private = httpx.New(httpx.Config{Name: "private", Addr: a.cfg.HTTP.Private, Handler: handler, Log: a.log})
	if err := a.private.Listen(ctx); err != nil {
		return err
	}
	a.info.PID, a.info.Private = os.Getpid(), "http://"+a.private.Addr()
	go func() {
		if err := a.private.Serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.failed("private listener", err)
		}
	}()
	a.stops.push("private listener", 5*time.Second, a.private.Shutdown)
	return nil
}

// maxBody bounds the body of a request to the private listener that does not stream it.
const maxBody = 64 << 20

// maxRequests bounds the requests to the API that run at the same time, and with them the bodies in memory and the
// records that wait for the broker. They share the connections of one pool: more would only wait longer.
const maxRequests = 64

// admin lets only the administrator's key through.
func (a *App) admin(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := httpx.Bearer(r.Header.Get("Authorization"))
		if a.key == "" || subtle.ConstantTimeCompare([]byte(key), []byte(a.key)) != 1 {
			httpx.WriteProblem(w, http.StatusUnauthorized, "the administrator's key is needed")
			return
		}
		h.ServeHTTP(w, r)
	})
}
