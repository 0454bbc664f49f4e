package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/herald-gateway/herald/internal/postgres"
)

// maxClones bounds the databases of one template; there are as many as tests that run at the same time.
const maxClones = 64

// clone is a database that this process holds, by an advisory lock on the connection admin.
type clone struct {
	url   string
	name  string
	admin *pgx.Conn
}

// take finds a database that nobody uses, or makes one, and sees to it that it is as the template.
func take(ctx context.Context, adminURL string) (_ *clone, err error) {
	admin, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return nil, fmt.Errorf("connect to the server of %s: %w", DatabaseVariable, err)
	}
	defer func() {
		if err != nil {
			_ = admin.Close(ctx)
		}
	}()
	template, err := ensureTemplate(ctx, admin)
	if err != nil {
		return nil, fmt.Errorf("make template: %w", err)
	}
	for n := range maxClones {
		c := &clone{name: fmt.Sprintf("%s_%d", strings.Replace(template, "template", "test", 1), n), admin: admin}
		var free bool
		if err := admin.QueryRow(ctx, "select pg_try_advisory_lock($1)", postgres.LockKey("pgtest", c.name)).
			Scan(&free); err != nil {
			return nil, err
		}
		if free {
			if c.url, err = urlOf(admin, c.name); err != nil {
				return nil, err
			}
			return c, c.prepare(ctx, template)
		}
	}
	return nil, errors.New("too many test databases are in use")
}

// prepare cleans the database, or makes it anew when it is missing or its tables are not those of the template.
func (c *clone) prepare(ctx context.Context, template string) error {
	var there bool
	if err := c.admin.QueryRow(ctx, "select exists(select from pg_database where datname = $1)", c.name).
		Scan(&there); err != nil {
		return err
	}
	if there {
		if err := c.cut(ctx); err != nil {
			return err
		}
		same, err := clean(ctx, c.url)
		if same || err != nil && postgres.Code(err) == "" {
			return err
		}
		// A table is missing or has other columns: a test did more than work on rows.
		if _, err := c.admin.Exec(ctx, "drop database "+c.name+" with (force)"); err != nil {
			return err
		}
	}
	_, err := c.admin.Exec(ctx, "create database "+c.name+" template "+template)
	return err
}

func (c *clone) cut(ctx context.Context) error {
	_, err := c.admin.Exec(ctx, "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", c.name)
	return err
}

// release gives the database back. It is cleaned by whoever takes it next, which also covers a process that was killed.
func (c *clone) release(ctx context.Context) error {
	return errors.Join(c.cut(ctx), c.admin.Close(ctx))
}

// clean empties the tables that hold rows, except those that the template has in them, and reports whether the database
// has the same tables as the template.
func clean(ctx context.Context, url string) (same bool, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	const names = "(select coalesce(string_agg(name, ',' order by name), '') from "
	const compare = "select " + names + "pgtest.original) = " + names + "pgtest.present)"
	if err := conn.QueryRow(ctx, compare).Scan(&same); err != nil || !same {
		return false, err
	}
	for range 2 { // the second round checks
		dirty, err := dirtyTables(ctx, conn)
		if err != nil || len(dirty) == 0 {
			return err == nil, err
		}
		var sql strings.Builder
		sql.WriteString("set session_replication_role = replica;") // no foreign keys and triggers while rows go
		for _, name := range dirty {
			fmt.Fprintf(&sql, "delete from public.%s; insert into public.%s overriding system value table pgtest.%s;",
				name, name, name)
		}
		if _, err := conn.Exec(ctx, sql.String()+"reset session_replication_role", pgx.QueryExecModeSimpleProtocol); err != nil {
			return false, err
		}
	}
	return false, nil
}

// dirtyTables are the tables whose rows are not those of the template.
func dirtyTables(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, "select name from pgtest.original where name not in ('id_block', 'goose_db_version')")
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("select '%s' where exists((table public.%s except all table pgtest.%s) union all"+
			" (table pgtest.%s except all table public.%s))", name, name, name, name, name))
	}
	rows, err = conn.Query(ctx, strings.Join(parts, " union all "), pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// ensureTemplate makes the database that is cloned, once per day and state of the migrations, and returns its name.
// Nobody may be connected to it while it is cloned, so it is built under another name and refuses connections.
func ensureTemplate(ctx context.Context, admin *pgx.Conn) (string, error) {
	name, err := templateName(time.Now())
	if err != nil {
		return "", err
	}
	const find = "select exists(select from pg_database where datname = $1)"
	var there bool
	if err := admin.QueryRow(ctx, find, name).Scan(&there); err != nil || there {
		return name, err
	}
	key := postgres.LockKey("pgtest", name)
	if _, err := admin.Exec(ctx, "select pg_advisory_lock($1)", key); err != nil {
		return "", err
	}
	defer func() { _, _ = admin.Exec(ctx, "select pg_advisory_unlock($1)", key) }()
	if err := admin.QueryRow(ctx, find, name).Scan(&there); err != nil || there {
		return name, err
	}
	building := name + "_building"
	for _, sql := range []string{"drop database if exists " + building + " with (force)", "create database " + building} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	url, err := urlOf(admin, building)
	if err != nil {
		return "", err
	}
	if err := build(ctx, url); err != nil {
		return "", err
	}
	for _, sql := range []string{
		"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '" + building + "'",
		"alter database " + building + " allow_connections false",
		"alter database " + building + " rename to " + name,
	} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	return name, nil
}

// build migrates the database, makes its partitions and notes down which tables there are and their first rows.
func build(ctx context.Context, url string) error {
	db, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := postgres.Migrate(ctx, db); err != nil {
		return err
	}
	now := time.Now()
	if err := postgres.EnsurePartitions(ctx, db, now.AddDate(0, 0, -1), now.AddDate(0, 0, 2)); err != nil {
		return err
	}
	_, err = db.General.Exec(ctx, `
create schema pgtest;
create view pgtest.present as select c.relname::text as name
 from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname = 'public';
create table pgtest.original as table pgtest.present;
do $$ declare t text; begin
 for t in select name from pgtest.original loop
  execute format('create table pgtest.%I as table public.%I', t, t);
 end loop;
end $$;`, pgx.QueryExecModeSimpleProtocol)
	return err
}

// templateName changes with the migrations, with the day and with how build works.
func templateName(now time.Time) (string, error) {
	const buildVersion = "2"
	sum := sha256.New()
	sum.Write([]byte(buildVersion + now.UTC().Format(time.DateOnly)))
	err := fs.WalkDir(postgres.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(postgres.Migrations(), path)
		sum.Write([]byte(path + "\x00" + string(text)))
		return err
	})
	return "herald_template_" + hex.EncodeToString(sum.Sum(nil)[:6]), err
}

// urlOf is the connection string of another database on admin's server.
func urlOf(admin *pgx.Conn, database string) (string, error) {
	return withDatabase(admin.Config().ConnString(), database)
}
