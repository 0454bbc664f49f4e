package profiles_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/profiles"
)

// schema declares an attribute of each type.
func schema() *profiles.Schema {
	return profiles.NewSchema([]profiles.Attribute{
		{Name: "level", Type: profiles.TypeString, Title: "Уровень"},
		{Name: "bonus", Type: profiles.TypeNumber, Title: "Бонусы"},
		{Name: "spent", Type: profiles.TypeMoney, Title: "Потрачено"},
		{Name: "vip", Type: profiles.TypeBool, Title: "VIP"},
		{Name: "joined", Type: profiles.TypeDate, Title: "Дата вступления"},
		{Name: "visited", Type: profiles.TypeTime, Title: "Последний визит"},
	})
}

const fullRow = `{"id":"crm:1","first_name":" Ольга ","last_name":"Петрова","middle_name":"Ивановна","sex":"Ж",` +
	`"birth_date":"28.02.1990","city":"Пермь","store":"Центр","locale":"ru","timezone":"Europe/Moscow",` +
	`"phone":"8 (900) 000-12-34","viber":"+7 900 000-12-35","email":" Olga@Shop.Example ","push":["tok:1","tok:2","tok:1"],` +
	`"attributes":{"level":"gold","bonus":350.50,"spent":{"amount":1250.5,"currency":"RUB"},"vip":true,"joined":"2020-01-31",` +
	`"visited":"2026-11-22T10:00:00.5+03:00"}}`

func TestDecoder_WholeRow(t *testing.T) {
	t.Parallel()
	u, faults := profiles.NewDecoder(schema()).JSON(fullRow)
	require.Empty(t, faults)
	p := profiles.Profile{External: u.External}
	change := u.Apply(&p)
	require.True(t, change.Row)
	require.Len(t, change.Channels, 4)

	require.Equal(t, map[delivery.Channel][]string{
		delivery.ChannelSMS: {"+79000001234"}, delivery.ChannelViber: {"+79000001235"},
		delivery.ChannelEmail: {"olga@shop.example"}, delivery.ChannelPush: {"tok:1", "tok:2"},
	}, p.Contacts)
	for name, want := range map[string]profiles.Value{
		"name": profiles.StringValue("Ольга"), "id": profiles.StringValue("crm:1"), "full_name": profiles.StringValue("Петрова Ольга Ивановна"),
		"sex": profiles.StringValue("female"), "gender": profiles.StringValue("female"), "birth_date": profiles.DateValue(1990, 2, 28),
		"phone": profiles.StringValue("+79000001234"), "push": profiles.StringValue("tok:1"),
		"level": profiles.StringValue("gold"), "bonus": profiles.DecimalValue(3505, 1),
		"spent": profiles.MoneyValue(125050, "RUB"), "vip": profiles.BoolValue(true),
		"joined":  profiles.DateValue(2020, 1, 31),
		"visited": profiles.TimeValue(time.Date(2026, 11, 22, 7, 0, 0, 500_000_000, time.UTC)),
		"shoe":    {},
	} {
		require.Equal(t, want, p.Value(name), name)
	}
	again := u.Apply(&p)
	require.False(t, again.Any(), "the same row says nothing new")

	text, err := json.Marshal(&p)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	var back map[string]any
	require.NoError(t, json.Unmarshal(text, &back))
	for _, name := range []string{"profile_id", "created_at", "updated_at"} {
		delete(back, name)
	}
	text, err = json.Marshal(back)
	require.NoError(t, err)
	second, faults := profiles.NewDecoder(schema()).JSON(string(text))
	require.Empty(t, faults, "what is shown can be sent back")
	require.Equal(t, u, second)
}

