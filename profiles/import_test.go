package profiles_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/profiles"
)

// memory is a store of profiles.
type memory struct {
	mu    sync.Mutex
	all   map[string]*profiles.Profile
	sizes []int // of the batches
}

func (m *memory) upsert(_ context.Context, updates []*profiles.Update) (c profiles.Counts, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sizes = append(m.sizes, len(updates))
	for _, u := range updates {
		p := m.all[u.External]
		isNew := p == nil
		if isNew {
			p = &profiles.Profile{External: u.External}
			m.all[u.External] = p
		}
		switch change := u.Apply(p); {
		case isNew:
			c.Created++
		case change.Any():
			c.Updated++
		default:
			c.Unchanged++
		}
	}
	return c, nil
}

func importText(t *testing.T, format profiles.Format, text string) (*memory, *profiles.ImportReport) {
	t.Helper()
	m := &memory{all: map[string]*profiles.Profile{}}
	r, err := profiles.Import(t.Context(), strings.NewReader(text), format, schema(), m.upsert)
	require.NoError(t, err)
	return m, r
}

func TestImport_CSV(t *testing.T) {
	t.Parallel()
	m, r := importText(t, profiles.FormatCSV, "\ufeffID;Имя;Фамилия;дата_рождения;Телефон;email;push;Бонусы;spent;VIP;Уровень\r\n"+
		"crm:1;\"Ольга \"\"Оля\"\"\";Петрова;28.02.1990;8(900)000-12-34;olga@shop.example;t1 t2;350,5;1250,50 RUB;да;ООО \"Ромашка\"\r\n"+
		"\r\n"+
		" crm:2 ;\"Иван; Пётр\";;;;;;;;;\r\n"+
		"crm:1;;\\N;;;\\N;;;;нет;\r\n"+
		"crm:2;Иван;;;;;;;;;")
	require.Equal(t, &profiles.ImportReport{
		Lines: 4, Counts: profiles.Counts{Created: 2, Updated: 2}, Faults: []profiles.LineFault{},
	}, r)
	p := m.all["crm:1"]
	require.Equal(t, `Ольга "Оля"`, p.Value("first_name").Text())
	require.True(t, p.Value("last_name").IsNil(), `\N clears`)
	require.Equal(t, "1990-02-28", p.Value("birth_date").String())
	require.Equal(t, []string{"t1", "t2"}, p.Contacts[delivery.ChannelPush])
	require.NotContains(t, p.Contacts, delivery.ChannelEmail)
	require.Equal(t, profiles.DecimalValue(3505, 1), p.Value("bonus"), "an empty cell leaves it as it is")
	require.Equal(t, profiles.MoneyValue(125050, "RUB"), p.Value("spent"))
	require.Equal(t, profiles.BoolValue(false), p.Value("vip"))
	require.Equal(t, `ООО "Ромашка"`, p.Value("level").Text())
	require.Equal(t, "Иван", m.all["crm:2"].Value("name").Text())
}

func TestImport_FaultsByLine(t *testing.T) {
	t.Parallel()
	m, r := importText(t, profiles.FormatCSV, strings.Join([]string{
		"id,city,phone",
		"1,Пермь,+79000001234",
		"2,\"Томск,+79000001235",
		"3,\"Омск\"x,",
		"4,Тула",
		"5,Тверь,123",
		"6,\xd0,",
		"7," + strings.Repeat("x", profiles.MaxRowBytes) + ",",
		",Псков,12",
		"9,\"Орёл\",",
		"10,a\x00b,",
	}, "\n"))
	require.Equal(t, int64(10), r.Lines)
	require.Equal(t, int64(8), r.Faulty)
	require.Equal(t, int64(2), r.Created)
	require.Len(t, m.all, 2)
	require.Contains(t, m.all, "1")
	require.Contains(t, m.all, "9", "a quote that is not closed spoils one row only")
	var places []string
	for _, f := range r.Faults {
		places = append(places, fmt.Sprintf("%d %s", f.Line, f.Field))
	}
	require.Equal(t, []string{"3 ", "4 ", "5 ", "6 phone", "7 ", "8 ", "9 id", "9 phone", "11 city"}, places)
}

