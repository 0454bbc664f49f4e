package delivery_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
)

var update = flag.Bool("update", false, "write the golden files anew")

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	return b
}

func compact(tb testing.TB, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	require.NoError(tb, json.Compact(&out, b))
	return out.Bytes()
}

// golden compares text with the file of that name, or writes it.
func golden(t *testing.T, name string, text []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name), text, 0o644))
	}
	require.Empty(t, cmp.Diff(string(read(t, name)), string(text)), "%s differs; go test -update writes it anew", name)
}

// glob lists the files in testdata whose path there matches the pattern.
func glob(tb testing.TB, pattern string) []string {
	tb.Helper()
	list, err := fs.Glob(os.DirFS("testdata"), pattern)
	require.NoError(tb, err)
	require.NotEmpty(tb, list)
	return list
}

func indent(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, b, "", "  "))
	return append(out.Bytes(), '\n')
}

func TestGolden_Jobs(t *testing.T) {
	t.Parallel()
	for _, name := range glob(t, "job.v1*.json") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job, err := delivery.DecodeJob(read(t, name))
			require.NoError(t, err)
			text, err := delivery.EncodeJob(job)
			require.NoError(t, err)
			golden(t, name, indent(t, text))
		})
	}
}

// The full job has every field of the contract, and each of them comes through.
func TestGolden_JobIsComplete(t *testing.T) {
	t.Parallel()
	when := func(s string) delivery.When {
		w, err := delivery.ParseWhen(s)
		require.NoError(t, err)
		return w
	}
	got, err := delivery.DecodeJob(read(t, "job.v1.json"))
	require.NoError(t, err)
	want := &delivery.Job{
		V: 1, Key: "autumn-40366483", Category: delivery.CategoryMarketing, Topic: "sales", Profile: "crm:40366483",
		Recipient: &delivery.Recipient{
			Phone: "+79161234567", Email: "olga@shop.example", Viber: "+79161234567",
			Push: []string{"fcm-token-1", "fcm-token-2"}, Locale: "ru", Timezone: "Europe/Moscow",
		},
		Content: &delivery.Content{
			SMS: &delivery.SMS{Text: "Ольга, {{ bonus }} бонусов ждут до воскресенья: https://m.shop.example/a"},
			Viber: &delivery.Viber{
				Text: "Ольга, осенняя распродажа началась", Image: "https://shop.example/autumn.jpg",
				Button: &delivery.Button{Text: "Смотреть", URL: "https://shop.example/sale?from=viber&v=1"},
			},
			Email: &delivery.Email{
				Subject: "Осенняя распродажа", HTML: "<p>Ольга, <b>350</b> бонусов & подарок</p>",
				Text: "Ольга, 350 бонусов и подарок",
			},
			Push: &delivery.Push{
				Title: "Распродажа", Body: "350 бонусов ждут", Image: "https://shop.example/autumn.jpg",
				Link: "shop://sale/autumn",
			},
		},
		Data: map[string]any{
			"balance": json.Number("-12.50"), "big": json.Number("9007199254740993"), "bonus": json.Number("350"),
			"items": []any{
				map[string]any{"name": "Чай", "price": json.Number("1.2e3")}, nil, []any{}, map[string]any{},
			},
			"name": "Ольга", "note": "a \"quote\", a \\ and\na new line", "vip": true,
		},
		Cascade: []delivery.Link{
			{Channel: delivery.ChannelPush, AdvanceOn: delivery.NotClicked, TTL: delivery.Duration(30 * time.Minute)},
			{Channel: delivery.ChannelViber, AdvanceOn: delivery.NotRead, TTL: delivery.Duration(90 * time.Minute)},
			{Channel: delivery.ChannelSMS, TTL: delivery.Duration(24 * time.Hour)},
			{Channel: delivery.ChannelEmail},
		},
		Senders: map[delivery.Channel]string{
			delivery.ChannelSMS: "SHOP", delivery.ChannelEmail: "Shop <news@shop.example>",
		},
		Providers: []string{"mts", "relay"}, Policy: "weekend", NotBefore: when("2026-11-22T10:00:00"),
		ExpiresAt: when("2026-11-24T21:00:00+03:00").Time, Priority: 70, Campaign: "autumn-2026", Launch: "autumn",
		Variant: "B",
		Herald: &delivery.Internal{
			ID: 95428462116864000, Number: 1, Link: 1, Turn: 2, Attempt: 1, Revision: 7, Holdout: true,
		},
	}
	require.Empty(t, cmp.Diff(want, got))
}

