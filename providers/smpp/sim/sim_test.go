package sim_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/herald-gateway/herald/internal/smstext"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, user, password string
		cfg                  sim.Config
		status               uint32
	}{
		{"anybody", "x", "y", sim.Config{}, 0},
		{"known", "u", "p", sim.Config{Users: map[string]string{"u": "p"}}, 0},
		{"unknown user", "x", "p", sim.Config{Users: map[string]string{"u": "p"}}, 0x0f},
		{"wrong password", "u", "x", sim.Config{Users: map[string]string{"u": "p"}}, 0x0e},
		{"refused", "u", "p", sim.Config{Faults: []sim.Fault{{Name: "bind_status", Value: "0x53"}}}, 0x53},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := dial(t, start(t, tt.cfg))
			e.bind(transceiver, tt.user, tt.password)
			e.want(transceiver|resp, tt.status, 1)
		})
	}
}

func TestBind_LimitsAndStates(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{MaxBinds: 2})
	tx, rx := bound(t, s, transmitter), bound(t, s, receiver)
	e := dial(t, s)
	e.submit(short{dest: "79990000000"})
	e.want(submit|resp, 4, 1)
	e.bind(transceiver, "u", "p")
	e.want(transceiver|resp, 0x0d, 2)
	tx.bind(transceiver, "u", "p")
	tx.want(transceiver|resp, 5, 2)
	rx.want(submit|resp, 4, rx.submit(short{dest: "79990000000"}))
	tx.want(submit|resp, 0, tx.submit(short{dest: "79990000000"}))
	require.Equal(t, "79990000000", rx.receipt(0).source)
	seq := tx.send(unbind, "")
	tx.want(unbind|resp, 0, seq)
	tx.ended()
	require.NoError(t, tx.conn.Close())
	require.Eventually(t, func() bool { return s.Stats().Connections == 2 }, patience, time.Millisecond)
	e.bind(transceiver, "u", "p")
	e.want(transceiver|resp, 0, 3)
	st := s.Stats()
	require.Equal(t, []uint64{0, 3, 2}, []uint64{st.Lost, st.Bound, st.BindsRefused})
}

func TestSubmit_Receipt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cfg   sim.Config
		fault string
		value string
		// id of the response, then text, esm_class, data_coding and TLVs of the receipt; <date> stands for ten digits
		id, text    string
		esm, coding byte
		tlvs        string
	}{
		{
			"usual",
			sim.Config{},
			"", "", "10000000",
			"id:10000000 sub:001 dlvrd:001 submit date:<date> done date:<date> stat:DELIVRD err:000 text:Hello", 4, 0, "",
		},
		{
			"decimal with zeros",
			sim.Config{ReceiptID: sim.IDDecimal, ReceiptIDWidth: 12, TLVs: true},
			"receipt_short", "",
			"10000000",
			"id:000268435456 stat:DELIVRD", 4, 0,
			"\x00\x1e\x00\x0910000000\x00\x04\x27\x00\x01\x02\x04\x23\x00\x03\x03\x00\x00",
		},
		{
			"failed",
			sim.Config{},
			"receipt", "UNDELIV", "10000000",
			"id:10000000 sub:001 dlvrd:000 submit date:<date> done date:<date> stat:UNDELIV err:001 text:Hello", 4, 0, "",
		},
		{
			"esm 0",
			sim.Config{},
			"receipt_esm0", "", "10000000",
			"id:10000000 sub:001 dlvrd:001 submit date:<date> done date:<date> stat:DELIVRD err:000 text:Hello", 0, 0, "",
		},
		{
			"tlv only",
			sim.Config{ResponseID: sim.IDDecimal},
			"receipt_tlv_only", "", "268435456",
			"sub:001 dlvrd:001 submit date:<date> done date:<date> stat:DELIVRD err:000 text:Hello", 4, 0,
			"\x00\x1e\x00\x0a268435456\x00\x04\x27\x00\x01\x02\x04\x23\x00\x03\x03\x00\x00",
		},
		{
			"text only",
			sim.Config{TLVs: true, ReceiptID: sim.IDHexUpper, ReceiptIDWidth: 10},
			"receipt_text_only", "",
			"10000000",
			"id:0010000000 sub:001 dlvrd:001 submit date:<date> done date:<date> stat:DELIVRD err:000 text:Hello", 4, 0, "",
		},
		{"ucs2", sim.Config{}, "receipt_ucs2", "", "10000000", "id:10000000 stat:DELIVRD err:000", 4, 8, ""},
		{
			"foreign",
			sim.Config{},
			"receipt_foreign", "", "10000000",
			"id:f0000000 sub:001 dlvrd:001 submit date:<date> done date:<date> stat:DELIVRD err:000 text:Hello", 4, 0, "",
		},
		{
			"rates",
			sim.Config{Rates: sim.Rates{Expired: 1}},
			"", "", "10000000",
			"id:10000000 sub:001 dlvrd:000 submit date:<date> done date:<date> stat:EXPIRED err:027 text:Hello", 4, 0, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.cfg)
			if tt.fault != "" {
				require.NoError(t, s.SetFault(sim.Fault{Name: tt.fault, Value: tt.value}))
			}
			e := bound(t, s, transceiver)
			p := e.want(submit|resp, 0, e.submit(short{dest: "79161234567", text: "Hello"}))
			require.Equal(t, tt.id+"\x00", p.body)
			d := e.receipt(0)
			if d.coding == 8 {
				d.text = strings.ReplaceAll(d.text, "\x00", "")
			}
			want := delivery{
				seq: 1, source: "79161234567", dest: "Herald", esm: tt.esm, coding: tt.coding, text: tt.text, tlvs: tt.tlvs,
			}
			d.text = dates(d.text)
			require.Empty(t, cmp.Diff(d, want, cmp.AllowUnexported(delivery{})))
			require.Eventually(t, func() bool {
				st := s.Stats()
				return st.DeliversAcked == 1 && st.Waiting == 0
			}, patience, time.Millisecond)
		})
	}
}