func TestImport_Headings(t *testing.T) {
	t.Parallel()
	for _, heading := range []string{
		"", "\n\n", "name,city", "id,town", "id,city,Город", "id,\"city", "\xff\xfei\x00d\x00", "id\tcity,phone", strings.Repeat("x", profiles.MaxRowBytes+3),
	} {
		_, err := profiles.Import(t.Context(), strings.NewReader(heading), profiles.FormatCSV, schema(),
			func(context.Context, []*profiles.Update) (profiles.Counts, error) {
				return profiles.Counts{}, errors.New("called")
			})
		var faults delivery.Faults
		require.ErrorAs(t, err, &faults, "%.20q", heading)
	}
	_, r := importText(t, profiles.FormatCSV, "id\tГород\n1\tПермь, Россия\n")
	require.Equal(t, int64(1), r.Created)
	_, r = importText(t, profiles.FormatCSV, "external_id")
	require.Zero(t, r.Lines)
}

func TestImport_NDJSON(t *testing.T) {
	t.Parallel()
	m, r := importText(t, profiles.FormatNDJSON, "\ufeff"+fullRow+"\r\n\n"+`{"id":"crm:1","city":"Тула"}`+"\n{}\n"+
		strings.Repeat("[", 100_000)+"\n"+`{"id":"2"}`)
	require.Equal(t, int64(5), r.Lines)
	require.Equal(t, profiles.Counts{Created: 2, Updated: 1}, r.Counts)
	require.Equal(t, int64(2), r.Faulty)
	require.Equal(t, []profiles.LineFault{{Line: 4, Field: "id", Message: "is required"}, {Line: 5, Message: "is no JSON"}}, r.Faults)
	require.Equal(t, "Тула", m.all["crm:1"].Value("city").Text(), "the later row counts")
}

// rows makes n rows without keeping them.
type rows struct {
	n    int
	row  func(i int) string
	rest string
}

