package smpp_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/smstext"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/smpp"
)

// What our encoder writes, another implementation reads: every mandatory field, the text of every part, and the TLVs.
func TestEncode_AsOthersRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ton := 3
	for _, long := range []string{smpp.LongUDH, smpp.LongSAR, smpp.LongPayload} {
		for name, s := range map[string]string{
			"short": "Your code is 1234 @£€", "cyrillic": "Ваш заказ готов", "long": strings.Repeat("0123456789", 40),
			"long cyrillic": strings.Repeat("Ваш заказ готов. ", 20),
		} {
			for _, sender := range []string{"", "4444"} {
				t.Run(fmt.Sprintf("%s %s from %q", long, name, sender), func(t *testing.T) {
					t.Parallel()
					cfg := smpp.DefaultConfig()
					cfg.Long, cfg.Source, cfg.ServiceType, cfg.DestTON = long, "Shop", "WAP", 2
					cfg.Senders = []smpp.Sender{{Name: "4444", TON: &ton}}
					m := &providers.Message{
						ID: 8 * 77, To: "+79160000001", Sender: sender, Content: &delivery.SMS{Text: s}, TTL: 26 * time.Hour,
					}
					frames, err := smpp.Encode(cfg, m, now)
					require.NoError(t, err)
					parts, err := smstext.Split(s, smstext.Options{})
					require.NoError(t, err)
					if long == smpp.LongPayload {
						require.Len(t, frames, 1)
					} else {
						require.Len(t, frames, len(parts.Parts))
					}
					for i, frame := range frames {
						requireFields(t, frame, cfg, m, parts, i)
					}
				})
			}
		}
	}
}

func requireFields(t *testing.T, frame []byte, cfg smpp.Config, m *providers.Message, parts smstext.Message, i int) {
	t.Helper()
	p, err := pdu.Decode(bytes.NewReader(frame))
	require.NoError(t, err)
	require.Equal(t, pdu.SubmitSMID, p.Header().ID)
	require.Zero(t, p.Header().Seq, "the session numbers it")
	require.Len(t, frame, int(p.Header().Len))
	many := len(parts.Parts) > 1
	udh := many && cfg.Long == smpp.LongUDH
	source, ton := "Shop", "5"
	if m.Sender != "" {
		source, ton = m.Sender, "3"
	}
	want := map[pdufield.Name]string{
		pdufield.ServiceType: "WAP", pdufield.SourceAddrTON: ton, pdufield.SourceAddrNPI: "0", pdufield.SourceAddr: source,
		pdufield.DestAddrTON: "2", pdufield.DestAddrNPI: "1", pdufield.DestinationAddr: "79160000001",
		pdufield.ESMClass: "0", pdufield.ProtocolID: "0", pdufield.PriorityFlag: "0", pdufield.ScheduleDeliveryTime: "",
		pdufield.ValidityPeriod: "000001020000000R", pdufield.RegisteredDelivery: "1", pdufield.ReplaceIfPresentFlag: "0",
		pdufield.DataCoding: strconv.Itoa(int(parts.Encoding.DataCoding())), pdufield.SMDefaultMsgID: "0",
	}
	if udh {
		want[pdufield.ESMClass] = "64"
	}
	for name, v := range want {
		field := p.Fields()[name]
		require.NotNil(t, field, name)
		require.Equal(t, v, strings.TrimRight(field.String(), "\x00"), name)
	}
	text, ref := parts.Parts[i].Payload, smpp.Reference(m.ID)
	total, n := byte(len(parts.Parts)), byte(i+1)
	var tail []byte // sm_length and what follows it
	switch {
	case !many:
		tail = append([]byte{byte(len(text))}, text...)
	case cfg.Long == smpp.LongPayload:
		var whole []byte
		for _, part := range parts.Parts {
			whole = append(whole, part.Payload...)
		}
		tail = append([]byte{0, 0x04, 0x24, byte(len(whole) >> 8), byte(len(whole))}, whole...)
	case udh:
		tail = append([]byte{byte(6 + len(text)), 5, 0, 3, ref, total, n}, text...)
	default:
		tail = append([]byte{byte(len(text))}, text...)
		tail = append(tail, 0x02, 0x0c, 0, 2, 0, ref, 0x02, 0x0e, 0, 1, total, 0x02, 0x0f, 0, 1, n)
	}
	require.True(t, bytes.HasSuffix(frame, tail), "% x does not end with % x", frame, tail)
}
