package pgtest

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/herald-gateway/herald/internal/postgres"
)

// Statements are the statements that code under test has run, each once, with the arguments of its first run. What a
// test says of their plans is thereby said of the text that the product really sends.
type Statements struct {
	mu   sync.Mutex
	seen map[string]bool
	list []statement
}

// statement is a text with its arguments, and the pool on which it ran.
type statement struct {
	pool *pgxpool.Pool
	sql  string
	args []any
}

// Watch opens the test's database a second time, with pools that note down what runs on them.
func Watch(t testing.TB, db *postgres.DB) (*postgres.DB, *Statements) {
	t.Helper()
	s := &Statements{seen: map[string]bool{}}
	return &postgres.DB{Hot: s.watch(t, db.Hot), General: s.watch(t, db.General)}, s
}

func (s *Statements) watch(t testing.TB, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	cfg := pool.Config()
	cfg.ConnConfig.Tracer = &tracer{statements: s, pool: pool}
	watched, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("watch statements: %v", err)
	}
	t.Cleanup(watched.Close)
	return watched
}

// planned begins the statements that have a plan.
var planned = regexp.MustCompile(`^\s*(select|insert|update|delete|with)\b`)

func (s *Statements) add(pool *pgxpool.Pool, sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pool.Config().ConnConfig.RuntimeParams["application_name"] + "\n" + sql
	if !s.seen[key] && planned.MatchString(sql) {
		s.seen[key] = true
		s.list = append(s.list, statement{pool, sql, args})
	}
}

// tracer hears of the statements on the connections of one pool; they are explained on a connection of the other one.
type tracer struct {
	statements *Statements
	pool       *pgxpool.Pool
}

var (
	_ pgx.QueryTracer = (*tracer)(nil)
	_ pgx.BatchTracer = (*tracer)(nil)
)

// TraceQueryStart implements pgx.QueryTracer.
func (t *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	t.statements.add(t.pool, d.SQL, d.Args)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (*tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (t *tracer) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	t.statements.add(t.pool, d.SQL, d.Args)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (*tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// literals writes the arguments as an EXECUTE takes them.
func literals(types *pgtype.Map, oids []uint32, args []any) ([]any, error) {
	out := make([]any, len(args))
	for i, arg := range args {
		text, err := types.Encode(oids[i], pgtype.TextFormatCode, arg, []byte{}) // nil stands for null
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		if text != nil {
			out[i] = string(text)
		}
	}
	return out, nil
}
