package smpp_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/smpp"
)

// deliverBody makes the body of a deliver_sm.
func deliverBody(esm, coding byte, short string, tlvs ...string) []byte {
	b := append([]byte("\x00\x01\x0179161234567\x00\x05\x00SHOP\x00"), esm, 0, 0, 0, 0, 0, 0, coding, 0, byte(len(short)))
	b = append(b, short...)
	for _, tlv := range tlvs {
		b = append(b, tlv...)
	}
	return b
}

func tlv(tag uint16, value string) string {
	b := binary.BigEndian.AppendUint16(nil, tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return string(b) + value
}

func ucs2(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return string(b)
}

func TestScanReceipt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       smpp.ReceiptText
	}{
		{
			"usual", "id:0123456789 sub:001 dlvrd:001 submit date:2611211530 done date:2611211531 stat:DELIVRD err:000 text:first",
			smpp.ReceiptText{"0123456789", "2611211530", "2611211531", "DELIVRD", "000", "001", "001"},
		},
		{
			"one word dates", "id:0118Z-0122I-57DGB sub:000 dlvrd:000 submitdate:180122230957 donedate:000000000000 stat:REJECTED err:375 text:",
			smpp.ReceiptText{"0118Z-0122I-57DGB", "180122230957", "000000000000", "REJECTED", "375", "000", "000"},
		},
		{
			"no counts", "id:1526758174 submit date:1701240904 done date:1701240904 stat:DELIVRD err:000 text:hellow",
			smpp.ReceiptText{ID: "1526758174", Submitted: "1701240904", Done: "1701240904", Stat: "DELIVRD", Err: "000"},
		},
		{
			"capital keys, err no number", "ID:64567564356765435676 STAT:UNDELIV Err:21b Text:err:000 id:1",
			smpp.ReceiptText{ID: "64567564356765435676", Stat: "UNDELIV", Err: "21b"},
		},
		{"moved, spaces after colons", "stat: EXPIRED\terr: 5  id: 77", smpp.ReceiptText{ID: "77", Stat: "EXPIRED", Err: "5"}},
		{"empty values", "id: sub: stat:DELIVRD err:", smpp.ReceiptText{Stat: "DELIVRD"}},
		{"the first counts", "id:1 id:2", smpp.ReceiptText{ID: "1"}},
		{"text is not read", "text:id:1 stat:DELIVRD", smpp.ReceiptText{}},
		{"within a word", "paid:1 mystat:2", smpp.ReceiptText{}},
		{"nothing", "", smpp.ReceiptText{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(smpp.ScanReceipt(tt.text), tt.want))
		})
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 15, 32, 0, 0, time.UTC)
	const usual = "id:00AB sub:001 dlvrd:001 submit date:2611211530 done date:2611211531 stat:%s err:%s text:x"
	type want struct {
		Ref, Alt string
		State    delivery.ReceiptState
		Reason   delivery.Reason
		Code     string
		At       time.Time
		Clashes  int
	}
	done := time.Date(2026, 11, 21, 15, 31, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*smpp.Config)
		body   []byte
		want   want
	}{
		{"text", nil, deliverBody(4, 0, fmt.Sprintf(usual, "DELIVRD", "000")), want{"ab", "", delivery.ReceiptDelivered, 0, "000", done, 0}},
		{
			"both ids, TLV first", func(c *smpp.Config) { c.RespID, c.ReceiptID = smpp.IDDecimal, smpp.IDHex },
			deliverBody(4, 0, fmt.Sprintf(usual, "DELIVRD", "000"), tlv(0x1e, "171\x00"), tlv(0x427, "\x02")),
			want{"171", "", delivery.ReceiptDelivered, 0, "000", done, 0},
		},
		{
			"ids in different forms", nil, deliverBody(4, 0, fmt.Sprintf(usual, "DELIVRD", "000"), tlv(0x1e, "171\x00")),
			want{"171", "ab", delivery.ReceiptDelivered, 0, "000", done, 0},
		},
		{
			"only TLVs", nil, deliverBody(4, 0, "", tlv(0x1e, "9\x00"), tlv(0x427, "\x08"), tlv(0x423, "\x03\x01\x02")),
			want{"9", "", delivery.ReceiptRejected, delivery.ReasonUnreachable, "3:258", now, 0},
		},
		{
			"the TLV wins over the text", nil, deliverBody(4, 0, fmt.Sprintf(usual, "UNDELIV", "1"), tlv(0x427, "\x02")),
			want{"ab", "", delivery.ReceiptDelivered, 0, "1", done, 1},
		},
		{
			"mapped error", func(c *smpp.Config) { c.Errors = map[string]string{"21B": "address_gone"} },
			deliverBody(4, 0, fmt.Sprintf(usual, "UNDELIV", "21b")),
			want{"ab", "", delivery.ReceiptUndelivered, delivery.ReasonAddressGone, "21b", done, 0},
		},
		{"expired", nil, deliverBody(4, 0, fmt.Sprintf(usual, "expired", "0")), want{"ab", "", delivery.ReceiptExpired, 0, "0", done, 0}},
		{
			"skipped", nil, deliverBody(4, 0, fmt.Sprintf(usual, "SKIPPED", "0")),
			want{"ab", "", delivery.ReceiptUndelivered, delivery.ReasonUnreachable, "0", done, 0},
		},
		{"unknown word", nil, deliverBody(4, 0, fmt.Sprintf(usual, "WHAT", "0")), want{"ab", "", delivery.ReceiptSent, 0, "0", done, 0}},
		{
			"intermediate", nil, deliverBody(0x20, 0, fmt.Sprintf(usual, "DELIVRD", "0")),
			want{"ab", "", delivery.ReceiptSent, 0, "0", done, 0},
		},
		{
			"payload", nil, deliverBody(4, 0, "", tlv(0x424, fmt.Sprintf(usual, "DELIVRD", "0"))),
			want{"ab", "", delivery.ReceiptDelivered, 0, "0", done, 0},
		},
		{
			"UCS-2", nil, deliverBody(4, 8, ucs2(fmt.Sprintf(usual, "DELIVRD", "0"))),
			want{"ab", "", delivery.ReceiptDelivered, 0, "0", done, 0},
		},
		{
			"header before the text", nil, deliverBody(0x44, 0, "\x05\x00\x03\x01\x01\x01"+fmt.Sprintf(usual, "DELIVRD", "0")),
			want{"ab", "", delivery.ReceiptDelivered, 0, "0", done, 0},
		},
		{
			"by its look", func(c *smpp.Config) { c.ReceiptDetect = smpp.DetectText },
			deliverBody(0, 0, fmt.Sprintf(usual, "DELIVRD", "0")),
			want{"ab", "", delivery.ReceiptDelivered, 0, "0", done, 0},
		},
		{
			"zone", func(c *smpp.Config) { c.ReceiptZone = "Europe/Moscow" }, // 15:31 there was 12:31 UTC
			deliverBody(4, 0, fmt.Sprintf(usual, "DELIVRD", "0")),
			want{"ab", "", delivery.ReceiptDelivered, 0, "0", done.Add(-3 * time.Hour), 0},
		},
		{
			"future date", nil, deliverBody(4, 0, "id:1 done date:2611211600 stat:DELIVRD"),
			want{"1", "", delivery.ReceiptDelivered, 0, "", now, 0},
		},
		{
			"date of seconds", nil, deliverBody(4, 0, "id:1 done date:20261121153005 stat:DELIVRD"),
			want{"1", "", delivery.ReceiptDelivered, 0, "", done.Add(-55 * time.Second), 0},
		},
		{
			"nonsense date", nil, deliverBody(4, 0, "id:1 done date:9999999999 stat:DELIVRD"),
			want{"1", "", delivery.ReceiptDelivered, 0, "", now, 0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := smpp.DefaultConfig()
			if tt.change != nil {
				tt.change(&cfg)
			}
			r, is, ok, unparsed, clashes := smpp.ParseReceipt(cfg, tt.body, now)
			require.True(t, is)
			require.True(t, ok)
			require.Zero(t, unparsed)
			require.Empty(t, cmp.Diff(want{r.Ref, r.AltRef, r.State, r.Reason, r.Code, r.At.UTC(), clashes}, tt.want))
		})
	}
	t.Run("an id in a TLV makes no receipt of a message", func(t *testing.T) {
		t.Parallel()
		_, is, _, _, _ := smpp.ParseReceipt(smpp.DefaultConfig(), deliverBody(0, 0, "id:1 stat:DELIVRD", tlv(0x1e, "1")), now)
		require.False(t, is)
	})
	t.Run("no id", func(t *testing.T) {
		t.Parallel()
		_, is, ok, unparsed, _ := smpp.ParseReceipt(smpp.DefaultConfig(), deliverBody(4, 0, "stat:DELIVRD"), now)
		require.True(t, is)
		require.False(t, ok)
		require.Equal(t, 1, unparsed)
	})
}

