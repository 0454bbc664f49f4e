package httpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config says where a Server listens and what it serves.
type Config struct {
	Name    string // for logs and errors, such as private
	Addr    string // host:port; port 0 takes any
	Handler http.Handler
	Log     *slog.Logger // nil: no logs

	// ReadTimeout bounds the reading of a whole request, WriteTimeout the writing of its answer, from the end of the
	// header on; a handler that streams sets its own deadline through http.ResponseController. 0: 60 s and 90 s.
	ReadTimeout, WriteTimeout time.Duration
}

const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// Server is one listener. Listen, Serve and Shutdown are called once each, in this order; Shutdown may also come before.
type Server struct {
	cfg    Config
	srv    *http.Server
	cancel context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
}

// New makes a server that does not listen yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = time.Minute
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 90 * time.Second
	}
	// The base context ends at Shutdown, so that streams end too: net/http would wait for them for ever.
	base, cancel := context.WithCancel(context.Background())
	return &Server{cfg: cfg, cancel: cancel, srv: &http.Server{
		Handler:           cfg.Handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}}
}

// Listen opens the port. Connections wait until Serve.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for %s http: %w", s.cfg.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return nil
}

// Addr is where the server listens, empty before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve answers requests until Shutdown, and then returns nil.
func (s *Server) Serve() error {
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("serve %s http: not listening", s.cfg.Name)
	}
	if err := s.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s http: %w", s.cfg.Name, err)
	}
	return nil
}

// EndStreams ends the contexts of the requests that are running, so that event streams close; new requests on
// connections that stay open are refused their context too.
func (s *Server) EndStreams() { s.cancel() }

// Shutdown stops listening and waits for running requests. Those that last until ctx ends are told so by their context
// and get a moment more; then their connections are cut, which is an error.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	err := s.srv.Shutdown(ctx)
	if l != nil {
		_ = l.Close() // when Serve was never called, the server does not know it
	}
	if err == nil {
		return nil
	}
	s.cancel()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.srv.Shutdown(last) == nil {
		return nil
	}
	_ = s.srv.Close()
	return fmt.Errorf("shut down %s http: %w", s.cfg.Name, err)
}
