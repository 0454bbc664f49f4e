//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	readyPoll       = 10 * time.Millisecond
	defaultStart    = 5 * time.Minute // a crash recovery may have gigabytes to replay
	databaseTimeout = 30 * time.Second
	stopFast        = 20 * time.Second
	stopNow         = 5 * time.Second
	minBackoff      = 100 * time.Millisecond
	maxBackoff      = 5 * time.Second
	stable          = time.Minute // a server that ran that long is not in a crash loop
)

// Config says where the server lives. Only Dir is needed.
type Config struct {
	// Dir is the directory of everything; it is made when it is missing.
	Dir string
	// BinDir is the folder of initdb and postgres; empty means HERALD_PG_BIN, or wherever packages put them.
	BinDir string
	// Log is told about starts, restarts and what the server says about itself; nil means silence.
	Log *slog.Logger
	// Settings are settings of the server that replace ours, such as fsync=off for tests.
	Settings map[string]string
	// StartTimeout is how long a start may take, crash recovery included; 0 means 5 minutes.
	StartTimeout time.Duration
}

// Server is a running PostgreSQL server with its supervisor.
type Server struct {
	cfg    Config
	log    *slog.Logger
	who    account
	bin    binaries
	data   string
	socket string
	lock   *os.File

	stopping chan struct{} // closed by Stop
	hurry    chan struct{} // closed when Stop's context ends
	stopped  chan struct{} // closed when the server has ended for good
	stop     sync.Once

	mu       sync.Mutex
	pid      int
	restarts int
	fault    error
}

var (
	errStarting = errors.New("postgres is starting")
	errStopped  = errors.New("postgres is stopped")
)

// Start starts the server and returns when it answers and has the database herald. ctx bounds only the start.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded postgres: no directory")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.StartTimeout <= 0 {
		cfg.StartTimeout = defaultStart
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, fault: errStarting,
		stopping: make(chan struct{}), hurry: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := s.prepare(ctx); err != nil {
		if s.lock != nil {
			_ = s.lock.Close()
		}
		return nil, fmt.Errorf("embedded postgres: %w", err)
	}
	c, err := s.launch(ctx)
	if err == nil {
		if err = s.createDatabase(ctx); err != nil {
			s.shutdown(c)
		}
	}
	if err != nil {
		_ = s.lock.Close()
		return nil, fmt.Errorf("embedded postgres: %w", err)
	}
	s.setState(c.pid, nil)
	go s.supervise(c) //nolint:gosec // it lives as long as the server, not as long as this call
	return s, nil
}

// prepare does everything that comes before the server itself.
func (s *Server) prepare(ctx context.Context) (err error) {
	if s.who, err = serverAccount(); err != nil {
		return err
	}
	dir, err := makeDir(s.cfg.Dir, s.who)
	if err != nil {
		return err
	}
	if s.lock, err = lockDir(dir); err != nil {
		return err
	}
	major, err := existingMajor(dir)
	if err != nil {
		return err
	}
	if s.bin, err = findBinaries(ctx, s.cfg.BinDir, major); err != nil {
		return err
	}
	if s.data, err = ensureData(ctx, dir, s.bin, s.who); err != nil {
		return err
	}
	s.socket, err = socketDir(dir, s.who)
	return err
}

// launch starts the server process and waits until it takes connections. When it fails, no process is left.
func (s *Server) launch(ctx context.Context) (*child, error) {
	if err := clearPidFile(ctx, s.data); err != nil {
		return nil, err
	}
	c, err := startChild(s.who, syscall.SIGINT, &tail{log: s.log}, s.bin.postgres, s.arguments()...)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.bin.postgres, err)
	}
	if err := s.waitReady(ctx, c); err != nil {
		c.signal(syscall.SIGQUIT)
		if !ended(c, stopNow) {
			c.signal(syscall.SIGKILL)
			<-c.done
		}
		return nil, err
	}
	return c, nil
}

