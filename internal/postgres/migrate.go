package postgres

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations are the files of the schema's history, in goose's format.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return files
}

// Migration is one step of the schema's history.
type Migration struct {
	// Version orders the steps.
	Version int64
	// Name is the name of the file.
	Name string
	// AppliedAt is zero while the step is pending.
	AppliedAt time.Time
}

// Applied reports whether the database has the step.
func (m Migration) Applied() bool { return !m.AppliedAt.IsZero() }

// Migrate brings the schema to the newest version. Any number of processes may call it at once: one works, the others
// wait up to 5 minutes for it. A step that waits 10 s for a lock on a table in use gives up, so that it does not hold
// up everything behind it; the next call goes on with that step.
func Migrate(ctx context.Context, db *DB) error {
	return withGoose(db, func(p *goose.Provider) error {
		done, err := p.Up(ctx)
		for _, m := range done {
			db.log.InfoContext(ctx, "schema migrated", "version", m.Source.Version, "took", m.Duration)
		}
		if err != nil {
			return fmt.Errorf("migrate schema: %w", err)
		}
		return nil
	})
}

// MigrationStatus lists all steps, oldest first.
func MigrationStatus(ctx context.Context, db *DB) ([]Migration, error) {
	var out []Migration
	err := withGoose(db, func(p *goose.Provider) error {
		steps, err := p.Status(ctx)
		if err != nil {
			return fmt.Errorf("read state of schema: %w", err)
		}
		for _, s := range steps {
			out = append(out, Migration{Version: s.Source.Version, Name: s.Source.Path, AppliedAt: s.AppliedAt})
		}
		return nil
	})
	return out, err
}

// withGoose gives fn a provider on a connection of its own without statement_timeout: building an index may take long.
func withGoose(db *DB, fn func(*goose.Provider) error) error {
	cfg := db.General.Config().ConnConfig.Copy()
	cfg.RuntimeParams["application_name"] = "herald-migrate"
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	cfg.RuntimeParams["lock_timeout"] = "10s"
	conn := stdlib.OpenDB(*cfg)
	defer func(c *sql.DB) { _ = c.Close() }(conn)
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 10))
	if err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, Migrations(),
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return fn(p)
}