// dates replaces dates of ten digits after "date:".
func dates(text string) string {
	parts := strings.Split(text, "date:")
	for i, p := range parts[1:] {
		if len(p) > 10 && strings.Trim(p[:10], "0123456789") == "" {
			parts[i+1] = "<date>" + p[10:]
		}
	}
	return strings.Join(parts, "date:")
}

func TestSubmit_SuffixRules(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{Keep: true})
	tests := []struct {
		suffix   string
		statuses []uint32
		states   []string
	}{
		{"90001", []uint32{0x0b, 0x0b}, nil},
		{"90002", []uint32{0x58, 0}, []string{"DELIVRD"}},
		{"90004", []uint32{0}, []string{"UNDELIV"}},
		{"90005", []uint32{0}, []string{"EXPIRED"}},
		{"90006", []uint32{0}, nil},
		{"90008", []uint32{0}, []string{"REJECTD"}},
		{"90009", []uint32{0x14, 0}, []string{"DELIVRD"}},
		{"90010", []uint32{0}, []string{"DELIVRD", "DELIVRD"}},
		{"12345", []uint32{0}, []string{"DELIVRD"}},
	}
	for _, tt := range tests {
		t.Run(tt.suffix, func(t *testing.T) {
			t.Parallel()
			e := dial(t, s)
			e.bind(transceiver, "user-"+tt.suffix, "")
			e.want(transceiver|resp, 0, 1)
			for _, status := range tt.statuses {
				e.want(submit|resp, status, e.submit(short{dest: "799900" + tt.suffix, text: "once"}))
			}
			for _, state := range tt.states {
				require.Contains(t, e.receipt(0).text, "stat:"+state+" ")
			}
			e.quiet()
		})
	}
	t.Run("90003", func(t *testing.T) {
		t.Parallel()
		e := dial(t, s)
		e.bind(transceiver, "silence", "")
		e.want(transceiver|resp, 0, 1)
		e.submit(short{dest: "79990090003", text: "silence"})
		e.quiet()
		require.Zero(t, s.Texts()["silence"])
	})
	t.Run("90007", func(t *testing.T) {
		t.Parallel()
		e := bound(t, s, transceiver)
		e.submit(short{dest: "79990090007", text: "cut"})
		_, err := e.tryRead()
		require.Error(t, err)
		require.Equal(t, 1, s.Texts()["cut"])
		again := bound(t, s, transceiver)
		require.Contains(t, again.receipt(0).text, "text:cut")
	})
	t.Run("90011", func(t *testing.T) {
		t.Parallel()
		e := dial(t, s)
		e.bind(transceiver, "early", "")
		e.want(transceiver|resp, 0, 1)
		seq := e.submit(short{dest: "79990090011"})
		require.Contains(t, e.receipt(0).text, "stat:DELIVRD")
		e.want(submit|resp, 0, seq)
	})
}