// arguments are the command line of the server: it listens only on its socket and is set up for a small machine.
func (s *Server) arguments() []string {
	settings := map[string]string{
		"listen_addresses":          "",
		"port":                      "5432",
		"unix_socket_directories":   s.socket,
		"unix_socket_permissions":   "0700",
		"max_connections":           "60",
		"shared_buffers":            "256MB",
		"max_wal_size":              "2GB",
		"wal_compression":           "on",
		"jit":                       "off",
		"recovery_init_sync_method": "syncfs",
		"log_min_messages":          "warning",
		"log_destination":           "stderr",
		"logging_collector":         "off",
		"log_line_prefix":           "",
		"log_error_verbosity":       "terse", // no DETAIL, which may quote rows
		"log_min_error_statement":   "panic", // nor the statement
	}
	maps.Copy(settings, s.cfg.Settings)
	args := []string{"-D", s.data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// waitReady reads the server's own pid file, which says "ready": no connection is tried before it is welcome.
func (s *Server) waitReady(ctx context.Context, c *child) error {
	timeout := time.NewTimer(s.cfg.StartTimeout)
	defer timeout.Stop()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		if p, err := readPidFile(s.data); err == nil && p.pid == c.pid && p.state == "ready" {
			return nil
		}
		select {
		case <-poll.C:
		case <-c.done:
			return fmt.Errorf("the server ended while it started: %w: %s", errOr(c.err, errStopped), c.out)
		case <-timeout.C:
			return fmt.Errorf("the server did not start within %s: %s", s.cfg.StartTimeout, c.out)
		case <-ctx.Done():
			return fmt.Errorf("start: %w", ctx.Err())
		}
	}
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (s *Server) createDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn(s.socket, "postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var there bool
	const find = "select exists(select from pg_database where datname = $1)"
	if err := conn.QueryRow(ctx, find, database).Scan(&there); err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "create database "+database)
	return err
}

// supervise restarts the server until Stop is called. It owns the child.
func (s *Server) supervise(c *child) {
	defer close(s.stopped)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // a restart that is under way notices Stop
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	backoff := minBackoff
	for {
		began := time.Now()
		if c != nil {
			select {
			case <-c.done:
				s.log.ErrorContext(ctx, "postgres ended, starting it again", "err", c.err, "said", c.out.String())
				s.setState(0, fmt.Errorf("the postgres server ended: %w", errOr(c.err, errStopped)))
			case <-s.stopping:
				s.shutdown(c)
				return
			}
		}
		if time.Since(began) >= stable {
			backoff = minBackoff
		}
		select {
		case <-time.After(backoff):
		case <-s.stopping:
			return
		}
		backoff = min(2*backoff, maxBackoff)
		s.countRestart()
		var err error
		if c, err = s.launch(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			c = nil
			s.setState(0, err)
			s.log.ErrorContext(ctx, "postgres did not start, trying again", "err", err, "next", backoff)
			continue
		}
		s.setState(c.pid, nil)
		s.log.InfoContext(ctx, "postgres runs again", "restarts", s.Restarts())
	}
}

// shutdown ends the server with growing force. SIGTERM is left out: it waits for clients.
func (s *Server) shutdown(c *child) {
	c.signal(syscall.SIGINT)
	select {
	case <-c.done:
		return
	case <-s.hurry:
	case <-time.After(stopFast):
	}
	c.signal(syscall.SIGQUIT)
	if !ended(c, stopNow) {
		c.signal(syscall.SIGKILL)
		<-c.done
	}
}

func ended(c *child, within time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-time.After(within):
		return false
	}
}

// Stop shuts the server down and frees the directory. It cuts connections that are still open; a server that has not
// ended after 20 s, or when ctx ends, is made to. It may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		close(s.stopping)
		select {
		case <-s.stopped:
		case <-ctx.Done():
			close(s.hurry)
			<-s.stopped
		}
		s.setState(0, errStopped)
		if filepath.Dir(s.socket) != filepath.Dir(s.data) {
			_ = os.Remove(s.socket) // the one in the temp directory, which is empty now
		}
		_ = s.lock.Close()
	})
	<-s.stopped
	return nil
}

// URL is the connection string of the database herald, for pgx, psql and pg_dump.
func (s *Server) URL() string { return dsn(s.socket, database) }

// Pid is the process of the server, 0 while there is none.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Restarts counts how often the server was started again after it had ended unasked.
func (s *Server) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// Ready is nil while the server runs, and otherwise says why it does not.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// DataDir is the server's data directory, such as DIR/pg15.
func (s *Server) DataDir() string { return filepath.Clean(s.data) }

func (s *Server) setState(pid int, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid, s.fault = pid, fault
}

func (s *Server) countRestart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts++
}
