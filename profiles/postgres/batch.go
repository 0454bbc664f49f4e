package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/profiles"
)

// batch is a set of updates on its way into the database.
type batch struct {
	updates []*profiles.Update
	now     time.Time
	entries map[string]*entry
	counts  profiles.Counts
}

// entry is a profile of the batch.
type entry struct {
	*profiles.Profile
	fresh    bool // it is not in the database yet
	row      bool // columns or attributes changed
	channels []delivery.Channel
}

func newBatch(updates []*profiles.Update, now time.Time) *batch {
	// Postgres keeps microseconds: what is answered is what will be read.
	return &batch{updates: updates, now: now.UTC().Truncate(time.Microsecond), entries: make(map[string]*entry, len(updates))}
}

// settle reads what there is under its lock, merges, and writes what changed.
func (b *batch) settle(ctx context.Context, tx pgx.Tx) error {
	if err := b.lock(ctx, tx); err != nil {
		return err
	}
	b.merge()
	if err := b.insert(ctx, tx); err != nil {
		return err
	}
	return b.write(ctx, tx)
}

// lock reads the profiles that there are, and keeps others from changing them.
func (b *batch) lock(ctx context.Context, tx pgx.Tx) error {
	external := make([]string, len(b.updates))
	for i, u := range b.updates {
		external[i] = u.External
	}
	rows, err := tx.Query(ctx, "select id from profile where external_id = any($1) order by id for update", external)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ids) == 0 {
		return err
	}
	// After the lock: an attribute that one of the rows has is declared by now.
	schema, err := readSchema(ctx, tx)
	if err != nil {
		return err
	}
	found, err := load(ctx, tx, schema, external, profiles.AllFields(schema))
	if err != nil {
		return err
	}
	if len(found) != len(ids) {
		return errRaced // one of them is not locked
	}
	for id, p := range found {
		b.entries[id] = &entry{Profile: p}
	}
	return nil
}

// merge applies the updates.
func (b *batch) merge() {
	for _, u := range b.updates {
		e := b.entries[u.External]
		isNew := e == nil
		if isNew {
			e = &entry{Profile: &profiles.Profile{External: u.External, CreatedAt: b.now}, fresh: true}
			b.entries[u.External] = e
		}
		change := u.Apply(e.Profile)
		e.row = e.row || change.Row
		for _, ch := range change.Channels {
			if !slices.Contains(e.channels, ch) {
				e.channels = append(e.channels, ch)
			}
		}
		switch {
		case isNew:
			b.counts.Created++
		case change.Any():
			b.counts.Updated++
		default:
			b.counts.Unchanged++
		}
	}
}