func (r *rows) Read(b []byte) (int, error) {
	if r.rest == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.rest = r.row(r.n) + "\n"
		r.n--
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestImport_InBatches(t *testing.T) {
	t.Parallel()
	m := &memory{all: map[string]*profiles.Profile{}}
	in := &rows{n: 20_000, row: func(i int) string {
		if i%4 == 0 {
			return "{"
		}
		return fmt.Sprintf(`{"id":"%d","city":"%d"}`, i%5000, i)
	}}
	r, err := profiles.Import(t.Context(), in, profiles.FormatNDJSON, schema(), m.upsert)
	require.NoError(t, err)
	require.Equal(t, int64(20_000), r.Lines)
	require.Equal(t, int64(5_000), r.Faulty)
	require.Len(t, r.Faults, profiles.MaxLineFaults)
	require.Equal(t, int64(4_000), r.Unlisted)
	require.Equal(t, int64(15_000), r.Created+r.Updated)
	for id, p := range m.all {
		require.Equal(t, id, p.Value("city").Text(), "the last of several rows counts")
	}
	for _, n := range m.sizes {
		require.LessOrEqual(t, n, 1000)
	}

	large := &memory{all: map[string]*profiles.Profile{}}
	padding := strings.Repeat(" ", profiles.MaxRowBytes-100)
	_, err = profiles.Import(t.Context(), &rows{n: 100, row: func(i int) string { return fmt.Sprintf(`{"id":"%d"%s}`, i, padding) }},
		profiles.FormatNDJSON, schema(), large.upsert)
	require.NoError(t, err)
	for _, n := range large.sizes {
		require.LessOrEqual(t, n, 17, "a batch is bounded by its bytes too")
	}
}

func TestImport_Fails(t *testing.T) {
	t.Parallel()
	endless := &rows{n: 1 << 40, row: func(i int) string { return fmt.Sprintf(`{"id":"%d"}`, i) }}
	_, err := profiles.Import(t.Context(), endless, profiles.FormatNDJSON, schema(),
		func(context.Context, []*profiles.Update) (profiles.Counts, error) {
			return profiles.Counts{}, delivery.ErrUnavailable
		})
	require.ErrorIs(t, err, delivery.ErrUnavailable)

	m := &memory{all: map[string]*profiles.Profile{}}
	broken := io.MultiReader(strings.NewReader(`{"id":"1"}`+"\n"), iotestErr{})
	_, err = profiles.Import(t.Context(), broken, profiles.FormatNDJSON, schema(), m.upsert)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Whatever a row holds, it is an update or faults; an update can be applied, shown, and read again to the same effect.
func FuzzDecoder(f *testing.F) {
	f.Add(fullRow)
	f.Add(`{"id":"1","push":null,"attributes":{"spent":{"currency":"RUB","amount":-0.5}},"x":[{"a":"]"}, "}"]}`)
	f.Add(`{"id":"\ud83d\ude00","attributes":{"visited":"0001-01-01T00:00:00Z","bonus":-0.0}}`)
	s := schema()
	f.Fuzz(func(t *testing.T, row string) {
		u, faults := profiles.NewDecoder(s).JSON(row)
		require.Equal(t, u == nil, len(faults) > 0)
		if u != nil {
			requireSame(t, s, u)
		}
	})
}

func requireSame(t *testing.T, s *profiles.Schema, u *profiles.Update) {
	t.Helper()
	p := profiles.Profile{External: u.External}
	u.Apply(&p)
	stored, err := s.ReadAttributes(profiles.AttributesJSON(p.Attributes))
	require.NoError(t, err)
	require.Len(t, stored, len(p.Attributes))
	for name, v := range p.Attributes {
		require.Equal(t, v, stored[name])
	}
	again := u.Apply(&p)
	require.False(t, again.Any())
}

// Whatever a file holds, each of its lines is counted once.
func FuzzImport(f *testing.F) {
	f.Add("id,city\n1,\"a\"\"b\"\n2,\\N\n", true)
	f.Add("\ufeffid;Бонусы;push\r\n1;3,5;a b\r\n", true)
	f.Add(fullRow+"\n{}\n", false)
	s := schema()
	f.Fuzz(func(t *testing.T, text string, csv bool) {
		format := profiles.FormatNDJSON
		if csv {
			format = profiles.FormatCSV
		}
		m := &memory{all: map[string]*profiles.Profile{}}
		r, err := profiles.Import(t.Context(), strings.NewReader(text), format, s,
			func(ctx context.Context, updates []*profiles.Update) (profiles.Counts, error) {
				for _, u := range updates {
					requireSame(t, s, u)
				}
				return m.upsert(ctx, updates)
			})
		if err != nil {
			var faults delivery.Faults
			require.ErrorAs(t, err, &faults)
			return
		}
		require.Equal(t, r.Lines, r.Created+r.Updated+r.Unchanged+r.Faulty)
		require.LessOrEqual(t, r.Lines, int64(strings.Count(text, "\n")+1))
		require.Equal(t, r.Created, int64(len(m.all)))
	})
}

func BenchmarkDecoder_JSON(b *testing.B) {
	d := profiles.NewDecoder(schema())
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := d.JSON(fullRow); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}

func TestImport_ClearedID(t *testing.T) {
	t.Parallel()
	_, r := importText(t, profiles.FormatCSV, "id,city\n\\N,Пермь\n \\N ,Омск\n")
	require.Equal(t, []profiles.LineFault{
		{Line: 2, Field: "id", Message: "is required"}, {Line: 3, Field: "id", Message: "is required"},
	}, r.Faults)
	require.Zero(t, r.Created)
}

func TestImport_CellsOverSeveralLines(t *testing.T) {
	t.Parallel()
	m, r := importText(t, profiles.FormatCSV, "id,city,store\n"+
		"1,\"Пермь\n\n100,Омск,\"\"Центр\"\"\n101,\",\n"+ // the quote is closed on the third line after
		"2,Тула,\n"+
		"3,\"Тверь,\n"+strings.Repeat("4,Псков,\n", 20)+ // it is closed, but too far away
		"5,x,\"\n6,Орёл,\n7,\"Омск") // a row of its own with a quote that is not closed, as is the last one
	require.Equal(t, []profiles.LineFault{
		{Line: 2, Message: "has a quote that is not closed on its line; the row goes on to line 5"},
		{Line: 7, Message: "has a quote that is not closed on its line"},
		{Line: 28, Message: "has a quote that is not closed on its line; the row goes on to line 30"},
	}, r.Faults)
	require.Equal(t, int64(24), r.Lines)
	require.Len(t, m.all, 2)
	require.Contains(t, m.all, "2")
	require.Contains(t, m.all, "4")
}

func TestImport_TooManyColumns(t *testing.T) {
	t.Parallel()
	_, err := profiles.Import(t.Context(), strings.NewReader("id"+strings.Repeat(",x", 100_000)), profiles.FormatCSV, schema(), nil)
	var faults delivery.Faults
	require.ErrorAs(t, err, &faults)
	require.Equal(t, delivery.Faults{{Message: "the heading has 100001 columns, at most 1100 are possible"}}, faults)
}

func TestImport_StopsAmongFaultyLines(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in := &rows{n: 1 << 40, row: func(i int) string {
		if i == 1<<40-1000 {
			cancel()
		}
		return "{"
	}}
	_, err := profiles.Import(ctx, in, profiles.FormatNDJSON, schema(), nil)
	require.ErrorIs(t, err, context.Canceled)
}
