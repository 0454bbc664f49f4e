package smstext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/smstext"
)

func TestSplit_Vectors(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	const gsm, ucs = smstext.GSM7, smstext.UCS2
	tests := []struct {
		name  string
		text  string
		enc   smstext.Encoding
		units []int
	}{
		{"empty", "", gsm, []int{0}},
		{"160 a", rep("a", 160), gsm, []int{160}},
		{"161 a", rep("a", 161), gsm, []int{153, 8}},
		{"306 a", rep("a", 306), gsm, []int{153, 153}},
		{"307 a", rep("a", 307), gsm, []int{153, 153, 1}},
		{"158 a and euro", rep("a", 158) + "€", gsm, []int{160}},
		{"159 a and euro", rep("a", 159) + "€", gsm, []int{153, 8}},
		{"escape at the cut", rep("a", 152) + "€" + rep("b", 50), gsm, []int{152, 52}},
		{"70 cyrillic", rep("я", 70), ucs, []int{70}},
		{"71 cyrillic", rep("я", 71), ucs, []int{67, 4}},
		{"134 cyrillic", rep("я", 134), ucs, []int{67, 67}},
		{"135 cyrillic", rep("я", 135), ucs, []int{67, 67, 1}},
		{"surrogates at the cut", rep("я", 66) + "😀" + rep("ж", 20), ucs, []int{66, 22}},
		{"escapes in one part", "Price 10€ {sale}", gsm, []int{19}},
		{"typographic apostrophe", "it’s", ucs, []int{4}},
		{"small c with cedilla", "ça", ucs, []int{2}},
		{"tab", "a\tb", ucs, []int{3}},
		{"backtick", "`", ucs, []int{1}},
		{"escape character", "\x1b", ucs, []int{1}},
		{"bad bytes", "a\xff\xfe", ucs, []int{3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := smstext.Split(tt.text, smstext.Options{})
			require.NoError(t, err)
			require.Equal(t, tt.enc, m.Encoding)
			units, total := []int{}, 0
			for _, p := range m.Parts {
				units = append(units, p.Units)
				total += p.Units
			}
			require.Empty(t, cmp.Diff(units, tt.units))
			parts, enc, sum := smstext.Count(tt.text)
			require.Equal(t, []any{len(tt.units), tt.enc, total}, []any{parts, enc, sum})
			require.Equal(t, strings.ToValidUTF8(tt.text, ""), strings.ReplaceAll(join(t, m), "\ufffd", ""))
		})
	}
}

func TestSplit_Bytes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		alphabet   smstext.Encoding
		enc        smstext.Encoding
		payload    string
		units      int
	}{
		{"gsm", "@£ΔÉ ¿à_{€\f", smstext.GSM7, smstext.GSM7, "\x00\x01\x10\x1f \x60\x7f\x11\x1b\x28\x1b\x65\x1b\x0a", 14},
		{
			"gsm extension", `^{}\[~]|`, smstext.GSM7, smstext.GSM7,
			"\x1b\x14\x1b\x28\x1b\x29\x1b\x2f\x1b\x3c\x1b\x3d\x1b\x3e\x1b\x40", 16,
		},
		{"ucs2", "я😀", smstext.GSM7, smstext.UCS2, "\x04\x4f\xd8\x3d\xde\x00", 3},
		{"latin1", "@£_{é", smstext.Latin1, smstext.Latin1, "@\xa3_{\xe9", 6},
		{"latin1 has no euro", "€", smstext.Latin1, smstext.UCS2, "\x20\xac", 1},
		{"latin1 not in gsm", "ç", smstext.Latin1, smstext.UCS2, "\x00\xe7", 1},
		{"ascii", "@_{", smstext.ASCII, smstext.ASCII, "@_{", 4},
		{"ascii has no pound", "£", smstext.ASCII, smstext.UCS2, "\x00\xa3", 1},
		{"always ucs2", "a", smstext.UCS2, smstext.UCS2, "\x00a", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := smstext.Split(tt.text, smstext.Options{Alphabet: tt.alphabet})
			require.NoError(t, err)
			require.Equal(t, tt.enc, m.Encoding)
			want := []smstext.Part{{Payload: []byte(tt.payload), Units: tt.units}}
			require.Empty(t, cmp.Diff(m.Parts, want))
			require.Equal(t, tt.text, join(t, m))
		})
	}
}

func TestSplit_TooManyParts(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("я", 200)
	_, err := smstext.Split(text, smstext.Options{MaxParts: 2})
	require.ErrorIs(t, err, smstext.ErrTooManyParts)
	var typed *smstext.TooManyPartsError
	require.ErrorAs(t, err, &typed)
	require.Equal(t, smstext.TooManyPartsError{Parts: 3, Max: 2}, *typed)
	m, err := smstext.Split(text, smstext.Options{MaxParts: 3})
	require.NoError(t, err)
	require.Len(t, m.Parts, 3)
	_, err = smstext.Split(strings.Repeat("a", 153*256), smstext.Options{MaxParts: 1000})
	require.ErrorAs(t, err, &typed)
	require.Equal(t, smstext.TooManyPartsError{Parts: 256, Max: 255}, *typed)
}

func TestSplit_AppendingToAPartLeavesTheNextAlone(t *testing.T) {
	t.Parallel()
	m, err := smstext.Split(strings.Repeat("a", 200), smstext.Options{})
	require.NoError(t, err)
	_ = append(m.Parts[0].Payload, 0)
	require.Equal(t, byte('a'), m.Parts[1].Payload[0])
}

