package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/profiles"
)

// schemaFor is how long a Loader goes by the attributes that it has read: so long may a new one stay unknown to it.
const schemaFor = 5 * time.Second

// Loader finds profiles for sending. It is safe for concurrent use.
type Loader struct {
	db postgres.DBTX

	mu     sync.Mutex
	schema *profiles.Schema
	read   time.Time // when schema was
}

var _ profiles.Reader = (*Loader)(nil)

// NewLoader makes a loader, best on the pool for hot statements.
func NewLoader(db postgres.DBTX) *Loader { return &Loader{db: db} }

// Load implements profiles.Reader, by one statement.
func (l *Loader) Load(
	ctx context.Context, external []string, fields profiles.FieldSet,
) (map[string]*profiles.Profile, error) {
	if len(external) == 0 {
		return nil, nil
	}
	schema, err := l.attributes(ctx, fields)
	if err != nil {
		return nil, failed("read attributes", err)
	}
	found, err := load(ctx, l.db, schema, external, fields)
	return found, failed("load profiles", err)
}

// attributes gives a schema that is not too old; none is read when no attribute is wanted.
func (l *Loader) attributes(ctx context.Context, fields profiles.FieldSet) (*profiles.Schema, error) {
	if len(fields.Attributes()) == 0 && !fields.AllAttributes() {
		return nil, nil
	}
	l.mu.Lock()
	schema, fresh := l.schema, time.Since(l.read) < schemaFor
	l.mu.Unlock()
	if fresh {
		return schema, nil
	}
	schema, err := readSchema(ctx, l.db)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.schema, l.read = schema, time.Now()
	return schema, nil
}

// load reads the wanted fields of the profiles that there are.
func load(
	ctx context.Context, db postgres.DBTX, schema *profiles.Schema, external []string, fields profiles.FieldSet,
) (map[string]*profiles.Profile, error) {
	q := newQuery(schema, fields)
	args := []any{external}
	if len(q.attributes) > 0 {
		args = append(args, q.attributes)
	}
	rows, err := db.Query(ctx, q.sql, args...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*profiles.Profile, len(external))
	_, err = pgx.ForEachRow(rows, q.targets, func() error {
		p, err := q.profile()
		if err == nil {
			found[p.External] = p
		}
		return err
	})
	return found, err
}

// query is a statement for a set of fields, with room for a row of its answer.
type query struct {
	sql     string
	targets []any

	schema     *profiles.Schema
	attributes []string         // those wanted that are declared, unless all are
	columns    []profiles.Field // those wanted, but the birth date

	id               int64
	external         string
	created, updated time.Time
	texts            [profiles.ColumnCount]pgtype.Text
	birth            pgtype.Date
	addresses        []string // each after the number of its channel and a colon
	values           []pgtype.Text
	all              string // attributes
}

// newQuery names only what is wanted: an index leads to the profile, and another one to its contact points. The statement
// is the same for the same fields, so that it is prepared once.
func newQuery(schema *profiles.Schema, fields profiles.FieldSet) *query {
	q := &query{schema: schema}
	q.targets = []any{&q.id, &q.external, &q.created, &q.updated}
	names := []string{"p.id", "p.external_id", "p.created_at", "p.updated_at"}
	channels := 0 // a bit for each
	for _, f := range profiles.Fields() {
		ch, contact := f.Channel()
		switch {
		case !fields.Has(f):
			continue
		case contact:
			channels |= 1 << ch
		case f == profiles.BirthDate:
			names, q.targets = append(names, "p."+f.Name()), append(q.targets, &q.birth)
		default:
			q.columns = append(q.columns, f)
			names, q.targets = append(names, "p."+f.Name()), append(q.targets, &q.texts[f])
		}
	}
	if channels != 0 {
		// The channels are bits, so that the rows of a profile are read at once, in the order of the index.
		names = append(names, "array(select c.channel || ':' || c.address from contact_point c where c.profile_id = p.id and "+
			strconv.Itoa(channels)+" & (1 << c.channel) <> 0 order by c.channel, c.position)")
		q.targets = append(q.targets, &q.addresses)
	}
	if fields.AllAttributes() {
		// At once: to look for each costs all that are declared, however few a profile has.
		names, q.targets = append(names, "p.attributes::text"), append(q.targets, &q.all)
	} else {
		for _, name := range fields.Attributes() {
			if _, ok := schema.Attribute(name); ok {
				q.attributes = append(q.attributes, name)
			}
		}
	}
	if len(q.attributes) > 0 {
		names = append(names, "array(select (p.attributes -> a)::text from unnest($2::text[]) a)")
		q.targets = append(q.targets, &q.values)
	}
	q.sql = "select " + strings.Join(names, ", ") + " from profile p where p.external_id = any($1)"
	return q
}

// profile makes a profile of the row that was read.
func (q *query) profile() (*profiles.Profile, error) {
	p := &profiles.Profile{
		ID: delivery.ID(q.id), External: q.external, CreatedAt: q.created.UTC(), UpdatedAt: q.updated.UTC(),
	}
	for _, f := range q.columns {
		p.Columns[f] = profiles.StringValue(q.texts[f].String)
	}
	if q.birth.Valid {
		p.Columns[profiles.BirthDate] = profiles.DateValue(q.birth.Time.Date())
	}
	for _, text := range q.addresses {
		number, address, _ := strings.Cut(text, ":")
		n, err := strconv.ParseUint(number, 10, 8)
		if err != nil {
			return nil, fmt.Errorf("channel of a contact point: %w", err)
		}
		if p.Contacts == nil {
			p.Contacts = make(map[delivery.Channel][]string, 2)
		}
		ch := delivery.Channel(n)
		p.Contacts[ch] = append(p.Contacts[ch], address)
	}
	if q.all != "" {
		var err error
		if p.Attributes, err = q.schema.ReadAttributes(q.all); err != nil {
			return nil, err
		}
	}
	for i, text := range q.values {
		if !text.Valid {
			continue
		}
		v, err := q.schema.ReadAttribute(q.attributes[i], text.String)
		if err != nil {
			return nil, err
		}
		if p.Attributes == nil {
			p.Attributes = make(map[string]profiles.Value, len(q.attributes))
		}
		p.Attributes[q.attributes[i]] = v
	}
	return p, nil
}