func TestSubmit_Checks(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{})
	e := bound(t, s, transceiver)
	a := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name   string
		m      short
		status uint32
	}{
		{"160 septets", short{text: a(160)}, 0},
		{"161 septets", short{text: a(161)}, 1},
		{"153 septets and header", short{esm: 0x40, text: "\x05\x00\x03\x01\x02\x01" + a(153)}, 0},
		{"154 septets and header", short{esm: 0x40, text: "\x05\x00\x03\x01\x02\x01" + a(154)}, 1},
		{"152 septets and wide header", short{esm: 0x40, text: "\x06\x08\x04\x01\x02\x02\x01" + a(152)}, 0},
		{"140 octets", short{coding: 8, text: a(140)}, 0},
		{"142 octets", short{coding: 8, text: a(142)}, 1},
		{"payload", short{tlvs: "\x04\x24\x00\xc8" + a(200)}, 0},
		{"header past the end", short{esm: 0x40, text: "\x05\x00\x03"}, 0x43},
		{"element past the end", short{esm: 0x40, text: "\x05\x00\x09\x01\x02\x01a"}, 0x43},
		{"part above total", short{esm: 0x40, text: "\x05\x00\x03\x01\x02\x03a"}, 0x43},
		{"tlv past the end", short{tlvs: "\x04\x24\x10\x00a"}, 0xc2},
		{"tlv header cut", short{tlvs: "\x04\x24"}, 0xc2},
		{"validity", short{validity: "000000010000000R"}, 0},
		{"short validity", short{validity: "10000000R"}, 0x62},
	}
	for _, tt := range tests {
		tt.m.dest, tt.m.noReceipt = "79990000000", true
		seq := e.submit(tt.m)
		p := e.read()
		require.Equal(t, []uint32{submit | resp, tt.status, seq}, []uint32{p.id, p.status, p.seq}, tt.name)
	}
	e.want(submit|resp, 0x0b, e.submit(short{}))
	e.want(submit|resp, 2, e.send(submit, "\x00\x00"))
	e.want(resp, 3, e.send(0x03, "query\x00"))
	e.raw(frame(resp, 0, 7, ""))
	e.quiet()
	require.Equal(t, uint64(3), s.Stats().Malformed)
	require.Equal(t, uint64(1), s.Stats().Nacks)
}

func TestFraming(t *testing.T) {
	t.Parallel()
	for _, length := range []string{"\x00\x00\x00\x00", "\x00\x00\x00\x0f", "\xff\xff\xff\xff"} {
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		e.raw([]byte(length))
		e.want(resp, 2, 0)
		e.ended()
	}
	s := start(t, sim.Config{})
	e := bound(t, s, transceiver)
	for _, b := range frame(enquire, 0, 77, "") {
		e.raw([]byte{b})
	}
	e.want(enquire|resp, 0, 77)
}

func TestSubmit_Throttling(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{TPS: 5})
	e := bound(t, s, transceiver)
	var batch []byte
	for i := range uint32(20) {
		batch = append(batch, frame(submit, 0, 100+i, short{dest: "79990000000", noReceipt: true}.body())...)
	}
	e.raw(batch)
	statuses := map[uint32]int{}
	for i := range uint32(20) {
		p := e.read()
		require.Equal(t, 100+i, p.seq)
		statuses[p.status]++
	}
	// The burst may lie across the turn of a second.
	require.GreaterOrEqual(t, statuses[0x58], 10)
	require.GreaterOrEqual(t, statuses[0], 5)
	require.Equal(t, uint64(statuses[0x58]), s.Stats().Refused["0x58"])
	require.Equal(t, uint32(20), s.Stats().Peak)
}

func TestSubmit_Window(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{Window: 3, ResponseDelay: 20 * time.Millisecond})
	e := bound(t, s, transceiver)
	var batch []byte
	for i := range uint32(5) {
		batch = append(batch, frame(submit, 0, 100+i, short{dest: "79990000000"}.body())...)
	}
	e.raw(batch)
	statuses := map[uint32]int{}
	for range 5 {
		statuses[e.read().status]++
	}
	require.Equal(t, map[uint32]int{0: 3, 0x58: 2}, statuses)
	for range 3 {
		e.receipt(0)
	}
	e.want(submit|resp, 0, e.submit(short{dest: "79990000000"}))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certificates := httptest.NewTLSServer(nil)
	t.Cleanup(certificates.Close)
	s := start(t, sim.Config{TLS: &tls.Config{Certificates: certificates.TLS.Certificates, MinVersion: tls.VersionTLS12}})
	roots := x509.NewCertPool()
	roots.AddCert(certificates.Certificate())
	e := dial(t, s)
	e.conn = tls.Client(e.conn, &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12})
	e.bind(transceiver, "u", "p")
	e.want(transceiver|resp, 0, 1)
	e.want(submit|resp, 0, e.submit(short{dest: "79990000000"}))
	e.receipt(0)
	e.want(unbind|resp, 0, e.send(unbind, ""))
	e.ended()
}