func TestForcing(t *testing.T) {
	t.Parallel()
	require.Nil(t, smstext.Forcing("Price 10€"))
	got := smstext.Forcing("é’я\xff")
	want := []smstext.Forced{{'’', 1, 2}, {'я', 2, 5}, {utf8.RuneError, 3, 7}}
	require.Empty(t, cmp.Diff(got, want))
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"plain stays", "Price 10€ {sale}", "Price 10€ {sale}"},
		{"quotes", "it’s “good” «so»", `it's "good" "so"`},
		{"dashes", "a–b—c−d‑e", "a-b-c-d-e"},
		{"ellipsis", "wait…", "wait..."},
		{"spaces", "1\u00a0000\u202f₽\t", "1 000 ₽ "},
		{"invisible", "so\u00adft\ufeff", "soft"},
		{"emoji joiner stays", "👩\u200d💻", "👩\u200d💻"},
		{"letters stay", "ça я", "ça я"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, smstext.Normalise(tt.text), tt.name)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		enc     smstext.Encoding
		payload string
		want    string
		fails   bool
	}{
		{"unknown extension", smstext.GSM7, "\x1bA", "A", false},
		{"double escape", smstext.GSM7, "\x1b\x1b", " ", false},
		{"escape at the end", smstext.GSM7, "a\x1b", "", true},
		{"eighth bit", smstext.GSM7, "\x80", "", true},
		{"odd", smstext.UCS2, "\x04", "", true},
		{"high surrogate alone", smstext.UCS2, "\xd8\x3d", "", true},
		{"high surrogate and letter", smstext.UCS2, "\xd8\x3d\x00a", "", true},
		{"low surrogate first", smstext.UCS2, "\xde\x00\xd8\x3d", "", true},
		{"ascii", smstext.ASCII, "\xe9", "", true},
		{"latin1", smstext.Latin1, "\xe9", "é", false},
		{"unknown", smstext.Encoding(9), "", "", true},
	}
	for _, tt := range tests {
		got, err := smstext.Decode(tt.enc, []byte(tt.payload))
		require.Equal(t, tt.fails, err != nil, tt.name)
		require.Equal(t, tt.want, got, tt.name)
	}
}

func TestEncoding_Text(t *testing.T) {
	t.Parallel()
	for enc := smstext.GSM7; enc <= smstext.UCS2; enc++ {
		text, err := enc.MarshalText()
		require.NoError(t, err)
		var back smstext.Encoding
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, enc, back)
	}
	var enc smstext.Encoding
	require.Error(t, enc.UnmarshalText([]byte("utf8")))
	require.NoError(t, enc.UnmarshalText(nil))
	_, err := smstext.Encoding(9).MarshalText()
	require.Error(t, err)
	require.Equal(t, []byte{0, 8}, []byte{smstext.GSM7.DataCoding(), smstext.UCS2.DataCoding()})
}

func TestCount_AllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun forbids it
	for _, text := range []string{strings.Repeat("a€", 50), strings.Repeat("я", 300)} {
		require.Zero(t, testing.AllocsPerRun(100, func() { smstext.Count(text) }))
	}
}

func FuzzSplit(f *testing.F) {
	for _, text := range []string{
		"", "Price 10€ {sale}", strings.Repeat("я😀", 90), strings.Repeat("a€", 200), "\xff\xf0\x9f",
	} {
		f.Add(text, uint8(0))
	}
	f.Fuzz(func(t *testing.T, text string, alphabet uint8) {
		opt := smstext.Options{Alphabet: smstext.Encoding(alphabet % 4)}
		m, err := smstext.Split(text, opt)
		parts, enc, units := smstext.CountIn(opt.Alphabet, text)
		if err != nil {
			require.ErrorIs(t, err, smstext.ErrTooManyParts)
			require.Greater(t, parts, smstext.MaxParts)
			return
		}
		require.Len(t, m.Parts, parts)
		require.Equal(t, enc, m.Encoding)
		limit, each := enc.Limits()
		if parts > 1 {
			limit = each
		}
		sum := 0
		for _, p := range m.Parts {
			require.LessOrEqual(t, p.Units, limit)
			sum += p.Units
		}
		require.Equal(t, units, sum)
		require.Equal(t, string([]rune(text)), join(t, m))
		_, gsm, _ := smstext.Count(text)
		require.Equal(t, gsm == smstext.UCS2, smstext.Forcing(text) != nil)
		plain := smstext.Normalise(text)
		require.Equal(t, plain, smstext.Normalise(plain))
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(0), []byte("a\x1b\x65"))
	f.Add(uint8(3), []byte("\xd8\x3d\xde\x00"))
	f.Fuzz(func(t *testing.T, enc uint8, payload []byte) {
		text, err := smstext.Decode(smstext.Encoding(enc%4), payload)
		if err == nil {
			require.True(t, utf8.ValidString(text))
		}
	})
}

func BenchmarkCount(b *testing.B) {
	for name, text := range map[string]string{
		"gsm7": strings.Repeat("Sale {now} ", 12), "ucs2": strings.Repeat("Скидка ", 10), "long": strings.Repeat("a", 600),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				smstext.Count(text)
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	text := strings.Repeat("Sale {now} ", 12)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := smstext.Split(text, smstext.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// join decodes every part on its own, so that a cut pair fails, and returns the whole text.
func join(t *testing.T, m smstext.Message) string {
	t.Helper()
	var b strings.Builder
	for _, p := range m.Parts {
		text, err := smstext.Decode(m.Encoding, p.Payload)
		require.NoError(t, err)
		b.WriteString(text)
	}
	return b.String()
}
