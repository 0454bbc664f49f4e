//go:build unix

// Package embedded runs a PostgreSQL server of Herald's own from the binaries of the system: one command starts
// everything, and nothing of it needs configuration but a directory.
//
// # Layout
//
//	DIR          0711
//	DIR/lock     locked while a Herald uses the directory; a second one is refused
//	DIR/pg15     the data directory of major version 15, owned by the user who runs the server
//	DIR/run      the directory of the socket, 0700; when that path is too long for a socket, one in the temp directory
//
// The server listens on its socket only: there is no port to conflict and no password to leak. Whoever may enter the
// directory of the socket, which is the user who runs the server and root, may log in.
//
// # Life cycle
//
// Start makes the data directory when there is none, starts the server and returns when it answers. A goroutine then
// supervises it: a server that ends unasked is started again after 0.1 to 5 s. Stop asks it to shut down, with more
// force as time goes by. When the process is killed, Linux interrupts the server, which then shuts down by itself; what
// is still running is recognised and stopped at the next start.
//
// # What it never does
//
// It never deletes or initialises a data directory that exists. A directory of a major version whose binaries are not
// there is an error. What it removes is a postmaster.pid that provably belongs to no running server, and init.15, the
// remains of an initialisation that did not end.
package embedded
