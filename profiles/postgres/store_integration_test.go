//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
	"github.com/herald-gateway/herald/profiles"
	"github.com/herald-gateway/herald/profiles/postgres"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 123_456_000, time.UTC)

// attributes declares one attribute of each type.
func attributes(t testing.TB, s *postgres.Store) *profiles.Schema {
	t.Helper()
	for _, a := range []profiles.Attribute{
		{Name: "level", Type: profiles.TypeString, Title: "Уровень"},
		{Name: "bonus", Type: profiles.TypeNumber, Title: "Бонусы"},
		{Name: "spent", Type: profiles.TypeMoney, Title: "Потрачено"},
		{Name: "vip", Type: profiles.TypeBool, Title: "VIP"},
		{Name: "joined", Type: profiles.TypeDate, Title: "Дата вступления"},
		{Name: "visited", Type: profiles.TypeTime, Title: "Последний визит"},
	} {
		a.CreatedAt = now
		_, err := s.CreateAttribute(t.Context(), a)
		require.NoError(t, err)
	}
	schema, err := s.Schema(t.Context())
	require.NoError(t, err)
	return schema
}

// updates reads rows of JSON.
func updates(t testing.TB, schema *profiles.Schema, rows ...string) []*profiles.Update {
	t.Helper()
	d := profiles.NewDecoder(schema)
	var list []*profiles.Update
	for _, row := range rows {
		u, faults := d.JSON(row)
		require.Empty(t, faults)
		list = append(list, u)
	}
	return list
}

const row = `{"id":"crm:1","first_name":"Ольга","last_name":"O'Nil \"x\"","sex":"female","birth_date":"1990-02-28","city":"Пермь",` +
	`"locale":"ru","timezone":"Asia/Yekaterinburg","phone":"+79000001234","email":"olga@shop.example","push":["t1","t2"],` +
	`"attributes":{"level":"a\\b\"c","bonus":350.5,"spent":{"amount":1250.50,"currency":"RUB"},"vip":false,"joined":"0099-01-31",` +
	`"visited":"2026-11-22T10:00:00.5+03:00"}}`

func TestStore_UpsertAndFind(t *testing.T) {
	t.Parallel()
	s, ctx := postgres.New(pgtest.Tx(t)), t.Context()
	schema := attributes(t, s)
	list := updates(t, schema, row)

	_, err := s.Find(ctx, "crm:1")
	require.ErrorIs(t, err, profiles.ErrNotFound)
	counts, err := s.Upsert(ctx, list, now)
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Created: 1}, counts)

	want := profiles.Profile{External: "crm:1", CreatedAt: now, UpdatedAt: now}
	list[0].Apply(&want)
	got, err := s.Find(ctx, "crm:1")
	require.NoError(t, err)
	require.Positive(t, got.ID)
	want.ID = got.ID
	require.Equal(t, &want, got)

	counts, err = s.Upsert(ctx, list, now.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Unchanged: 1}, counts)
	got, err = s.Find(ctx, "crm:1")
	require.NoError(t, err)
	require.Equal(t, &want, got, "what says nothing new writes nothing")

	// A partial update: what is left out stays, what is null goes.
	later := now.Add(2 * time.Hour)
	change := updates(t, schema, `{"id":"crm:1","city":null,"email":null,"push":["t3"],"attributes":{"bonus":1,"level":null}}`)
	counts, err = s.Upsert(ctx, change, later)
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Updated: 1}, counts)
	change[0].Apply(&want)
	want.UpdatedAt = later
	got, err = s.Find(ctx, "crm:1")
	require.NoError(t, err)
	require.Equal(t, &want, got)
	require.Equal(t, "Ольга", got.Value("first_name").Text())
}