func TestReceipts_StoreAndForward(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{RetryDelay: time.Millisecond, DeliverWindow: 2})
	e := bound(t, s, transceiver)
	for _, dest := range []string{"79990000001", "79990000002", "79990000003"} {
		e.want(submit|resp, 0, e.submit(short{dest: dest, noReceipt: true}))
	}
	for _, text := range []string{"one", "two", "three"} {
		require.NoError(t, s.Deliver("u", "7999", "1234", text))
	}
	require.Equal(t, "one", e.receipt(0x64).text)
	require.Equal(t, "two", e.receipt(0).text)
	got := map[string]int{}
	for range 2 {
		p := e.read()
		got[parseDelivery(t, p).text]++
	}
	require.Equal(t, map[string]int{"one": 1, "three": 1}, got)
	require.NoError(t, e.conn.Close())
	require.Eventually(t, func() bool { return s.Stats().Connections == 0 }, patience, time.Millisecond)
	require.Equal(t, 2, s.Stats().Waiting)
	other := dial(t, s)
	other.bind(receiver, "stranger", "")
	other.want(receiver|resp, 0, 1)
	other.quiet()
	again := bound(t, s, receiver)
	for range 2 {
		got[again.receipt(0).text]++
	}
	require.Equal(t, map[string]int{"one": 2, "three": 2}, got)
	again.quiet()
	st := s.Stats()
	require.Zero(t, st.Waiting)
	got64 := []uint64{st.Delivers, st.DeliversAcked, st.DeliversRefused, st.DeliversRepeated}
	require.Equal(t, []uint64{6, 3, 1, 3}, got64)
}

func TestReceipts_UnansweredComesAgain(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{AckTimeout: time.Millisecond})
	e := bound(t, s, transceiver)
	require.NoError(t, s.Deliver("u", "7999", "1234", "again"))
	first, second := parseDelivery(t, e.read()), parseDelivery(t, e.read())
	require.Equal(t, []string{"again", "again"}, []string{first.text, second.text})
	require.Equal(t, []uint32{1, 2}, []uint32{first.seq, second.seq})
}

func TestReceipts_RefusedIsFinal(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{RefusedIsFinal: true})
	e := bound(t, s, transceiver)
	require.NoError(t, s.Deliver("u", "7999", "1234", "no"))
	e.receipt(0x64)
	e.quiet()
	require.Zero(t, s.Stats().Waiting)
}

func TestReceipts_OtherBind(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{Faults: []sim.Fault{{Name: "receipt_other_bind"}}})
	one, two := bound(t, s, transceiver), bound(t, s, transceiver)
	for range 3 {
		one.want(submit|resp, 0, one.submit(short{dest: "79990000000"}))
		two.receipt(0)
	}
	one.quiet()
}

func TestReceipts_LongMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		faults []sim.Fault
		states []string
	}{
		{"each part", nil, []string{"DELIVRD", "DELIVRD", "DELIVRD"}},
		{"one part fails", []sim.Fault{{Name: "receipt_part"}}, []string{"DELIVRD", "DELIVRD", "UNDELIV"}},
		{"one for all", []sim.Fault{{Name: "receipt_one"}}, []string{"DELIVRD"}},
		{"a failure for all", []sim.Fault{{Name: "receipt_one"}, {Name: "receipt", Value: "REJECTD"}}, []string{"REJECTD"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sim.Config{Faults: tt.faults, Keep: true})
			tx, rx := bound(t, s, transmitter), bound(t, s, receiver)
			text := strings.Repeat("Скидка 😀 ", 20)
			tx.submitLong(text, 0x2a)
			for _, state := range tt.states {
				require.Contains(t, rx.receipt(0).text, "stat:"+state+" ")
			}
			rx.quiet()
			require.Equal(t, map[string]int{text: 1}, s.Texts())
		})
	}
}

// submitLong sends a text in parts and reads the answers.
func (e *esme) submitLong(text string, reference byte) {
	e.t.Helper()
	m, err := smstext.Split(text, smstext.Options{})
	require.NoError(e.t, err)
	for i, p := range m.Parts {
		udh := string([]byte{5, 0, 3, reference, byte(len(m.Parts)), byte(i + 1)})
		seq := e.submit(short{dest: "79990000000", esm: 0x40, coding: m.Encoding.DataCoding(), text: udh + string(p.Payload)})
		e.want(submit|resp, 0, seq)
	}
}

func TestReceipts_Order(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{})
	require.NoError(t, s.SetFault(sim.Fault{Name: "receipt", Suffix: "7", Value: "DELIVRD, ENROUTE"}))
	e := bound(t, s, transceiver)
	e.want(submit|resp, 0, e.submit(short{dest: "79990000007"}))
	require.Contains(t, e.receipt(0).text, "stat:DELIVRD")
	require.Contains(t, e.receipt(0).text, "stat:ENROUTE")
	require.Equal(t, map[string]uint64{"DELIVRD": 1, "ENROUTE": 1}, s.Stats().Receipts)
}

