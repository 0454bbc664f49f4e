package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// dailyTable is a table with a partition for every UTC day.
type dailyTable struct {
	name string
	// byTime: the bounds are times; otherwise they are the ids of the day.
	byTime bool
	// with are the storage parameters of a partition.
	with string
}

// updated suits rows that are updated a few times on the day they are made: room on the page keeps the updates from
// touching the index, and frequent analyses keep the planner's view of a young partition fresh.
const updated = "fillfactor=50, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.02"

// appended suits rows that are written once and go with their day. A vacuum would only read them again and put the tails
// of their pages on the list of free space: new rows that are a little shorter would then go into old pages all over the
// day, each with a full page image of its own, instead of into the last one.
const appended = "autovacuum_vacuum_insert_threshold=-1"

func dailyTables() []dailyTable {
	return []dailyTable{
		{name: "claim", with: updated},
		{name: "message", with: updated},
		{name: "message_event", with: appended},
		{name: "job_body", with: appended},
		{name: "provider_ref", byTime: true, with: appended},
	}
}

// DailyTables are the names of the tables that have a partition for every UTC day.
func DailyTables() []string {
	var names []string
	for _, t := range dailyTables() {
		names = append(names, t.name)
	}
	return names
}

// maintenanceLock keeps those who make and drop partitions apart.
func maintenanceLock() int64 { return LockKey("partitions", "") }

const (
	maintenanceTimeout = 30 * time.Second
	lockTimeout        = "2s" // who waits for a strong lock blocks everybody behind it
)

// EnsurePartitions makes the partitions that are missing for the UTC days from that of from to that of to, both
// included. It never waits longer than 2 s for a table that is in use, may run in several processes at once, and
// continues what an earlier call began.
func EnsurePartitions(ctx context.Context, db *DB, from, to time.Time) error {
	have, err := listPartitions(ctx, db.General)
	if err != nil {
		return err
	}
	for n := dayNumber(from); n <= dayNumber(to); n++ {
		for _, t := range dailyTables() {
			if have[t.name][n] == attached {
				continue
			}
			if err := ensurePartition(ctx, db.General, t, n); err != nil {
				return fmt.Errorf("make partition %s: %w", PartitionName(t.name, dayTime(n)), err)
			}
		}
	}
	return nil
}

