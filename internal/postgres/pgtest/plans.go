package pgtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/internal/postgres"
)

// Shape is what plans may look like. Whatever it says, a statement of the message path finds its rows by an index: it
// walks over no table, and does not read more of one than it was asked for.
type Shape struct {
	// Rows bounds how many rows one statement may read, those included that it throws away.
	Rows int
	// Days is how many days a statement may look at, by table; a table that is missing here has one. It does not matter
	// for tables without a partition for each day.
	Days map[string]int
	// Whole are indexes that may be read as a whole, because they hold few rows by their nature.
	Whole []string
}

// fill makes the rows of an installation that was busy for days, in a transaction that is rolled back. Its ids are the
// first of each day, and its launches have negative numbers, so that they are not those of a test.
const fill = `
create temp table busy as
	select day, g, id_at(day) + 8 * g as id
	  from (select date_trunc('day', now()) + make_interval(days => n) from generate_series(-1, 2) n) d(day),
	       generate_series(1, 3000) g;
insert into claim (id, owner, launch_id, part, off) select id, 1, -g, 0, g from busy;
insert into job_body (job_id, body) select id, 'body' from busy;
insert into message (id, profile_id, launch_id, variant, channel, status, status_at)
	select id + link, -g, -g, 0, 0, 40, day from busy, generate_series(0, 1) link;
insert into message_event (message_id, id, at, kind) select id, n::text, day, 1 from busy, generate_series(1, 2) n;
insert into provider_ref (provider, ref, message_id, at)
	select 1, 'busy-' || g, id, day + g % 24 * interval '1 hour' from busy;
insert into job_key (key_hash, job_id, at) select md5(id::text)::uuid, id, day from busy;
insert into job_record (cluster, lane, part, off_from, off_to, base_id, at)
	select c, lane, part, 500 * g, 500 * g + 499, id, day
	  from busy, generate_series(1, 2) c, generate_series(0, 1) lane, generate_series(0, 1) part where day = now()::date;
insert into owner (process, generation, seen_at, dead_at) select 'busy', g, day, day from busy;
insert into launch (label, created_at) select 'busy-' || id, day from busy;
insert into launch_claimed (launch_id, owner, n) select -g, 1, 1 from busy where day = now()::date;
insert into ledger (launch_id, variant, bucket, reason, n) select -g, 0, 1, 0, 1 from busy where day = now()::date;
insert into rollup (launch_id, variant, channel, kind, hour, n) select -g, 0, 0, 1, day, 1 from busy;
insert into due (due_at, kind, message_id, profile_id, lane) select day + interval '10 days', 1, id, -g, 1 from busy;
insert into event_parked (message_id, id, body, at) select id, 'busy', 'body', day from busy;
insert into receipt_parked (provider, ref, state, at, raw, parked_at)
	select 1, 'parked-' || id, 1, day, 'raw', now() - interval '2 hours' from busy;
insert into part_state (message_id, parts) select id, 2 from busy;
insert into profile (external_id, attributes, created_at, updated_at) select 'busy-' || id, '{"bonus": 1}', day, day from busy;
insert into contact_point (profile_id, channel, position, address)
	select p.id, ch, 0, 'busy' from profile p, generate_series(0, 3) ch where external_id like 'busy-%';
`

// RequirePlans explains every statement on a connection like the one on which it ran: while the tables are empty, when
// they are full and nobody has analysed them, when they were analysed before they grew, and when all is known.
func (s *Statements) RequirePlans(t testing.TB, shape Shape) {
	t.Helper()
	for _, state := range []struct {
		name  string
		setup []string
	}{
		{"empty", nil},
		{"grown", []string{fill}},
		{"grown since the last analyze", []string{"analyze", fill}},
		{"analysed", []string{fill, "analyze"}},
	} {
		for pool, list := range s.byPool() {
			if err := shape.check(t, state.name, state.setup, pool, list); err != nil {
				t.Fatalf("explain, %s: %v", state.name, err)
			}
		}
	}
}

func (s *Statements) byPool() map[*pgxpool.Pool][]statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	pools := map[*pgxpool.Pool][]statement{}
	for _, st := range s.list {
		pools[st.pool] = append(pools[st.pool], st)
	}
	return pools
}

// check runs the statements within a transaction that is rolled back, and fails the test for each that breaks the shape.
func (shape *Shape) check(
	t testing.TB, state string, setup []string, pool *pgxpool.Pool, list []statement,
) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	defer func() { _, _ = conn.Exec(ctx, "rollback") }()
	for _, sql := range append([]string{"begin", "set local statement_timeout = 0"}, setup...) {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	for _, mode := range modes(pool) {
		for _, st := range list {
			p, err := explain(ctx, conn.Conn(), mode, st)
			if err != nil {
				return fmt.Errorf("%w\n%s", err, st.sql)
			}
			for _, fault := range p.faults(shape) {
				t.Errorf("%s, %s: %s\n%s\n%s", state, mode, fault, st.sql, p.text)
			}
		}
	}
	return nil
}