func TestDecoder_PartialUpdate(t *testing.T) {
	t.Parallel()
	d := profiles.NewDecoder(schema())
	u, _ := d.JSON(fullRow)
	var p profiles.Profile
	u.Apply(&p)

	u, faults := d.JSON(`{"id":"crm:1","city":null,"last_name":"  ","email":null,"push":[],"attributes":{"level":null,"bonus":0}}`)
	require.Empty(t, faults)
	change := u.Apply(&p)
	require.True(t, change.Any())
	require.True(t, p.Columns[profiles.City].IsNil())
	require.True(t, p.Columns[profiles.LastName].IsNil(), "a blank text is no value")
	require.Equal(t, "Ольга", p.Columns[profiles.FirstName].Text(), "what is left out stays")
	require.NotContains(t, p.Contacts, delivery.ChannelEmail)
	require.NotContains(t, p.Contacts, delivery.ChannelPush)
	require.Contains(t, p.Contacts, delivery.ChannelSMS)
	require.NotContains(t, p.Attributes, "level")
	require.Equal(t, profiles.IntValue(0), p.Attributes["bonus"])
	require.Contains(t, p.Attributes, "spent")
}

func TestDecoder_Faults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		row  string
		want []string // fields, in order
	}{
		"all at once": {
			`{"sex":"x","birth_date":"1990-02-30","locale":"r","timezone":"Europe/Atlantis","phone":"12","email":"a@b",` +
				`"push":["a b"],"attributes":{"bonus":"1","vip":1,"nope":2}}`,
			[]string{
				"sex", "birth_date", "locale", "timezone", "phone", "email", "push[0]", "attributes.bonus", "attributes.vip",
				"attributes.nope", "id",
			},
		},
		"no JSON":               {`{"id":"1"`, []string{""}},
		"trailing":              {`{"id":"1"} {}`, []string{""}},
		"a list":                {`["id"]`, []string{""}},
		"a string":              {`"id"`, []string{""}},
		"empty":                 {``, []string{""}},
		"not UTF-8":             {"{\"id\":\"\xff\"}", []string{""}},
		"id is a number":        {`{"id":1}`, []string{"id"}},
		"id is null":            {`{"id":null}`, []string{"id"}},
		"id is blank":           {`{"id":" "}`, []string{"id"}},
		"id too long":           {`{"id":"` + strings.Repeat("x", 257) + `"}`, []string{"id"}},
		"id with NUL":           {`{"id":"a\u0000"}`, []string{"id"}},
		"id with a hidden sign": {`{"id":"a\u200bb"}`, []string{"id"}},
		"id with a wide space":  {`{"id":"a\u00a0b"}`, []string{"id"}},
		"half a surrogate":      {`{"id":"1","city":"\ud800"}`, []string{"city"}},
		"line feed":             {`{"id":"1","city":"a\nb"}`, []string{"city"}},
		"too long":              {`{"id":"1","city":"` + strings.Repeat("я", 256) + `"}`, []string{"city"}},
		"twice":                 {`{"id":"1","city":"a","city":"b"}`, []string{"city"}},
		"attribute twice":       {`{"id":"1","attributes":{"bonus":1,"bonus":2}}`, []string{"attributes.bonus"}},
		"another case":          {`{"id":"1","City":"a"}`, []string{""}},
		"unknown":               {`{"id":"1","town":"a"}`, []string{"town"}},
		"attributes null":       {`{"id":"1","attributes":null}`, []string{"attributes"}},
		"wrong types":           {`{"id":"1","city":1,"phone":[],"push":"x","attributes":{"level":{}}}`, []string{"city", "phone", "push", "attributes.level"}},
		"exponent":              {`{"id":"1","attributes":{"bonus":1e3}}`, []string{"attributes.bonus"}},
		"ten digits":            {`{"id":"1","attributes":{"bonus":0.1234567891}}`, []string{"attributes.bonus"}},
		"overflow":              {`{"id":"1","attributes":{"bonus":9223372036854775808}}`, []string{"attributes.bonus"}},
		"money overflow":        {`{"id":"1","attributes":{"spent":{"amount":9223372036854775807,"currency":"RUB"}}}`, []string{"attributes.spent"}},
		"half a kopeck":         {`{"id":"1","attributes":{"spent":{"amount":1.005,"currency":"RUB"}}}`, []string{"attributes.spent"}},
		"yen have no sen":       {`{"id":"1","attributes":{"spent":{"amount":1.5,"currency":"JPY"}}}`, []string{"attributes.spent"}},
		"no currency":           {`{"id":"1","attributes":{"spent":{"amount":1}}}`, []string{"attributes.spent"}},
		"money is a number":     {`{"id":"1","attributes":{"spent":1}}`, []string{"attributes.spent"}},
		"time without zone":     {`{"id":"1","attributes":{"visited":"2026-11-22T10:00:00"}}`, []string{"attributes.visited"}},
		"e-mail with a name":    {`{"id":"1","email":"Olga <olga@shop.example>"}`, []string{"email"}},
		"year of two digits":    {`{"id":"1","birth_date":"0090-02-28"}`, []string{"birth_date"}},
		"Local is no zone":      {`{"id":"1","timezone":"Local"}`, []string{"timezone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, faults := profiles.NewDecoder(schema()).JSON(test.row)
			require.Nil(t, u)
			var got []string
			for _, f := range faults {
				got = append(got, f.Field)
			}
			require.Equal(t, test.want, got, "%v", faults)
		})
	}
	var many strings.Builder
	many.WriteString(`{"id":"1"`)
	for i := range 1000 {
		fmt.Fprintf(&many, `,"x%d":1`, i)
	}
	_, faults := profiles.NewDecoder(schema()).JSON(many.String() + "}")
	require.Len(t, faults, 20, "the list is bounded")
}