func TestFaults_Answer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault    sim.Fault
		accepted bool
		want     []pdu
	}{
		{sim.Fault{Name: "status", Value: "88"}, false, []pdu{{submit | resp, 0x58, 2, ""}}},
		{sim.Fault{Name: "lost_answer"}, true, nil},
		{sim.Fault{Name: "late_answer", Value: "1ms"}, true, []pdu{{submit | resp, 0, 2, "10000000\x00"}}},
		{sim.Fault{Name: "foreign_sequence"}, true, []pdu{{submit | resp, 0, 0x40000002, "10000000\x00"}}},
		{
			sim.Fault{Name: "repeated_answer"},
			true,
			[]pdu{{submit | resp, 0, 2, "10000000\x00"}, {submit | resp, 0, 2, "10000000\x00"}},
		},
		{sim.Fault{Name: "generic_nack"}, false, []pdu{{resp, 3, 2, ""}}},
		{sim.Fault{Name: "generic_nack_zero"}, false, []pdu{{resp, 2, 0, ""}}},
		{sim.Fault{Name: "truncated_answer"}, true, []pdu{{submit | resp, 0, 2, "10000000"}}},
		{sim.Fault{Name: "empty_answer"}, true, []pdu{{submit | resp, 0, 2, ""}}},
		{sim.Fault{Name: "vendor_pdu"}, true, []pdu{{submit | resp, 0, 2, "10000000\x00"}, {0x10200, 0, 1, "vendor"}}},
		{sim.Fault{Name: "enquire_link"}, true, []pdu{{submit | resp, 0, 2, "10000000\x00"}, {enquire, 0, 1, ""}}},
		{sim.Fault{Name: "unbind"}, true, []pdu{{submit | resp, 0, 2, "10000000\x00"}, {unbind, 0, 1, ""}}},
		{sim.Fault{Name: "one_byte"}, true, []pdu{{submit | resp, 0, 2, "10000000\x00"}}},
	}
	for _, tt := range tests {
		t.Run(tt.fault.Name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sim.Config{})
			e := bound(t, s, transceiver)
			require.NoError(t, s.SetFault(tt.fault))
			e.submit(short{dest: "79990000000", noReceipt: true})
			for _, want := range tt.want {
				require.Empty(t, cmp.Diff(e.read(), want, cmp.AllowUnexported(pdu{})))
			}
			e.quiet()
			require.Equal(t, tt.accepted, s.Stats().Accepted == 1)
		})
	}
}

func TestFaults_Injected(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{})
	e := bound(t, s, transceiver)
	for name, want := range map[string]struct{ id, size uint32 }{
		"data_sm": {0x103, 0}, "alert_notification": {0x102, 0}, "big_deliver": {deliver, 5000}, "bad_tlv": {deliver, 0},
		"bad_sm_length": {deliver, 0},
	} {
		require.NoError(t, s.SetFault(sim.Fault{Name: name, Count: 1}))
		e.want(submit|resp, 0, e.submit(short{dest: "79990000000", noReceipt: true}))
		p := e.read()
		require.Equal(t, want.id, p.id, name)
		require.Greater(t, len(p.body), int(want.size), name)
		e.want(submit|resp, 0, e.submit(short{dest: "79990000000", noReceipt: true}))
		e.quiet()
	}
}

func TestFaults_Connection(t *testing.T) {
	t.Parallel()
	m := short{dest: "79990000000", noReceipt: true}
	t.Run("pause", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		require.NoError(t, s.SetFault(sim.Fault{Name: "pause"}))
		seq := e.submit(m)
		require.NoError(t, e.conn.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		_, err := e.conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, s.Stats().Submits)
		s.ClearFault("pause", "")
		e.want(submit|resp, 0, seq)
	})
	t.Run("silent bind", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{Faults: []sim.Fault{{Name: "silent_bind", Count: 1}}})
		e := dial(t, s)
		e.bind(transceiver, "u", "")
		e.bind(transceiver, "u", "")
		e.want(transceiver|resp, 0, 2)
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		require.NoError(t, s.SetFault(sim.Fault{Name: "silent", Count: 2}))
		e.submit(m)
		e.send(enquire, "")
		e.quiet()
		require.Zero(t, s.Stats().Submits)
	})
	t.Run("enquire link", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		require.NoError(t, s.SetFault(sim.Fault{Name: "no_enquire_link"}))
		e.send(enquire, "")
		e.want(submit|resp, 0, e.submit(m))
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{Faults: []sim.Fault{{Name: "refuse_connections"}}})
		dial(t, s).ended()
		s.ClearFault("refuse_connections", "")
		bound(t, s, transceiver)
	})
	t.Run("reset after", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		one := len(frame(submit, 0, 1, m.body()))
		require.NoError(t, s.SetFault(sim.Fault{Name: "reset_after", Value: itoa(2*one + 20)}))
		e.raw([]byte(strings.Repeat(string(frame(submit, 0, 1, m.body())), 3)))
		e.ended()
		require.Equal(t, uint64(2), s.Stats().Accepted)
		bound(t, s, transceiver)
	})
	t.Run("half close", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		require.Equal(t, 1, s.HalfClose())
		e.ended()
		e.submit(m)
		require.Equal(t, 1, s.Stats().Connections)
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		require.Equal(t, 1, s.Cut())
		e.ended()
		require.Eventually(t, func() bool {
			st := s.Stats()
			return st.Lost == 1 && st.Binds == 0
		}, patience, time.Millisecond)
	})
	t.Run("cut while paused", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		require.NoError(t, s.SetFault(sim.Fault{Name: "pause"}))
		e.submit(m)
		s.Cut()
		require.Eventually(t, func() bool { return s.Stats().Connections == 0 }, patience, time.Millisecond)
	})
	t.Run("unbind and inject", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{FirstSequence: 9})
		e := bound(t, s, transceiver)
		require.Equal(t, 1, s.Inject(frame(0x999, 0, 5, "x")))
		e.want(0x999, 0, 5)
		require.Equal(t, 1, s.Unbind())
		e.want(unbind, 0, 9)
		e.raw(frame(unbind|resp, 0, 9, ""))
		e.ended()
		require.Zero(t, s.Stats().Lost)
	})
	t.Run("restart ids", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{})
		e := bound(t, s, transceiver)
		for range 2 {
			require.Equal(t, "10000000\x00", e.want(submit|resp, 0, e.submit(m)).body)
			s.RestartIDs()
		}
	})
	t.Run("deliver window", func(t *testing.T) {
		t.Parallel()
		s := start(t, sim.Config{Faults: []sim.Fault{{Name: "deliver_window"}}})
		e := bound(t, s, transceiver)
		require.NoError(t, s.Deliver("u", "1", "2", "a"))
		require.NoError(t, s.Deliver("u", "1", "2", "b"))
		p := e.want(deliver, 0, 1)
		e.quiet()
		e.raw(frame(deliver|resp, 0, p.seq, "\x00"))
		e.want(deliver, 0, 2)
	})
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestFaults_ShareIsRepeatable(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (bits string) {
		s := start(t, sim.Config{Seed: seed, Faults: []sim.Fault{{Name: "status", Share: 0.5}}})
		e := bound(t, s, transceiver)
		for range 40 {
			e.submit(short{dest: "79990000000", noReceipt: true})
			bits += string('0' + rune(e.read().status/8))
		}
		return bits
	}
	a := run(1)
	require.Equal(t, a, run(1))
	require.NotEqual(t, a, run(2))
	require.Contains(t, a, "0")
	require.Contains(t, a, "1")
}