func TestIDForm_Canonical(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		form     smpp.IDForm
		id, want string
	}{
		{smpp.IDString, " 00AbC\x00", "abc"},
		{smpp.IDString, "000", "0"},
		{smpp.IDString, "", ""},
		{smpp.IDString, "0118Z-0122I", "118z-0122i"},
		{smpp.IDDecimal, "0001234567890123456789012", "1234567890123456789012"},
		{smpp.IDHex, "0x00FF", "255"},
		{smpp.IDHex, "10000001", "268435457"},
		{smpp.IDHex, "FFFFFFFFFFFFFFFF", "18446744073709551615"},
		{smpp.IDHex, "01FFFFFFFFFFFFFFFF0", "1ffffffffffffffff0"},
		{smpp.IDHex, "01-XY", "1-xy"},
		{smpp.IDHex, "0x", "x"},
	} {
		require.Equal(t, tt.want, tt.form.Canonical(tt.id), "%s of %q", tt.form, tt.id)
	}
}

func FuzzIDForm(f *testing.F) {
	f.Add("00AB12", uint64(0x10000001))
	f.Add("0 0", uint64(0))
	f.Fuzz(func(t *testing.T, id string, n uint64) {
		for _, form := range []smpp.IDForm{smpp.IDString, smpp.IDDecimal} {
			once := form.Canonical(id)
			require.Equal(t, once, form.Canonical(once))
		}
		smpp.IDHex.Canonical(id)
		want := smpp.IDDecimal.Canonical(strconv.FormatUint(n, 10))
		for _, form := range []string{"%x", "%X", "0x%x", "%024x"} {
			require.Equal(t, want, smpp.IDHex.Canonical(fmt.Sprintf(form, n)))
		}
		require.Equal(t, want, smpp.IDDecimal.Canonical(fmt.Sprintf("%024d", n)))
	})
}