func TestStore_ManyInABatch(t *testing.T) {
	t.Parallel()
	s, ctx := postgres.New(pgtest.Tx(t)), t.Context()
	schema := attributes(t, s)
	_, err := s.Upsert(ctx, updates(t, schema, `{"id":"old","city":"Тула","phone":"+79000000001"}`, `{"id":"same"}`), now)
	require.NoError(t, err)

	counts, err := s.Upsert(ctx, updates(t, schema,
		`{"id":"new","city":"Омск"}`, `{"id":"old","phone":null}`, `{"id":"new","city":"Томск","push":["a"]}`, `{"id":"same"}`,
		`{"id":"new","push":["b","c"]}`, `{"id":"old","phone":"+79000000002","attributes":{"bonus":7}}`), now)
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Created: 1, Updated: 4, Unchanged: 1}, counts)
	p, err := s.Find(ctx, "new")
	require.NoError(t, err)
	require.Equal(t, "Томск", p.Value("city").Text())
	require.Equal(t, []string{"b", "c"}, p.Contacts[delivery.ChannelPush])
	p, err = s.Find(ctx, "old")
	require.NoError(t, err)
	require.Equal(t, "Тула", p.Value("city").Text())
	require.Equal(t, "+79000000002", p.Value("phone").Text())
	require.Equal(t, profiles.IntValue(7), p.Value("bonus"))
}

func TestStore_Attributes(t *testing.T) {
	t.Parallel()
	s, ctx := postgres.New(pgtest.Tx(t)), t.Context()
	attributes(t, s)
	size := profiles.Attribute{Name: "shoe_size", Type: profiles.TypeNumber, Title: "Размер обуви", CreatedAt: now}
	made, err := s.CreateAttribute(ctx, size)
	require.NoError(t, err)
	require.Equal(t, size, made)
	again := size
	again.CreatedAt = now.Add(time.Hour)
	made, err = s.CreateAttribute(ctx, again)
	require.NoError(t, err, "the same once more is harmless")
	require.Equal(t, size, made)
	for _, other := range []profiles.Attribute{
		{Name: "shoe_size", Type: profiles.TypeString, Title: "Размер обуви"},
		{Name: "size", Type: profiles.TypeNumber, Title: "размер_обуви"},
	} {
		_, err = s.CreateAttribute(ctx, other)
		var collision *profiles.CollisionError
		require.ErrorAs(t, err, &collision)
	}
	schema, err := s.Schema(ctx)
	require.NoError(t, err)
	require.Len(t, schema.Attributes(), 7)
	got, _ := schema.Attribute("shoe_size")
	require.Equal(t, size, got)
}

// Two processes that declare the same name at the same time: one of them is told.
func TestStore_ConcurrentAttributes(t *testing.T) {
	t.Parallel()
	s := postgres.New(pgtest.DB(t).General)
	errs := make(chan error, 4)
	for i := range 4 {
		go func() {
			_, err := s.CreateAttribute(t.Context(), profiles.Attribute{
				Name: fmt.Sprintf("a%d", i), Type: profiles.TypeString, Title: "Номер", CreatedAt: now,
			})
			errs <- err
		}()
	}
	good := 0
	for range 4 {
		if err := <-errs; err == nil {
			good++
		} else {
			var collision *profiles.CollisionError
			require.ErrorAs(t, err, &collision)
		}
	}
	require.Equal(t, 1, good)
}