func TestFaults_Management(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{NoRules: true, Faults: []sim.Fault{{Name: "no_receipt"}}})
	for _, f := range []sim.Fault{
		{Name: "nonsense"},
		{Name: "pause", Suffix: "1"},
		{Name: "status", Value: "x"},
		{Name: "receipt"},
		{Name: "receipt", Value: "LOST"},
		{Name: "late_answer", Value: "-1s"},
		{Name: "no_answer", Value: "1"},
		{Name: "status", Share: 2},
		{Name: "status", Count: -1},
	} {
		require.Error(t, s.SetFault(f), f)
	}
	f := sim.Fault{Name: "status", Suffix: "7", Value: "1"}
	require.NoError(t, s.SetFault(f))
	f.Value = "2"
	require.NoError(t, s.SetFault(f))
	require.Empty(t, cmp.Diff(s.Faults(), []sim.Fault{{Name: "no_receipt"}, f}))
	s.ClearFaults()
	require.Empty(t, cmp.Diff(s.Faults(), []sim.Fault{{Name: "no_receipt"}}))
	require.Greater(t, len(sim.FaultNames()), 40)
}

func TestKeepAndRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record.jsonl")
	s := start(t, sim.Config{Keep: true, KeepLimit: 7, Record: path, HTTPListen: "127.0.0.1:0"})
	e := bound(t, s, transmitter)
	long := strings.Repeat("long text ", 20)
	e.submitLong(long, 1)
	e.submitLong(long, 1)
	for _, m := range []short{
		{dest: "79990000001", text: "key one"},
		{dest: "79990000001", text: "key one"},
		{dest: "79990000002", coding: 8, text: "\xd8\x3d"},
		{dest: "79990000003", text: "over the limit"},
	} {
		m.noReceipt = true
		e.want(submit|resp, 0, e.submit(m))
	}
	require.Equal(t, map[string]int{long: 2, "key one": 2, "d83d": 1}, s.Texts())
	require.Equal(t, map[string]int{"key": 2, "long": 2}, s.Counts(func(m sim.Message) string {
		first, _, _ := strings.Cut(m.Text, " ")
		if m.Part > 1 || first == m.Text {
			return ""
		}
		return first
	}))
	st := s.Stats()
	require.Equal(t, []uint64{8, 8, 1, 1}, []uint64{st.Submits, st.Accepted, st.NotKept, st.Undecodable})
	want := sim.Message{
		ID: "10000004", SystemID: "u", Session: 1, Sequence: 6, Source: "Herald", SourceTON: 5, Destination: "79990000001",
		DestTON: 1, DestNPI: 1, Text: "key one",
	}
	ignore := cmpopts.IgnoreFields(sim.Message{}, "Time")
	require.Empty(t, cmp.Diff(s.Messages()[4], want, ignore, cmpopts.EquateEmpty()))
	require.Equal(t, []byte{5, 0, 3, 1, 2, 1}, s.Messages()[0].UDH)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var recorded []sim.Message
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var m sim.Message
		require.NoError(t, json.Unmarshal(lines.Bytes(), &m))
		recorded = append(recorded, m)
	}
	require.Len(t, recorded, 8)
	require.Empty(t, cmp.Diff(recorded[:7], s.Messages(), cmpopts.EquateEmpty()))

	var found []sim.Message
	get(t, s, "/messages?suffix=1&text=key&limit=1", &found)
	require.Empty(t, cmp.Diff(found, []sim.Message{want}, ignore, cmpopts.EquateEmpty()))
	get(t, s, "/messages?after=5&destination=79990000001", &found)
	require.Len(t, found, 1)
	s.Reset()
	require.Empty(t, s.Messages())
	require.Empty(t, s.Texts())
	require.Equal(t, 1, s.Stats().Binds)
	require.Zero(t, s.Stats().Waiting)
}

