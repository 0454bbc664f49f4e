package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Redacted stands in a log where a value must not.
const Redacted = "<redacted>"

// LogConfig says what is logged, and how.
type LogConfig struct {
	Level  string // debug, info, warn or error; empty: info
	Format string // json or text; empty: json
}

// NewLogger makes a logger and the level by which it can be made quieter or louder at run time. Values of attributes
// that are named like an address, a text or a credential are not written: logs carry ids.
func NewLogger(w io.Writer, cfg LogConfig) (*slog.Logger, *slog.LevelVar, error) {
	level := new(slog.LevelVar)
	if cfg.Level != "" {
		if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
			return nil, nil, fmt.Errorf("log level: %q is none of debug, info, warn, error", cfg.Level)
		}
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	switch cfg.Format {
	case "", "json":
		return slog.New(slog.NewJSONHandler(w, opts)), level, nil
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), level, nil
	}
	return nil, nil, fmt.Errorf("log format: %q is none of json, text", cfg.Format)
}

// redact hides the values of attributes whose names say that they do not belong in a log.
func redact(_ []string, a slog.Attr) slog.Attr {
	switch strings.ToLower(a.Key) {
	case "phone", "email", "address", "recipient", "to", "from", "text", "body", "content", "subject",
		"password", "passwd", "token", "api_key", "authorization", "secret", "credentials":
		return slog.String(a.Key, Redacted)
	}
	return a
}

// LevelHandler tells the level of the logs (GET) and changes it (PUT, the level as the body).
func LevelHandler(level *slog.LevelVar) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPut:
			b, err := io.ReadAll(io.LimitReader(r.Body, 64))
			if err == nil {
				err = level.UnmarshalText([]byte(strings.TrimSpace(string(b))))
			}
			if err != nil {
				http.Error(w, "the level is one of debug, info, warn, error", http.StatusBadRequest)
				return
			}
		default:
			w.Header().Set("Allow", "GET, HEAD, PUT")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, strings.ToLower(level.Level().String())+"\n")
	})
}