// modes are the kinds of plans that the pool's connections use: where the server chooses, it may use either.
func modes(pool *pgxpool.Pool) []string {
	if mode := pool.Config().ConnConfig.RuntimeParams["plan_cache_mode"]; mode != "" {
		return []string{mode}
	}
	return []string{"force_custom_plan", "force_generic_plan"}
}

// explain executes the statement, undoes what it did, and returns how it was executed.
func explain(ctx context.Context, conn *pgx.Conn, mode string, st statement) (*plan, error) {
	const name = "pgtest_explained"
	if _, err := conn.Exec(ctx, "set local plan_cache_mode = "+mode+"; savepoint explained",
		pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, err
	}
	prepared, err := conn.Prepare(ctx, name, st.sql)
	if err != nil {
		return nil, err
	}
	args, err := literals(conn.TypeMap(), prepared.ParamOIDs, st.args)
	if err != nil {
		return nil, err
	}
	execute := "execute " + name + placeholders(len(args))
	out, err := explained(ctx, conn, "explain (analyze, timing off, format json) "+execute, args)
	if postgres.Code(err) == uniqueViolation { // it has run already: its plan must do
		out, err = explained(ctx, conn, "explain (format json) "+execute, args)
	}
	if err != nil {
		return nil, err
	}
	return readPlan(out, conn.Deallocate(ctx, name))
}

const uniqueViolation = "23505"

// explained returns what an EXPLAIN says, and goes back to before it.
func explained(ctx context.Context, conn *pgx.Conn, sql string, args []any) (out string, err error) {
	err = conn.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...).Scan(&out)
	_, undo := conn.Exec(ctx, "rollback to savepoint explained")
	return out, errors.Join(err, undo)
}

func placeholders(n int) string {
	if n == 0 {
		return ""
	}
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("$%d", i+1)
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// plan is how a statement was executed.
type plan struct {
	text string
	root node
}

// node is a step of a plan as EXPLAIN shows it. Rows are those of one loop.
type node struct {
	Type     string  `json:"Node Type"`
	Table    string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	TID      string  `json:"TID Cond"`
	Rows     float64 `json:"Actual Rows"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Recheck  float64 `json:"Rows Removed by Index Recheck"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []node
}

func readPlan(text string, err error) (*plan, error) {
	if err != nil {
		return nil, err
	}
	var list []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, err
	}
	return &plan{text: text, root: list[0].Plan}, nil
}

// scans are the steps that read a table; those of the server itself, whose names begin with pg_, do not count.
func (n *node) scans(found func(*node)) {
	if n.Table != "" && !strings.HasPrefix(n.Table, "pg_") && strings.HasSuffix(n.Type, " Scan") {
		found(n)
	}
	for i := range n.Plans {
		n.Plans[i].scans(found)
	}
}

// byIndex says that the step goes straight to the rows that it was asked for, or reads an index of whole.
func (n *node) byIndex(whole []string) bool {
	switch n.Type {
	case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
		return n.Cond != "" || slices.Contains(whole, n.Index)
	case "Bitmap Heap Scan", "BitmapOr", "BitmapAnd":
		return !slices.ContainsFunc(n.Plans, func(p node) bool { // of what it selects, a subplan stands here too
			return strings.HasPrefix(p.Type, "Bitmap") && !p.byIndex(whole)
		})
	case "Tid Scan":
		return n.TID != ""
	}
	return false
}

// faults tells in which ways the plan breaks the shape.
func (p *plan) faults(shape *Shape) (faults []string) {
	read := 0.0
	days := map[string]map[string]bool{}
	p.root.scans(func(n *node) {
		if !n.byIndex(shape.Whole) {
			faults = append(faults, n.Type+" over "+n.Table)
		}
		read += (n.Rows + n.Filtered + n.Recheck) * n.Loops
		if table := daily(n.Table); table != "" {
			if days[table] == nil {
				days[table] = map[string]bool{}
			}
			days[table][n.Table] = true
		}
	})
	if read > float64(shape.Rows) {
		faults = append(faults, fmt.Sprintf("reads %.0f rows, more than %d", read, shape.Rows))
	}
	for table, seen := range days {
		if len(seen) > max(1, shape.Days[table]) {
			faults = append(faults, fmt.Sprintf("looks at %d days of %s", len(seen), table))
		}
	}
	return faults
}

// daily is the table of which this is a day's partition.
func daily(partition string) string {
	for _, table := range postgres.DailyTables() {
		if day, ok := strings.CutPrefix(partition, table+"_"); ok && len(day) == len("20060102") {
			return table
		}
	}
	return ""
}
