// Package telemetry shows what a process does: logs (slog), metrics (Prometheus), health checks, build information and
// the handlers that serve them on the private listener.
package telemetry