// kinds has one event of each kind, as it would stand on the log.
func kinds() []delivery.Event {
	at := time.Date(2026, 11, 22, 10, 0, 1, 500_000_000, time.UTC)
	const job = delivery.ID(95428462116864000)
	event := func(k delivery.Kind, change func(*delivery.Event)) delivery.Event {
		e := delivery.Event{
			V: 1, Kind: k, At: at, Job: job, Message: job.Message(1), Link: 1, Channel: delivery.ChannelSMS,
			Profile: "crm:40366483", ProfileID: 40366483, Launch: "autumn", Variant: "B",
		}
		change(&e)
		if e.ID == "" {
			e.ID = delivery.DispatchEventID(e.Message, k, e.Turn, e.Attempt)
		}
		return e
	}
	receipt := func(state string, reason delivery.Reason, code string) func(*delivery.Event) {
		return func(e *delivery.Event) {
			e.ID = delivery.ReceiptEventID(e.Message, e.Kind, 3, state)
			e.Provider, e.ProviderRefs, e.Parts, e.Reason, e.Code = "mts", []string{"a3f", "a40"}, 2, reason, code
		}
	}
	hit := func(actor delivery.Actor, why string) func(*delivery.Event) {
		return func(e *delivery.Event) {
			e.Channel, e.Actor, e.ActorReason = delivery.ChannelEmail, actor, why
			if e.Kind == delivery.KindClicked {
				e.URLID = 3
			}
			e.ID = delivery.HitEventID(e.Message, e.Kind, e.URLID, "1795341601500")
		}
	}
	consent := func(mark string) func(*delivery.Event) {
		return func(e *delivery.Event) {
			e.Job, e.Message, e.Link, e.Launch, e.Variant = 0, 0, 0, "", ""
			e.ID = "40366483-" + e.Kind.String() + "-" + mark
		}
	}
	next := &delivery.Next{Link: 2, At: at.Add(time.Hour), Unless: delivery.UnlessRead}
	return []delivery.Event{
		event(delivery.KindHeld, func(e *delivery.Event) { e.Reason, e.Turn = delivery.ReasonQuietHours, 1 }),
		event(delivery.KindSuppressed, func(e *delivery.Event) {
			e.Reason, e.Detail = delivery.ReasonInvalidAddress, "recipient.phone"
			e.Next = &delivery.Next{Link: 2}
		}),
		event(delivery.KindUnknown, func(e *delivery.Event) { e.Provider, e.Attempt, e.Next = "mts", 1, next }),
		event(delivery.KindAccepted, func(e *delivery.Event) {
			e.Key, e.Campaign, e.Revision, e.Turn, e.Attempt = "order-5531-shipped", "autumn-2026", 7, 2, 1
			e.Provider, e.ProviderRefs, e.Parts, e.Cost, e.Next = "mts", []string{"a3f", "a40"}, 2, "6.40 RUB", next
		}),
		event(delivery.KindExpired, receipt("expired", delivery.ReasonNone, "")),
		event(delivery.KindFailed, receipt("undelivered", delivery.ReasonUnreachable, "001")),
		event(delivery.KindRejected, func(e *delivery.Event) {
			e.Provider, e.Attempt, e.Reason, e.Code = "mts", 1, delivery.ReasonTransport, "0x00000058"
		}),
		event(delivery.KindDelivered, receipt("delivered", delivery.ReasonNone, "000")),
		event(delivery.KindBounced, func(e *delivery.Event) {
			e.Channel, e.Provider, e.Reason = delivery.ChannelEmail, "relay", delivery.ReasonMailbox
			e.Code, e.Detail, e.ID = "5.2.2", "hard", delivery.ReceiptEventID(e.Message, e.Kind, 1, "hard")
		}),
		event(delivery.KindRead, func(e *delivery.Event) {
			e.Channel, e.Provider, e.ID = delivery.ChannelViber, "viber", delivery.ReceiptEventID(e.Message, e.Kind, 1, "read")
		}),
		event(delivery.KindOpened, hit(delivery.ActorMachine, "image proxy")),
		event(delivery.KindClicked, hit(delivery.ActorHuman, "")),
		event(delivery.KindComplained, func(e *delivery.Event) {
			e.Channel, e.ID = delivery.ChannelEmail, delivery.ReceiptEventID(e.Message, e.Kind, 1, "abuse")
		}),
		event(delivery.KindUnsubscribed, func(e *delivery.Event) {
			e.Channel, e.ID = delivery.ChannelEmail, delivery.HitEventID(e.Message, e.Kind, 0, "1795341601500")
		}),
		event(delivery.KindSubscribed, consent("1795341601500")),
		event(delivery.KindReplied, consent("mo-77")),
		event(delivery.KindRedriven, func(e *delivery.Event) { e.Provider, e.Turn, e.Attempt = "mts", 1, 2 }),
		event(delivery.KindConverted, func(e *delivery.Event) {
			e.ID, e.Cost = e.Message.String()+"-converted-5531", "12490.00 RUB"
		}),
		event(delivery.KindReclassified, hit(delivery.ActorUnknown, "same second")),
	}
}

func TestGolden_Events(t *testing.T) {
	t.Parallel()
	list := kinds()
	require.Len(t, list, len(delivery.Kinds()))
	full := list[3]
	full.Reason, full.Code, full.Detail = delivery.ReasonPartial, "0x00000058", "throttled twice"
	full.Late, full.URLID, full.Actor, full.ActorReason = true, 3, delivery.ActorHuman, "mouse"
	for name, e := range map[string]delivery.Event{"event.v1.json": full} {
		checkEvent(t, name, &e)
	}
	for i, k := range delivery.Kinds() {
		require.Equal(t, k, list[i].Kind)
		checkEvent(t, "event.v1."+k.String()+".json", &list[i])
	}
}

func checkEvent(t *testing.T, name string, e *delivery.Event) {
	t.Helper()
	text, err := delivery.AppendEvent(nil, e)
	require.NoError(t, err)
	golden(t, name, indent(t, text))
	var got delivery.Event
	require.NoError(t, delivery.DecodeEvent(read(t, name), &got))
	require.Empty(t, cmp.Diff(e, &got))
}

// What is wrong with each bad file stands beside it, one fault a line.
func TestGolden_Bad(t *testing.T) {
	t.Parallel()
	for _, name := range glob(t, "bad/*.json") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			if strings.HasPrefix(name, "bad/job") {
				_, err = delivery.DecodeJob(read(t, name))
			} else {
				err = delivery.DecodeEvent(read(t, name), new(delivery.Event))
			}
			var faults delivery.Faults
			require.ErrorAs(t, err, &faults)
			require.NotEmpty(t, faults)
			var list strings.Builder
			for _, f := range faults {
				list.WriteString(f.Field + ": " + f.Message + "\n")
			}
			golden(t, strings.TrimSuffix(name, ".json")+".faults", []byte(list.String()))
		})
	}
}