func TestJoin_DuplicatePart(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{Keep: true})
	e := bound(t, s, transceiver)
	sar := func(part string) string { return "\x02\x0c\x00\x02\x12\x34\x02\x0e\x00\x01\x02\x02\x0f\x00\x01" + part }
	for _, m := range []short{
		{text: "a", tlvs: sar("\x01")}, {text: "a", tlvs: sar("\x01")}, {text: "b", tlvs: sar("\x02")},
	} {
		m.dest, m.noReceipt = "79990000000", true
		e.want(submit|resp, 0, e.submit(m))
	}
	require.Equal(t, map[string]int{"ab": 1}, s.Texts())
	require.Equal(t, uint64(1), s.Stats().DuplicateParts)
	require.Equal(t, uint16(0x1234), s.Messages()[0].Reference)
}

func get(t *testing.T, s *sim.Server, path string, into any) {
	t.Helper()
	call(t, s, http.MethodGet, path, "", http.StatusOK, into)
}

func call(t *testing.T, s *sim.Server, method, path, body string, status int, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr()+path, strings.NewReader(body))
	require.NoError(t, err)
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Body.Close()) }()
	require.Equal(t, status, r.StatusCode, path)
	if into != nil {
		require.NoError(t, json.NewDecoder(r.Body).Decode(into))
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{HTTPListen: "127.0.0.1:0", NoRules: true, Keep: true})
	e := bound(t, s, transceiver)
	post := func(path, body string, status int, into any) { call(t, s, http.MethodPost, path, body, status, into) }
	var faults []sim.Fault
	post("/fault", `{"name":"status","value":"0x14","suffix":"7","share":1}`, 200, &faults)
	require.Empty(t, cmp.Diff(faults, []sim.Fault{{Name: "status", Suffix: "7", Value: "0x14", Share: 1}}))
	e.want(submit|resp, 0x14, e.submit(short{dest: "7999007"}))
	post("/fault", "name=no_receipt&count=3&share=0.5", 200, &faults)
	require.Len(t, faults, 2)
	for _, bad := range []string{
		`{"nam":"x"}`, "name=x", "name=status&count=x", "name=status&count=-1", "name=status&share=x",
	} {
		post("/fault", bad, 400, nil)
	}
	call(t, s, http.MethodDelete, "/fault?name=status&suffix=7", "", 200, &faults)
	require.Len(t, faults, 1)
	call(t, s, http.MethodDelete, "/fault", "", 200, &faults)
	require.Empty(t, faults)
	stop := url.Values{"system_id": {"u"}, "source": {"7"}, "destination": {"8"}, "text": {"STOP"}}
	post("/deliver", stop.Encode(), 204, nil)
	require.Equal(t, "STOP", e.receipt(0).text)
	post("/deliver", url.Values{"source": {strings.Repeat("7", 21)}}.Encode(), 400, nil)
	e.want(submit|resp, 0, e.submit(short{dest: "7999", text: "hi", noReceipt: true}))
	texts := map[string]int{}
	get(t, s, "/texts", &texts)
	require.Equal(t, map[string]int{"hi": 1}, texts)
	var st sim.Stats
	get(t, s, "/stats", &st)
	require.Equal(t, []uint64{2, 1, 1}, []uint64{st.Submits, st.Accepted, st.Refused["0x14"]})
	var all struct{ Faults, Names []any }
	get(t, s, "/faults", &all)
	require.NotEmpty(t, all.Names)
	call(t, s, http.MethodGet, "/messages?limit=x", "", 400, nil)
	var n struct{ Connections int }
	for path, want := range map[string]int{"/restart-ids": 0, "/reset": 0, "/unbind": 1} {
		post(path, "", 200, &n)
		require.Equal(t, want, n.Connections, path)
	}
	e.want(unbind, 0, 2)
	post("/half-close", "", 200, &n)
	post("/cut", "", 200, &n)
	require.Equal(t, 1, n.Connections)
	e.ended()
}