// Many writers of the same profiles, in any order, new ones and old ones: all end, and each write counts.
func TestStore_ConcurrentUpserts(t *testing.T) {
	t.Parallel()
	const workers, rounds, clients, size = 4, 15, 120, 60
	s := postgres.New(pgtest.DB(t).General)
	schema := attributes(t, s)
	group, ctx := errgroup.WithContext(t.Context())
	for w := range workers {
		group.Go(func() error {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			for round := range rounds {
				var list []string
				for _, i := range r.Perm(clients)[:size] {
					list = append(list, fmt.Sprintf(`{"id":"%d-%d","city":"%d","push":["%d-%d"],"phone":"+7900000%04d"}`,
						round/5, i, w, w, round, i))
				}
				if _, err := s.Upsert(ctx, updates(t, schema, list...), now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for i := range clients {
		p, err := s.Find(t.Context(), fmt.Sprintf("0-%d", i))
		require.NoError(t, err)
		require.Len(t, p.Contacts[delivery.ChannelPush], 1)
		require.True(t, strings.HasPrefix(p.Contacts[delivery.ChannelPush][0], p.Value("city").Text()+"-"),
			"the row and its contact points are one writer's")
	}
}

func TestStore_DatabaseAway(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://u@127.0.0.1:1/x?connect_timeout=1")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = postgres.New(pool).Find(t.Context(), "x")
	require.ErrorIs(t, err, delivery.ErrUnavailable)
	_, err = postgres.New(pool).Upsert(t.Context(), []*profiles.Update{{External: "x"}}, now)
	require.ErrorIs(t, err, delivery.ErrUnavailable)
	_, err = postgres.NewLoader(pool).Load(t.Context(), []string{"x"}, profiles.FieldSet{})
	require.ErrorIs(t, err, delivery.ErrUnavailable)
}

func TestLoader(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	s, l := postgres.New(tx), postgres.NewLoader(tx)
	schema := attributes(t, s)
	_, err := s.Upsert(ctx, updates(t, schema, row, `{"id":"crm:2","phone":"+79000000002"}`), now)
	require.NoError(t, err)

	got, err := l.Load(ctx, []string{"crm:2", "crm:1", "nobody", "crm:1"},
		profiles.NewFieldSet("name", "birth_date", "bonus", "spent", "undeclared").With(delivery.ChannelViber))
	require.NoError(t, err)
	require.Len(t, got, 2)
	p := got["crm:1"]
	require.Equal(t, "Ольга", p.Value("name").Text())
	require.Equal(t, profiles.DateValue(1990, 2, 28), p.Value("birth_date"))
	require.Equal(t, map[string]profiles.Value{
		"bonus": profiles.DecimalValue(3505, 1), "spent": profiles.MoneyValue(125050, "RUB"),
	}, p.Attributes, "only what is wanted")
	require.True(t, p.Value("city").IsNil(), "only what is wanted")
	require.Empty(t, p.Value("email").Text())
	require.Equal(t, "+79000001234", p.Recipient(nil).Address(delivery.ChannelViber), "Viber is on the phone")
	require.Equal(t, "Asia/Yekaterinburg", p.Recipient(nil).Timezone)
	require.Equal(t, "+79000000002", got["crm:2"].Value("phone").Text())
	require.Nil(t, got["crm:2"].Attributes)

	all, err := l.Load(ctx, []string{"crm:1"}, profiles.AllFields(schema))
	require.NoError(t, err)
	whole, err := s.Find(ctx, "crm:1")
	require.NoError(t, err)
	require.Equal(t, whole, all["crm:1"])
	ids, err := l.Load(ctx, []string{"crm:1"}, profiles.FieldSet{})
	require.NoError(t, err)
	require.Equal(t, whole.ID, ids["crm:1"].ID)
}

// However many clients there are, those of a batch are found by the index.
func TestLoader_Plans(t *testing.T) {
	t.Parallel()
	const n = 500
	db := pgtest.DB(t)
	s := postgres.New(db.General)
	schema := attributes(t, s)
	var list []string
	var external []string
	for i := range n {
		external = append(external, strconv.Itoa(i))
		list = append(list, fmt.Sprintf(`{"id":"%d","phone":"+7900000%04d","push":["a","b"],"attributes":{"bonus":1}}`, i, i))
	}
	_, err := s.Upsert(t.Context(), updates(t, schema, list...), now)
	require.NoError(t, err)
	watched, statements := pgtest.Watch(t, db)
	got, err := postgres.NewLoader(watched.Hot).Load(t.Context(), external, profiles.AllFields(schema))
	require.NoError(t, err)
	require.Len(t, got, n)
	statements.RequirePlans(t, pgtest.Shape{Rows: 6 * n, Whole: []string{"attribute_name_key"}})
}

// file makes an NDJSON file of n clients, of which one in a hundred lines is faulty.
func file(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		for i := range n {
			line := fmt.Sprintf(`{"id":"crm:%07d","first_name":"Ольга","last_name":"Петрова","sex":"female","birth_date":"1990-02-%02d",`+
				`"city":"Пермь","store":"Центр","locale":"ru","timezone":"Asia/Yekaterinburg","phone":"+7900%07d","email":"c%d@shop.example",`+
				`"attributes":{"bonus":%d,"level":"gold","vip":true}}`, i, i%28+1, i, i, i%500)
			if i%100 == 99 {
				line = strings.Replace(line, "1990", "199x", 1)
			}
			if _, err := w.Write([]byte(line + "\n")); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	return r
}

func importFile(ctx context.Context, s *postgres.Store, schema *profiles.Schema, n int) (*profiles.ImportReport, error) {
	return profiles.Import(ctx, file(n), profiles.FormatNDJSON, schema,
		func(ctx context.Context, list []*profiles.Update) (profiles.Counts, error) {
			return s.Upsert(ctx, list, now)
		})
}

func TestImport_HundredThousandLines(t *testing.T) {
	t.Parallel()
	const n = 100_000
	db := pgtest.DB(t)
	s := postgres.New(db.General)
	schema := attributes(t, s)
	r, err := importFile(t.Context(), s, schema, n)
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Created: n - n/100}, r.Counts)
	require.Equal(t, int64(n/100), r.Faulty)
	require.Len(t, r.Faults, n/100)
	require.Equal(t, profiles.LineFault{Line: 100, Field: "birth_date", Message: "is no day since 1900 such as 1990-02-28 or 28.02.1990"}, r.Faults[0])
	_, err = s.Find(t.Context(), "crm:0000099")
	require.ErrorIs(t, err, profiles.ErrNotFound, "nothing of a faulty line is kept")

	r, err = importFile(t.Context(), s, schema, n)
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Unchanged: n - n/100}, r.Counts)
}

// The figures of docs/profiles.md: profiles a second of a first import and of a repeated one, and a batch of the dispatcher.
func BenchmarkStore(b *testing.B) {
	const n = 100_000
	db := pgtest.DB(b)
	s := postgres.New(db.General)
	schema := attributes(b, s)
	for _, name := range []string{"first import", "same again"} {
		b.Run(name, func(b *testing.B) {
			if b.N > 1 {
				b.Skip("once is enough")
			}
			r, err := importFile(b.Context(), s, schema, n)
			require.NoError(b, err)
			b.ReportMetric(float64(r.Lines)/b.Elapsed().Seconds(), "profiles/s")
		})
	}
	l := postgres.NewLoader(db.Hot)
	fields := profiles.NewFieldSet("name", "city", "bonus").With(delivery.ChannelSMS, delivery.ChannelEmail)
	b.Run("load 500", func(b *testing.B) {
		for b.Loop() {
			external := make([]string, 500)
			for i := range external {
				external[i] = fmt.Sprintf("crm:%07d", rand.IntN(n))
			}
			_, err := l.Load(b.Context(), external, fields)
			require.NoError(b, err)
		}
	})
}

// All attributes are those that are declared by now, whichever schema the set of fields is made of.
func TestLoader_AllAttributes(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	s := postgres.New(tx)
	schema := attributes(t, s)
	_, err := s.Upsert(ctx, updates(t, schema, row, `{"id":"crm:2"}`), now)
	require.NoError(t, err)
	one := profiles.NewSchema([]profiles.Attribute{{Name: "bonus", Type: profiles.TypeNumber, Title: "Бонусы"}})
	got, err := postgres.NewLoader(tx).Load(ctx, []string{"crm:1", "crm:2"}, profiles.AllFields(one))
	require.NoError(t, err)
	require.Len(t, got["crm:1"].Attributes, 6, "all that are declared")
	require.Nil(t, got["crm:2"].Attributes)
	require.Equal(t, profiles.BoolValue(false), got["crm:1"].Attributes["vip"])
	got, err = postgres.NewLoader(tx).Load(ctx, []string{"crm:1"}, profiles.AllFields(profiles.NewSchema(nil)))
	require.NoError(t, err)
	require.Len(t, got["crm:1"].Attributes, 6)
}

func TestStore_ContactPointsAreAnUpdate(t *testing.T) {
	t.Parallel()
	s, ctx := postgres.New(pgtest.Tx(t)), t.Context()
	schema := attributes(t, s)
	_, err := s.Upsert(ctx, updates(t, schema, row, `{"id":"crm:2"}`), now)
	require.NoError(t, err)
	later := now.Add(time.Hour)
	counts, err := s.Upsert(ctx, updates(t, schema, `{"id":"crm:1","phone":null}`, `{"id":"crm:2","push":[]}`), later)
	require.NoError(t, err)
	require.Equal(t, profiles.Counts{Updated: 1, Unchanged: 1}, counts)
	for id, want := range map[string]time.Time{"crm:1": later, "crm:2": now} {
		p, err := s.Find(ctx, id)
		require.NoError(t, err)
		require.Equal(t, want, p.UpdatedAt, id)
	}
}
