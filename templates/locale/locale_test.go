package locale_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/herald-gateway/herald/templates/locale"
	"github.com/herald-gateway/herald/templates/value"
)

// The rules of plurals are those of CLDR, which golang.org/x/text carries.
func TestPlural_FollowsCLDR(t *testing.T) {
	t.Parallel()
	forms := map[plural.Form]int{plural.One: 0, plural.Few: 1, plural.Many: 2, plural.Other: 1}
	for l, tag := range map[locale.Locale]language.Tag{
		locale.RU: language.Russian, locale.UK: language.Ukrainian, locale.KK: language.Kazakh, locale.EN: language.English,
	} {
		for n := range int64(1000) {
			want := forms[plural.Cardinal.MatchPlural(tag, int(n), 0, 0, 0, 0)]
			require.Equal(t, want, l.Plural(value.OfInt(n)), "%s %d", l, n)
			require.Equal(t, want, l.Plural(value.OfInt(-n)), "%s %d", l, -n)
		}
		require.Equal(t, 1, l.Plural(value.OfDecimal(15, 1)))
		require.Equal(t, l.Plural(value.OfInt(5)), l.Plural(value.OfMoney(500, "RUB")))
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]locale.Locale{"ru": locale.RU, "ru-RU": locale.RU, "UK_ua": locale.UK, "kk": locale.KK, "en-GB": locale.EN} {
		got, ok := locale.Parse(tag)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	_, ok := locale.Parse("de")
	require.False(t, ok)
	require.Equal(t, locale.RU, locale.Unset.Or())
	require.Equal(t, locale.KK, locale.Unset.Or(locale.Unset, locale.KK))
	require.Equal(t, locale.EN, locale.EN.Or(locale.KK))
}

func TestAppendNumber(t *testing.T) {
	t.Parallel()
	sms, html := locale.Style{Locale: locale.RU, SMS: true}, locale.Style{Locale: locale.RU}
	english := locale.Style{Locale: locale.EN}
	for _, c := range []struct {
		style  locale.Style
		v      value.Value
		digits int
		want   string
	}{
		{sms, value.OfInt(0), -1, "0"},
		{sms, value.OfInt(-1234), -1, "-1 234"},
		{html, value.OfInt(1_000_000), -1, "1\u00a0000\u00a0000"},
		{english, value.OfInt(123_456), -1, "123,456"},
		{sms, value.OfDecimal(12345678, 3), -1, "12 345,678"},
		{sms, value.OfDecimal(5, 1), 2, "0,50"},
		{sms, value.OfDecimal(-5, 3), 2, "-0,01"},
		{sms, value.OfInt(-9223372036854775808), -1, "-9 223 372 036 854 775 808"},
	} {
		got, err := c.style.AppendNumber(nil, c.v, c.digits)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
	}
}

// An SMS in Latin letters stays in the GSM alphabet, whatever the currency.
func TestAppendMoney_EveryCurrency(t *testing.T) {
	t.Parallel()
	amount := value.OfDecimal(129905, 1)
	english := map[string]string{
		"BYN": "12,990.50 Br", "EUR": "€12,990.50", "GBP": "£12,990.50", "KGS": "12,990.50 KGS", "KZT": "12,990.50 KZT", "RUB": "12,990.50 RUB",
		"UAH": "12,990.50 UAH", "USD": "$12,990.50", "UZS": "12,990.50 UZS",
	}
	for _, code := range locale.Currencies() {
		require.True(t, locale.Known(code))
		got, err := locale.Style{Locale: locale.EN, SMS: true}.AppendMoney(nil, amount, code)
		require.NoError(t, err)
		require.Equal(t, english[code], string(got))
		got, err = locale.Style{Locale: locale.RU}.AppendMoney(nil, amount, code)
		require.NoError(t, err)
		require.Regexp(t, "^12\u00a0990,50\u00a0.+$", string(got))
	}
}

func TestCheckDate(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "%d.%m.%Y", "%-d %B", "%e %b %y, %A %a", "%H:%M:%S %I %p %j %%", "просто текст"} {
		require.NoError(t, locale.CheckDate(good), good)
	}
	for _, bad := range []string{"%", "%d %", "%10d", "%_d", "%Q", "%-Y", "%я"} {
		require.Error(t, locale.CheckDate(bad), bad)
	}
}

func TestAppendDate_Months(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 5, 15, 4, 9, 0, time.UTC)
	for l, want := range map[locale.Locale]string{
		locale.RU: "5 марта|март|мар|четверг|чт", locale.UK: "5 березня|березень|бер|четвер|чт",
		locale.KK: "5 наурыз|наурыз|нау|бейсенбі|бс", locale.EN: "5 March|March|Mar|Thursday|Thu",
	} {
		got := l.AppendDate(nil, at, "%-d %B")
		for _, format := range []string{"|%B", "|%b", "|%A", "|%a"} {
			got = l.AppendDate(got, at, format)
		}
		require.Equal(t, want, string(got))
	}
	require.Equal(t, "03:04:09 PM 064 26", string(locale.EN.AppendDate(nil, at, "%I:%M:%S %p %j %y")))
}

func FuzzAppendDate(f *testing.F) {
	f.Add("%d.%m.%Y", int64(0))
	f.Add("%", int64(1<<40))
	f.Fuzz(func(t *testing.T, format string, seconds int64) {
		got := locale.RU.AppendDate(nil, time.Unix(seconds%1e10, 0).UTC(), format)
		require.LessOrEqual(t, len(got), 16*len(format)+16)
	})
}

func TestTranslit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Щука": "Shchuka", "ЩУКА": "SHCHUKA", "Ёлка, съезд; Юля": "Elka, sieezd; Iulia", "Қазақстан": "Qazaqstan", "Київ": "Kiiv", "abc 1": "abc 1",
	} {
		require.Equal(t, want, locale.Translit(in))
	}
}

func TestAppendPhone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+79161234567": "+7 916 123-45-67", "89161234567": "+7 916 123-45-67", "+77011234567": "+7 701 123-45-67",
		"+380441234567": "+380 44 123-45-67", "+375291234567": "+375 29 123-45-67", "+4930123456": "+4930123456", "abc": "abc",
	} {
		require.Equal(t, want, string(locale.AppendPhone(nil, in)))
	}
}