// What was sent is not repeated, neither in faults nor in logs.
func TestFaults_HoldNoPersonalData(t *testing.T) {
	t.Parallel()
	_, faults := profiles.NewDecoder(schema()).JSON(
		`{"id":"79001234567\u0000","phone":"79001234567x","email":"79001234567","+79001234567":1,"attributes":{"+79001234567":1}}`)
	require.Len(t, faults, 5)
	require.NotContains(t, faults.Error(), "79001234567")
}

func TestProfile_LogsItsNumberOnly(t *testing.T) {
	t.Parallel()
	u, _ := profiles.NewDecoder(schema()).JSON(fullRow)
	p := profiles.Profile{ID: 7, External: u.External}
	u.Apply(&p)
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).InfoContext(t.Context(), "loaded", "profile", &p, "city", p.Value("city"))
	require.Contains(t, out.String(), "profile.profile_id=7 city=<value>")
	for _, secret := range []string{"Ольга", "79000001234", "olga", "tok", "Пермь", "crm"} {
		require.NotContains(t, out.String(), secret)
	}
}

func TestProfile_Recipient(t *testing.T) {
	t.Parallel()
	u, _ := profiles.NewDecoder(schema()).JSON(fullRow)
	var p profiles.Profile
	u.Apply(&p)
	require.Equal(t, &delivery.Recipient{
		Phone: "+79000001234", Viber: "+79000001235", Email: "olga@shop.example", Push: []string{"tok:1", "tok:2"},
		Locale: "ru", Timezone: "Europe/Moscow",
	}, p.Recipient(nil))
	own := &delivery.Recipient{Phone: "+79000009999", Locale: "en"}
	r := p.Recipient(own)
	require.Equal(t, "+79000009999", r.Phone)
	require.Equal(t, "en", r.Locale)
	require.Equal(t, "olga@shop.example", r.Email)
	require.Empty(t, own.Email, "the job's own is not changed")
}

func TestFieldSet(t *testing.T) {
	t.Parallel()
	s := profiles.NewFieldSet("name", "city", "gender", "bonus", "bonus", "Not.A.Name").And(profiles.NewFieldSet("level", "bonus"))
	require.True(t, s.Has(profiles.MiddleName), "the name may be made of all of them")
	require.True(t, s.Has(profiles.City))
	require.True(t, s.Has(profiles.Sex))
	require.False(t, s.Has(profiles.Phone))
	require.Equal(t, []string{"bonus", "level"}, s.Attributes())
	s = s.With(delivery.ChannelViber)
	require.True(t, s.Has(profiles.Phone), "a client without a Viber number has Viber on the phone")
	require.True(t, s.Has(profiles.Timezone))
}

func TestValue_String(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]profiles.Value{
		"": {}, "true": profiles.BoolValue(true), "-7": profiles.IntValue(-7), "0.05": profiles.DecimalValue(50, 3),
		"-0.5": profiles.DecimalValue(-5, 1), "1250.00 RUB": profiles.MoneyValue(125000, "RUB"), "5 JPY": profiles.MoneyValue(5, "JPY"),
		"1.234 KWD": profiles.MoneyValue(1234, "KWD"), "1969-12-31": profiles.DateValue(1969, 12, 31), "a\"b": profiles.StringValue("a\"b"),
	} {
		require.Equal(t, want, v.String())
	}
}