// insert adds the new profiles, in the order of their external ids.
func (b *batch) insert(ctx context.Context, tx pgx.Tx) error {
	var fresh []*entry
	for _, e := range b.entries {
		if e.fresh {
			fresh = append(fresh, e)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	slices.SortFunc(fresh, func(x, y *entry) int { return strings.Compare(x.External, y.External) })
	external := make([]string, len(fresh))
	for i, e := range fresh {
		external[i] = e.External
	}
	rows, err := tx.Query(ctx, insertProfiles, append([]any{external, b.now}, columnsOf(fresh)...)...)
	if err != nil {
		return err
	}
	n := 0
	var id delivery.ID
	_, err = pgx.ForEachRow(rows, []any{(*int64)(&id), &external[0]}, func() error {
		b.entries[external[0]].ID = id
		n++
		return nil
	})
	if err == nil && n < len(fresh) {
		return errRaced
	}
	return err
}

// write changes the profiles that there were, and the contact points of all.
func (b *batch) write(ctx context.Context, tx pgx.Tx) error {
	var changed []*entry
	var touched []int64 // profiles of which only contact points change
	var gone, added points
	for _, e := range b.entries {
		switch {
		case e.fresh:
		case e.row:
			changed = append(changed, e)
		case len(e.channels) > 0:
			touched = append(touched, int64(e.ID))
		}
		for _, ch := range e.channels {
			if !e.fresh {
				gone.add(e.ID, ch, 0, "")
			}
			for i, address := range e.Contacts[ch] {
				added.add(e.ID, ch, i, address)
			}
		}
	}
	var q pgx.Batch
	if len(changed) > 0 {
		ids := make([]int64, len(changed))
		for i, e := range changed {
			ids[i] = int64(e.ID)
		}
		q.Queue(updateProfiles, append([]any{ids, b.now}, columnsOf(changed)...)...)
	}
	if len(touched) > 0 {
		q.Queue(touchProfiles, touched, b.now)
	}
	if len(gone.profiles) > 0 {
		q.Queue(deletePoints, gone.profiles, gone.channels)
	}
	if len(added.profiles) > 0 {
		q.Queue(insertPoints, added.profiles, added.channels, added.positions, added.addresses)
	}
	if q.Len() == 0 {
		return nil
	}
	return postgres.Send(ctx, tx, &q)
}

// points are rows of contact_point.
type points struct {
	profiles  []int64
	channels  []int16
	positions []int16
	addresses []string
}

func (p *points) add(profile delivery.ID, ch delivery.Channel, position int, address string) {
	p.profiles = append(p.profiles, int64(profile))
	p.channels = append(p.channels, int16(ch))
	p.positions = append(p.positions, int16(position)) //nolint:gosec // a channel has at most 100 addresses
	p.addresses = append(p.addresses, address)
}

const (
	touchProfiles = "update profile set updated_at = $2 where id = any($1)"
	deletePoints  = `delete from contact_point c using unnest($1::bigint[], $2::smallint[]) u(p, ch)
 where c.profile_id = u.p and c.channel = u.ch`
	insertPoints = `insert into contact_point (profile_id, channel, position, address)
select * from unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::text[])`
)

// insertProfiles and updateProfiles take the keys as $1, the time as $2, and then what columnsOf gives.
var insertProfiles, updateProfiles = writeStatements() //nolint:gochecknoglobals // texts that never change

// writeStatements makes the statements from the table of fields. The columns are named as the fields are.
func writeStatements() (insert, update string) {
	var names, types, values, sets []string
	for _, f := range columns() {
		value, kind := "nullif(u."+f.Name()+", '')", "text[]"
		if f == profiles.BirthDate {
			value, kind = "u."+f.Name(), "date[]"
		}
		names, types, values = append(names, f.Name()), append(types, kind), append(values, value)
		sets = append(sets, f.Name()+" = "+value)
	}
	names, types = append(names, "attributes"), append(types, "text[]")
	values, sets = append(values, "u.attributes::jsonb"), append(sets, "attributes = u.attributes::jsonb")
	params := func(key string) string {
		list := []string{"$1::" + key}
		for i, t := range types {
			list = append(list, "$"+strconv.Itoa(3+i)+"::"+t)
		}
		return "unnest(" + strings.Join(list, ", ") + ") u(key, " + strings.Join(names, ", ") + ")"
	}
	insert = "insert into profile (external_id, created_at, updated_at, " + strings.Join(names, ", ") + ") select u.key, $2, $2, " +
		strings.Join(values, ", ") + " from " + params("text[]") + " on conflict (external_id) do nothing returning id, external_id"
	update = "update profile p set updated_at = $2, " + strings.Join(sets, ", ") + " from " + params("bigint[]") + " where p.id = u.key"
	return insert, update
}

// columns lists the fields that are columns.
func columns() []profiles.Field { return profiles.Fields()[:profiles.ColumnCount] }

// columnsOf are the arguments for the columns and attributes of the profiles.
func columnsOf(list []*entry) []any {
	var args []any
	for _, f := range columns() {
		if f == profiles.BirthDate {
			dates := make([]pgtype.Date, len(list))
			for i, e := range list {
				v := e.Columns[f]
				dates[i] = pgtype.Date{Time: v.Time(), Valid: !v.IsNil()}
			}
			args = append(args, dates)
			continue
		}
		texts := make([]string, len(list))
		for i, e := range list {
			texts[i] = e.Columns[f].Text()
		}
		args = append(args, texts)
	}
	attributes := make([]string, len(list))
	for i, e := range list {
		attributes[i] = profiles.AttributesJSON(e.Attributes)
	}
	return append(args, attributes)
}