func FuzzScanReceipt(f *testing.F) {
	f.Add("id:0123456789 sub:001 dlvrd:001 submit date:2611211530 done date:2611211531 stat:DELIVRD err:000 text:first")
	f.Add("id: stat:")
	f.Fuzz(func(t *testing.T, text string) {
		r := smpp.ScanReceipt(text)
		for _, v := range []string{r.ID, r.Stat, r.Err, r.Done, r.Submitted, r.Sub, r.Delivered} {
			require.Contains(t, text, v)
			require.NotContains(t, v, " ")
		}
		smpp.ParseReceipt(smpp.DefaultConfig(), []byte(text), time.Now())
	})
}

// FuzzParseDeliver reads anything without harm, and what fiorix's slow decoder makes of a valid PDU, too.
func FuzzParseDeliver(f *testing.F) {
	f.Add(deliverBody(4, 0, "id:1 stat:DELIVRD", tlv(0x427, "\x02")), "a", "b", "text", byte(0))
	f.Add([]byte{}, "79161234567", "SHOP", "Привет", byte(8))
	f.Fuzz(func(t *testing.T, junk []byte, source, destination, short string, coding byte) {
		_, _ = smpp.ParseDeliver(junk)
		smpp.ParseReceipt(smpp.DefaultConfig(), junk, time.Now())
		source, destination = strings.ReplaceAll(source, "\x00", ""), strings.ReplaceAll(destination, "\x00", "")
		short = short[:min(len(short), 254)]
		if len(source)+len(destination) > 2000 {
			return
		}
		p := pdu.NewDeliverSM()
		for name, v := range map[pdufield.Name]any{
			pdufield.SourceAddr: source, pdufield.DestinationAddr: destination, pdufield.DataCoding: coding,
			pdufield.ESMClass: uint8(0), pdufield.ShortMessage: []byte(short),
		} {
			require.NoError(t, p.Fields().Set(name, v))
		}
		delete(p.Fields(), pdufield.UDHLength)
		delete(p.Fields(), pdufield.GSMUserData)
		var b bytes.Buffer
		require.NoError(t, serialize(&b, p))
		got, err := smpp.ParseDeliver(b.Bytes()[16:])
		require.NoError(t, err)
		theirs, err := pdu.Decode(&b)
		require.NoError(t, err)
		require.Equal(t, theirs.Fields()[pdufield.SourceAddr].String(), got.Source)
		require.Equal(t, theirs.Fields()[pdufield.DestinationAddr].String(), got.Destination)
		require.Equal(t, string(theirs.Fields()[pdufield.ShortMessage].Bytes()), got.Text)
		require.Equal(t, short, got.Text)
		require.Equal(t, coding, got.DataCoding)
	})
}