func TestSchema_CanAdd(t *testing.T) {
	t.Parallel()
	s := schema()
	for _, a := range []profiles.Attribute{
		{Name: "shoe", Title: "Размер"},
		{Name: "card", Type: profiles.TypeString, Title: "Карта"},
		{Name: "greeting", Type: profiles.TypeString, Title: "Приветствие"},
	} {
		require.NoError(t, s.CanAdd(a), a.Name)
	}
	for _, a := range []profiles.Attribute{
		{Name: "bonus", Title: "Балл"},
		{Name: "points", Title: "БОНУСЫ"},
		{Name: "points", Title: "Баланс"},
		{Name: "points", Title: "Дата_вступления"},
		{Name: "points", Title: "дата  Рождения"},
		{Name: "points", Title: "Имя"},
		{Name: "points", Title: "level"},
		{Name: "gender", Title: "Род"},
		{Name: "city", Title: "Город"},
		{Name: "name", Title: "Имя клиента"},
		{Name: "id", Title: "Номер"},
		{Name: "card", Type: profiles.TypeNumber, Title: "Номер карты"},
		{Name: "revenue", Title: "Выручка"},
		{Name: "code", Title: "промо\u00adкод"},
	} {
		var collision *profiles.CollisionError
		require.ErrorAs(t, s.CanAdd(a), &collision, "%s %s", a.Name, a.Title)
	}
}

func TestAttribute_Faults(t *testing.T) {
	t.Parallel()
	good := profiles.Attribute{Name: "shoe_size", Type: profiles.TypeNumber, Title: "Размер обуви"}
	require.Empty(t, good.Faults())
	bad := profiles.Attribute{Name: "Shoe", Type: "size", Title: " "}
	require.Len(t, bad.Faults(), 3)
	for _, title := range []string{"a.b", "a|b", "#]", "a\u0000", strings.Repeat("я", 65), "_", " a"} {
		a := good
		a.Title = title
		require.Len(t, a.Faults(), 1, "%q", title)
	}
}

func TestDecoder_Bounds(t *testing.T) {
	t.Parallel()
	d := profiles.NewDecoder(schema())
	tokens := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%d"`, i%30_000)
		}
		return `{"id":"1","push":[` + b.String()[1:] + `]}`
	}
	u, faults := d.JSON(tokens(100))
	require.Empty(t, faults)
	require.Len(t, u.Contacts[delivery.ChannelPush], 100)
	for _, n := range []int{101, 30_000} {
		_, faults = d.JSON(tokens(n))
		require.Equal(t, delivery.Faults{{Field: "push", Message: "has more than 100 tokens"}}, faults)
	}
	_, faults = d.JSON(tokens(60_000))
	require.Equal(t, delivery.Faults{{Message: "has more than 262144 bytes"}}, faults, "a row is bounded wherever it comes from")
}

func TestSchema_ReadAttributesLeavesOutNewerOnes(t *testing.T) {
	t.Parallel()
	got, err := schema().ReadAttributes(`{"bonus": 7, "newer": {"a": [1, "}"]}, "vip": true}`)
	require.NoError(t, err)
	require.Equal(t, map[string]profiles.Value{"bonus": profiles.IntValue(7), "vip": profiles.BoolValue(true)}, got)
	_, err = schema().ReadAttributes(`{"bonus": "x"}`)
	require.Error(t, err)
}

func TestSchema_CanAdd_ReservedNames(t *testing.T) {
	t.Parallel()
	for _, a := range []profiles.Attribute{
		{Name: "created_at", Title: "Заведён"},
		{Name: "created__at", Title: "Заведён"},
		{Name: "revenue_", Title: "Выручка"},
		{Name: "since", Title: "Created  At"},
		{Name: "since", Title: "Last Purchase_at"},
	} {
		a.Type = profiles.TypeString
		var collision *profiles.CollisionError
		require.ErrorAs(t, schema().CanAdd(a), &collision, "%s %s", a.Name, a.Title)
	}
}
