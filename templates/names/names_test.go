package names_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/templates/names"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"name": "name", "First_Name": "first_name", " First  Name ": "first_name", "Дата\u00a0рождения": "дата_рождения",
		"ЁЛКА": "елка", "и\u0306": "й", "кли\u00adент": "клиент", "_x__y_": "x_y", "a-b": "a-b", "": "", "NaMe2": "name2",
	} {
		require.Equal(t, want, names.Fold(in), "%q", in)
	}
}

func FuzzFold(f *testing.F) {
	f.Add("Дата  рождения")
	f.Add("и\u0306_x")
	f.Fuzz(func(t *testing.T, s string) {
		once := names.Fold(s)
		require.Equal(t, once, names.Fold(once))
		require.Equal(t, once, names.Fold(" "+s+"_"), "what stands at the ends does not matter")
	})
}

func TestTable_Resolve(t *testing.T) {
	t.Parallel()
	table := names.New()
	require.NoError(t, table.Add("Размер обуви", "shoe_size"))
	require.Error(t, table.Add("Имя", "shoe_size"))
	for in, want := range map[string]string{
		"адресат.имя": "contact.name", "contact.приветствие": "contact.greeting", "имя": "name", "клиент": "contact",
		"клиент.промокод": "coupon.code", "промокод": "coupon.code", "магазин": "shop.name", "магазин.город": "shop.город",
		"отписка": "urls.unsubscribe", "contact.размер_обуви": "contact.shoe_size", "order.имя": "order.имя", "товары": "items",
		"data.имя.x": "data.name.x", "заказ.id": "order.id",
	} {
		require.Equal(t, want, strings.Join(table.Resolve(strings.Split(in, ".")), "."), in)
	}
	require.Equal(t, []string{"coupon", "code"}, table.Key("Промокод"))
	require.Equal(t, []string{"new_key"}, table.Key("New Key"))
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"name", "first_name", "birth_date", "city"}
	for in, want := range map[string]string{
		"nane": "name", "firstname": "first_name", "brith_date": "birth_date", "ciyt": "city", "phone": "", "x": "", "": "",
		strings.Repeat("a", 1000): "",
	} {
		require.Equal(t, want, names.Nearest(in, known), in)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringN(1, 80, -1).Draw(t, "s")
		require.Contains(t, append(known, ""), names.Nearest(s, known))
	})
}
