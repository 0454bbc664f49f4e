package recordertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/tracking/recorder"
)

// Memory is a store without a database. Its fields may be read while no transaction runs.
type Memory struct {
	mu        sync.Mutex
	Positions map[recorder.Place]int64
	Rows      map[delivery.ID]recorder.Message
	Lines     []recorder.Line
	Refs      []recorder.Ref
	Due       []delivery.Due
	Waiting   map[delivery.ID][]recorder.Parked
	Rollup    map[recorder.Figure]int64
	Ledger    map[recorder.Entry]int64

	naming sync.Mutex // names are given while a transaction runs
	names  map[string]int64

	// Refuse makes the store refuse every batch with this text in a line's detail.
	Refuse string
	// Gone are days that are not kept.
	Gone func(delivery.ID) bool
}

var _ recorder.Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		Positions: map[recorder.Place]int64{}, Rows: map[delivery.ID]recorder.Message{},
		Waiting: map[delivery.ID][]recorder.Parked{}, Rollup: map[recorder.Figure]int64{},
		Ledger: map[recorder.Entry]int64{}, names: map[string]int64{},
	}
}

// Position implements recorder.Store.
func (m *Memory) Position(_ context.Context, p recorder.Place, cluster string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cluster == "other" {
		return 0, recorder.ErrOtherCluster
	}
	if _, ok := m.Positions[p]; !ok {
		m.Positions[p] = -1
	}
	return m.Positions[p], nil
}

func (m *Memory) number(name string) int64 {
	m.naming.Lock()
	defer m.naming.Unlock()
	if _, ok := m.names[name]; !ok {
		m.names[name] = int64(len(m.names) + 1)
	}
	return m.names[name]
}

// Launch implements recorder.Store.
func (m *Memory) Launch(_ context.Context, label string, _ time.Time) (int64, error) {
	return m.number("launch " + label), nil
}

// Provider implements recorder.Store.
func (m *Memory) Provider(_ context.Context, name string, _ delivery.Channel) (int16, error) {
	return int16(m.number("provider " + name)), nil //nolint:gosec // few names
}

// Known implements recorder.Store.
func (m *Memory) Known(_ context.Context, id delivery.ID) (bool, error) {
	return m.Gone == nil || !m.Gone(id), nil
}

// InTx implements recorder.Store; transactions run one after the other.
func (m *Memory) InTx(ctx context.Context, fn func(context.Context, recorder.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	tx := &memoryTx{Memory: m, taken: map[delivery.ID]bool{}}
	if err := fn(ctx, tx); err != nil {
		return err
	}
	for _, f := range tx.commit {
		f()
	}
	return nil
}

type memoryTx struct {
	*Memory
	taken  map[delivery.ID]bool
	commit []func()
}

func (t *memoryTx) Advance(_ context.Context, p recorder.Place, from, to int64) error {
	if t.Positions[p] != from {
		return recorder.ErrFenced
	}
	t.commit = append(t.commit, func() { t.Positions[p] = to })
	return nil
}

func (t *memoryTx) Messages(_ context.Context, jobs []delivery.ID) ([]recorder.Message, error) {
	var list []recorder.Message
	for _, job := range jobs {
		for n := range delivery.MessagesPerJob {
			if m, ok := t.Rows[job.Message(n)]; ok {
				list = append(list, m)
			}
		}
	}
	return list, nil
}

func (t *memoryTx) Parked(_ context.Context, ids []delivery.ID) ([][]byte, error) {
	var bodies [][]byte
	for _, id := range ids {
		for _, p := range t.Waiting[id] {
			bodies = append(bodies, p.Body)
		}
		t.commit = append(t.commit, func() { delete(t.Waiting, id) })
	}
	return bodies, nil
}

func (t *memoryTx) Save(_ context.Context, c *recorder.Changes) error {
	for _, l := range c.Lines {
		if t.Refuse != "" && strings.Contains(l.Detail, t.Refuse) {
			return fmt.Errorf("detail %q: %w", l.Detail, recorder.ErrBad)
		}
	}
	for _, n := range c.New {
		if _, ok := t.Rows[n.ID]; ok {
			return recorder.ErrFenced
		}
	}
	for _, u := range c.Updated {
		if is := t.Rows[u.ID]; is.State.Rank != u.WasRank || is.Flags != u.WasFlags {
			return recorder.ErrFenced
		}
	}
	t.commit = append(t.commit, func() { t.keep(c) })
	return nil
}

func (t *memoryTx) keep(c *recorder.Changes) {
	for _, n := range c.New {
		t.Rows[n.ID] = n
	}
	for _, u := range c.Updated {
		t.Rows[u.ID] = u.Message
	}
	t.Lines, t.Refs, t.Due = append(t.Lines, c.Lines...), append(t.Refs, c.Refs...), append(t.Due, c.Due...)
	for _, p := range c.Park {
		if !slices.ContainsFunc(t.Waiting[p.Message], func(o recorder.Parked) bool { return o.ID == p.ID }) {
			t.Waiting[p.Message] = append(t.Waiting[p.Message], p)
		}
	}
	for _, f := range c.Rollup {
		t.Rollup[f.Of] += f.N
	}
	for _, e := range c.Ledger {
		t.Ledger[e.Of] += e.N
	}
	maps.DeleteFunc(t.Rollup, func(_ recorder.Figure, n int64) bool { return n == 0 })
	maps.DeleteFunc(t.Ledger, func(_ recorder.Entry, n int64) bool { return n == 0 })
}

// Log keeps what was written to Kafka.
type Log struct {
	mu      sync.Mutex
	records []delivery.Record
	// Err, when set, is what Write answers.
	Err error
}

// Write keeps the records.
func (l *Log) Write(_ context.Context, records []delivery.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Err != nil {
		return l.Err
	}
	l.records = append(l.records, records...)
	return nil
}

// Records are those that were written to the topic.
func (l *Log) Records(topic string) []delivery.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.records), func(r delivery.Record) bool { return r.Topic != topic })
}

// Names are the numbers that names got.
func (m *Memory) Names() map[string]int64 { return m.names }