// ensurePartition makes the table and attaches it, in one transaction. ATTACH takes a weaker lock on the parent than
// CREATE TABLE ... PARTITION OF: readers and writers of other days go on.
func ensurePartition(ctx context.Context, pool *pgxpool.Pool, t dailyTable, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	name := PartitionName(t.name, dayTime(n))
	with := ""
	if t.with != "" {
		with = " with (" + t.with + ")"
	}
	return InTx(ctx, pool, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", maintenanceLock()); err != nil {
			return err
		}
		have, err := listPartitions(ctx, tx) // another process may have been faster
		if err != nil || have[t.name][n] == attached {
			return err
		}
		if have[t.name][n] == detaching {
			return errors.New("it is being dropped")
		}
		for _, sql := range []string{
			"set local lock_timeout = '" + lockTimeout + "'",
			fmt.Sprintf("create table if not exists %s (like %s including all)%s", name, t.name, with),
			fmt.Sprintf("alter table %s attach partition %s for values from (%s) to (%s)",
				t.name, name, t.bound(n), t.bound(n+1)),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// bound is the lower bound of the day as an SQL literal.
func (t dailyTable) bound(n int64) string {
	if t.byTime {
		return "'" + dayTime(n).Format(time.RFC3339) + "'"
	}
	return fmt.Sprintf("'%d'", FirstID(dayTime(n)))
}

// Keep says for how many days after its own a partition is kept, by table; a table that is missing here keeps all.
type Keep map[string]int

// DropPartitions drops the partitions of days that are further back from now than Keep allows, oldest first, and
// returns their names. Nobody who reads or writes other days waits for it. A partition that a long transaction still
// looks at is left for the next call after 2 s and reported in the error; the others are dropped nevertheless. While
// another process is at it, DropPartitions does nothing.
func DropPartitions(ctx context.Context, db *DB, keep Keep, now time.Time) (dropped []string, err error) {
	lock, ok, err := TryLock(ctx, db.General, maintenanceLock())
	if err != nil || !ok {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	have, err := listPartitions(ctx, db.General)
	if err != nil {
		return nil, err
	}
	conn, err := db.General.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("drop partitions: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "set lock_timeout = '"+lockTimeout+"'"); err != nil {
		return nil, fmt.Errorf("drop partitions: %w", err)
	}
	defer func() {
		if _, e := conn.Exec(ctx, "reset lock_timeout"); e != nil {
			closeConn(ctx, conn.Conn()) // the pool must not give out a connection with a setting of ours
		}
	}()
	var faults []error
	for _, p := range overdue(have, keep, now) {
		if err := dropPartition(ctx, conn, p); err != nil {
			faults = append(faults, fmt.Errorf("drop partition %s: %w", p.name(), err))
			continue
		}
		dropped = append(dropped, p.name())
	}
	return dropped, errors.Join(faults...)
}

// partition is one day of one table as the database knows it.
type partition struct {
	table string
	day   int64
	state partitionState
}

func (p partition) name() string { return PartitionName(p.table, dayTime(p.day)) }

type partitionState int

const (
	attached  partitionState = iota + 1
	detaching                // a concurrent detach was interrupted
	detached                 // a table of that name that belongs to nobody
)

func overdue(have map[string]map[int64]partitionState, keep Keep, now time.Time) []partition {
	var out []partition
	for table, days := range have {
		kept, limited := keep[table]
		if !limited {
			continue
		}
		for day, state := range days {
			if day < dayNumber(now)-int64(kept) {
				out = append(out, partition{table, day, state})
			}
		}
	}
	slices.SortFunc(out, func(a, b partition) int {
		// A parent has at most one interrupted detach, and no other detach may begin before that has ended.
		return cmp.Or(-cmp.Compare(detachingFirst(a), detachingFirst(b)), cmp.Compare(a.day, b.day),
			strings.Compare(a.table, b.table))
	})
	return out
}

func detachingFirst(p partition) int {
	if p.state == detaching {
		return 1
	}
	return 0
}

func dropPartition(ctx context.Context, conn *pgxpool.Conn, p partition) error {
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	how := map[partitionState]string{attached: " concurrently", detaching: " finalize"}
	if end, ok := how[p.state]; ok {
		if _, err := conn.Exec(ctx, fmt.Sprintf("alter table %s detach partition %s%s", p.table, p.name(), end)); err != nil {
			return err
		}
	}
	_, err := conn.Exec(ctx, "drop table "+p.name())
	return err
}

// listPartitions reads the days of all daily tables, with the tables that an interrupted drop left behind.
func listPartitions(ctx context.Context, db DBTX) (map[string]map[int64]partitionState, error) {
	const sql = `select c.relname, i.inhparent is not null, coalesce(i.inhdetachpending, false)
 from pg_class c left join pg_inherits i on i.inhrelid = c.oid
 where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and c.relname ~ '_[0-9]{8}$'`
	rows, err := db.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	out := map[string]map[int64]partitionState{}
	for _, t := range dailyTables() {
		out[t.name] = map[int64]partitionState{}
	}
	var name string
	var child, pending bool
	_, err = pgx.ForEachRow(rows, []any{&name, &child, &pending}, func() error {
		cut := len(name) - len(daySuffix) - 1
		days := out[name[:cut]]
		day, err := time.Parse(daySuffix, name[cut+1:])
		if days == nil || err != nil {
			return nil //nolint:nilerr // a table of that name that is somebody else's
		}
		switch {
		case pending:
			days[dayNumber(day)] = detaching
		case child:
			days[dayNumber(day)] = attached
		default:
			days[dayNumber(day)] = detached
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	return out, nil
}

// Days remembers which days have partitions, so that an id whose day was dropped is recognised before a statement names
// a table that does not exist. It is safe for concurrent use.
type Days struct {
	mu   sync.Mutex
	have map[string]map[int64]partitionState
}

// Has reports whether the table has a partition for the day of the id. It asks the database when it does not know the
// day, unless the day is before the oldest one of the table: such days were dropped and do not come back.
func (d *Days) Has(ctx context.Context, db DBTX, table string, id int64) (bool, error) {
	day := dayOf(id)
	if found, gone := d.look(table, day); found || gone {
		return found, nil
	}
	have, err := listPartitions(ctx, db)
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	d.have = have
	d.mu.Unlock()
	found, _ := d.look(table, day)
	return found, nil
}

func (d *Days) look(table string, day int64) (found, gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	days := d.have[table]
	if days[day] == attached {
		return true, false
	}
	for n := range days {
		if n < day {
			return false, false
		}
	}
	return false, len(days) > 0
}

// Forget makes the next Has ask the database. It is called after a statement failed with UndefinedTable and after days
// were dropped.
func (d *Days) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.have = nil
}
