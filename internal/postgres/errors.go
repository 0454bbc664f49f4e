package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Away reports whether err means that the server is not there for us at the moment: it is unreachable, starting,
// shutting down, out of connections or of a resource, it broke the connection, or it did not answer in time. The
// caller waits and repeats. It is false for an error of the statement itself, for a refused login or a missing
// database, and when the caller's own context was cancelled.
func Away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if sql, ok := errors.AsType[*pgconn.PgError](err); ok {
		return awayCode(sql.Code)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.Timeout(err) || errors.Is(err, pgconn.ErrConnClosed) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED)
}

// awayCode knows the conditions of the server, by the codes of PostgreSQL's appendix A.
func awayCode(code string) bool {
	switch code {
	case "57P01", // admin_shutdown
		"57P02", // crash_shutdown
		"57P03", // cannot_connect_now
		"57P05", // idle_session_timeout
		"25P03", // idle_in_transaction_session_timeout
		"58000", // system_error
		"58030": // io_error
		return true
	}
	return strings.HasPrefix(code, "08") || // connection exceptions
		strings.HasPrefix(code, "53") // insufficient resources: connections, disk, memory
}

// Retryable reports whether the transaction may simply be run again at once: it was the victim of a deadlock or of a
// serialisation conflict, or waited too long for a lock or for its turn. The server is there, and the statement is not
// wrong.
func Retryable(err error) bool {
	switch Code(err) {
	case "40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03", // lock_not_available: lock_timeout
		"57014": // query_canceled: statement_timeout
		return true
	}
	return false
}

// UndefinedTable reports whether the statement named a table that does not exist, such as the partition of a day that
// was dropped.
func UndefinedTable(err error) bool { return Code(err) == "42P01" }

// Code is the SQLSTATE of err, empty when the server did not report one.
func Code(err error) string {
	if sql, ok := errors.AsType[*pgconn.PgError](err); ok {
		return sql.Code
	}
	return ""
}