// serialize writes a deliver_sm without the user data header fields that fiorix's list has for decoding only.
func serialize(b *bytes.Buffer, p pdu.Body) error {
	var body bytes.Buffer
	for _, name := range p.FieldList() {
		if name == pdufield.UDHLength || name == pdufield.GSMUserData {
			continue
		}
		v, ok := p.Fields()[name]
		if !ok {
			v = pdufield.New(name, nil)
		}
		if err := v.SerializeTo(&body); err != nil {
			return err
		}
	}
	h := pdu.Header{Len: uint32(16 + body.Len()), ID: pdu.DeliverSMID, Seq: 1}
	if err := h.SerializeTo(b); err != nil {
		return err
	}
	_, err := b.Write(body.Bytes())
	return err
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x10\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01"), 1)
	f.Add(bytes.Repeat([]byte{0xff}, 40), 3)
	f.Fuzz(func(t *testing.T, stream []byte, chunk int) {
		chunk = 1 + (chunk&0x7fffffff)%4096
		whole, room, err := smpp.Frames(stream, 1<<20, 64<<10)
		require.LessOrEqual(t, room, 2*(64<<10))
		parts, _, err2 := smpp.Frames(stream, chunk, 64<<10)
		require.Equal(t, err, err2)
		require.Equal(t, whole, parts, "the cut of the stream changes nothing")
	})
}

func TestFrames(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want [][]byte
	for range 200 {
		body := bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(60_000))
		stream = binary.BigEndian.AppendUint32(stream, uint32(16+len(body)))
		stream = append(append(stream, make([]byte, 12)...), body...)
		want = append(want, body)
	}
	for _, chunk := range []int{1 << 20, 1000, 65_535} {
		got, room, err := smpp.Frames(stream, chunk, 64<<10)
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			require.True(t, bytes.Equal(want[i], got[i]))
		}
		require.LessOrEqual(t, room, 128<<10)
	}
	for _, length := range []uint32{0, 15, 64<<10 + 1, 0xffffffff} {
		_, _, err := smpp.Frames(binary.BigEndian.AppendUint32(nil, length), 10, 64<<10)
		require.Error(t, err)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	outcome := func(status uint32, attempt int, sender string) delivery.Outcome {
		r, err := smpp.Classify(status, &providers.Message{Attempt: attempt, Sender: sender}, nil)
		require.NoError(t, err)
		return r.Outcome
	}
	for o, statuses := range map[delivery.Outcome][]uint32{
		delivery.OutcomeThrottled: {0x58, 0x14},
		delivery.OutcomeRecipient: {0x0b, 0x65, 0xfe, 0x101},
		delivery.OutcomeTemporary: {0x64, 0x102, 0x08, 0x04, 0x05, 0x45, 0xff, 0x400, 0x4ff, 0x9999},
		delivery.OutcomeContent:   {0x66, 0x01, 0x43, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0x103, 0x104},
		delivery.OutcomeFatal: {
			0x0a, 0x15, 0x48, 0x50, 0x51, 0x53, 0x61, 0x62, 0x100, 0x02, 0x03, 0x06, 0x07, 0x33, 0x42, 0x44, 0x54, 0x55, 0x63,
		},
	} {
		for _, s := range statuses {
			require.Equal(t, o, outcome(s, 1, ""), "%#x", s)
		}
	}
	require.Equal(t, delivery.OutcomeContent, outcome(0x0a, 1, "OTHER"), "the message's own sender")
	require.Equal(t, delivery.OutcomeTemporary, outcome(0x45, 2, ""))
	require.Equal(t, delivery.OutcomeRecipient, outcome(0x45, 3, ""))
	require.Equal(t, delivery.OutcomeRecipient, outcome(0x400, 2, ""))
	for _, s := range []uint32{0x58, 0x14, 0x04, 0x05} {
		r, _ := smpp.Classify(s, &providers.Message{Attempt: 1}, nil)
		require.True(t, r.NotAttempt, "%#x", s)
	}
	r, err := smpp.Classify(0x40b, &providers.Message{}, map[string]string{"0x40b": "fatal", "88": "temporary"})
	require.NoError(t, err)
	require.Equal(t, delivery.OutcomeFatal, r.Outcome)
	require.Equal(t, "0x0000040B", r.Code)
	r, _ = smpp.Classify(0x58, &providers.Message{}, map[string]string{"88": "temporary"})
	require.Equal(t, delivery.OutcomeTemporary, r.Outcome)
	require.False(t, r.NotAttempt)
}

func TestSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       string
		ton, npi byte
		text     string
		bad      bool
	}{
		{in: "SHOP", ton: 5, text: "SHOP"},
		{in: "My Shop", ton: 5, text: "My Shop"},
		{in: "1234", ton: 3, text: "1234"},
		{in: "123456", ton: 3, text: "123456"},
		{in: "+79161234567", ton: 1, npi: 1, text: "79161234567"},
		{in: "79161234567", ton: 1, npi: 1, text: "79161234567"},
		{in: "TWELVE CHARS", bad: true},
		{in: "МАГАЗИН", bad: true},
		{in: "", bad: true},
		{in: strings.Repeat("1", 21), bad: true},
	} {
		ton, npi, text, err := smpp.Source(tt.in)
		require.Equal(t, tt.bad, err != nil, "%q: %v", tt.in, err)
		require.Equal(t, []any{tt.ton, tt.npi, tt.text}, []any{ton, npi, text}, tt.in)
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*smpp.Config)
		m      providers.Message
		want   string
	}{
		{"an hour", nil, providers.Message{TTL: time.Hour}, "000000010000000R"},
		{"a day", nil, providers.Message{ExpiresAt: now.Add(24 * time.Hour)}, "000001000000000R"},
		{"the shorter one", nil, providers.Message{TTL: 90 * time.Second, ExpiresAt: now.Add(time.Hour)}, "000000000130000R"},
		{"rounded up", nil, providers.Message{TTL: 1500 * time.Millisecond}, "000000000002000R"},
		{"no end", nil, providers.Message{}, ""},
		{"too long", nil, providers.Message{TTL: 90 * 24 * time.Hour}, "000030000000000R"},
		{"absolute", func(c *smpp.Config) { c.Validity = "absolute" }, providers.Message{TTL: time.Hour}, "261124130000000+"},
		{"none", func(c *smpp.Config) { c.Validity = "none" }, providers.Message{TTL: time.Hour}, ""},
		{"at least", func(c *smpp.Config) { c.ValidityMin = time.Hour }, providers.Message{TTL: time.Minute}, "000000010000000R"},
		{"at most", func(c *smpp.Config) { c.ValidityMax = time.Minute }, providers.Message{TTL: time.Hour}, "000000000100000R"},
	} {
		cfg := smpp.DefaultConfig()
		if tt.change != nil {
			tt.change(&cfg)
		}
		require.Equal(t, tt.want, smpp.Validity(cfg, &tt.m, now), tt.name)
	}
}

func TestReference_SpreadsNeighbours(t *testing.T) {
	t.Parallel()
	seen := map[byte]int{}
	for i := range 256 {
		seen[smpp.Reference(delivery.ID(1_000_000+i)<<3)]++
	}
	for ref, n := range seen {
		require.LessOrEqual(t, n, 4, "reference %d", ref)
	}
}

func BenchmarkParseDeliver(b *testing.B) {
	body := deliverBody(4, 0, "id:0123456789 sub:001 dlvrd:001 submit date:2611211530 done date:2611211531 stat:DELIVRD err:000 text:x",
		tlv(0x1e, "123456789\x00"), tlv(0x427, "\x02"))
	cfg := smpp.DefaultConfig()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok, _, _ := smpp.ParseReceipt(cfg, body, now); !ok {
			b.Fatal("not read")
		}
	}
}