func TestDeliver_Long(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{MaxPending: 2})
	require.NoError(t, s.Deliver("u", "79", "12", strings.Repeat("я", 71)))
	require.Error(t, s.Deliver("u", "79", "12", "full"))
	e := bound(t, s, transceiver)
	for part := range byte(2) {
		d := e.receipt(0)
		require.Equal(t, []byte{0x40, 8}, []byte{d.esm, d.coding})
		require.Equal(t, []byte{5, 0, 3, 1, 2, part + 1}, []byte(d.text[:6]))
	}
}

func TestStart_Fails(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{})
	for _, cfg := range []sim.Config{
		{Listen: s.Addr()},
		{HTTPListen: s.Addr()},
		{Record: t.TempDir()},
		{TPS: -1},
		{Receipts: "some"},
		{ResponseID: "octal"},
		{ResponseDelay: -1},
		{Rates: sim.Rates{Expired: 0.6, Rejected: 0.6}},
		{Rates: sim.Rates{Expired: -1}},
		{FirstSequence: 1 << 31},
		{Faults: []sim.Fault{{Name: "x"}}},
		{ReceiptIDWidth: 65},
		{Alphabet: 9},
	} {
		_, err := sim.Start(cfg)
		require.Error(t, err)
	}
	require.Empty(t, s.HTTPAddr())
	require.NoError(t, s.Close())
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	require.Error(t, err)
}

// TestServer_PeerThatDoesNotRead fills the socket: the server must stop reading and must still close.
func TestServer_PeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s := start(t, sim.Config{})
	e := bound(t, s, transceiver)
	batch := []byte(strings.Repeat(string(frame(submit, 0, 5, short{dest: "79990000000", noReceipt: true}.body())), 1000))
	for {
		require.NoError(t, e.conn.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
		if _, err := e.conn.Write(batch); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			break
		}
	}
	bound(t, s, transceiver).quiet()
}

func FuzzHandle(f *testing.F) {
	m := short{dest: "79990090010", text: "hello", tlvs: "\x04\x24\x00\x01a"}
	f.Add(append(frame(submit, 0, 1, m.body()), frame(enquire, 0, 2, "")...), 20)
	f.Add(append(frame(transceiver, 0, 1, "u\x00p\x00\x00\x34\x00\x00\x00"), frame(deliver|resp, 8, 1, "\x00")...), 3)
	f.Add(frame(submit, 0, 1, short{dest: "7", esm: 0x40, text: "\x05\x00\x03\x01\x02\x01a"}.body()), 0)
	f.Add([]byte("\xff\xff\xff\xff"), 1)
	s, err := sim.Start(sim.Config{Keep: true, KeepLimit: 100, MaxPending: 100})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, s.Close()) })
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		out := s.Feed(data, cut)
		require.LessOrEqual(t, len(out), 1000+100*len(data))
		s.Reset()
	})
}

// BenchmarkSubmit measures the server with a client that keeps 100 messages in flight and takes their receipts; both
// share the machine.
func BenchmarkSubmit(b *testing.B) {
	for name, cfg := range map[string]sim.Config{
		"plain": {Receipts: sim.ReceiptsNone}, "receipts": {}, "keep": {Keep: true},
		"record": {Record: filepath.Join(b.TempDir(), "r.jsonl")}, "delay": {ResponseDelay: time.Millisecond},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := sim.Start(cfg)
			require.NoError(b, err)
			defer func() { require.NoError(b, s.Close()) }()
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", s.Addr())
			require.NoError(b, err)
			defer func() { _ = conn.Close() }()
			_, err = conn.Write(frame(transceiver, 0, 1, "u\x00p\x00\x00\x34\x00\x00\x00"))
			require.NoError(b, err)
			in := bufio.NewReaderSize(conn, 1<<16)
			var acks []byte
			take := func() {
				h, err := in.Peek(16)
				require.NoError(b, err)
				if binary.BigEndian.Uint32(h[4:]) == deliver {
					acks = append(acks, frame(deliver|resp, 0, binary.BigEndian.Uint32(h[12:]), "\x00")...)
				}
				_, err = in.Discard(int(binary.BigEndian.Uint32(h)))
				require.NoError(b, err)
			}
			take()
			each := 2
			if cfg.Receipts == sim.ReceiptsNone {
				each = 1
			}
			one := frame(submit, 0, 1, short{dest: "79990000000", text: strings.Repeat("a", 80)}.body())
			batch := []byte(strings.Repeat(string(one), 100))
			b.ReportAllocs()
			for left := b.N; left > 0; left -= 100 {
				n := min(left, 100)
				_, err := conn.Write(append(acks, batch[:n*len(one)]...))
				require.NoError(b, err)
				acks = acks[:0]
				for range n * each {
					take()
				}
			}
		})
	}
}
