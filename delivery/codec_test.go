package delivery_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/delivery"
)

// fields are the paths of the faults in err.
func fields(t *testing.T, err error) []string {
	t.Helper()
	var faults delivery.Faults
	require.ErrorAs(t, err, &faults)
	var list []string
	for _, f := range faults {
		list = append(list, f.Field)
	}
	return list
}

const rest = `"v":1,"category":"marketing","recipient":{"phone":"+79161234567"},"content":{"sms":{"text":"Hi"}}`

// What depends on state is no fault of the bytes, and neither is an empty string or an address that looks odd.
func TestDecodeJob_Accepts(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"invalid phone":    `{"v":1,"category":"marketing","recipient":{"phone":"call me"},"template":"t"}`,
		"past expires_at":  `{` + rest + `,"expires_at":"2001-01-01T00:00:00Z"}`,
		"far expires_at":   `{` + rest + `,"expires_at":"2101-01-01T00:00:00Z"}`,
		"unknown template": `{"v":1,"category":"marketing","profile":"p","template":"no such"}`,
		"empty strings":    `{` + rest + `,"key":"","template":"","launch":"","variant":"","topic":"","policy":"","data":{}}`,
		"empty lists":      `{` + rest + `,"providers":[],"senders":{}}`,
		"empty recipient":  `{"v":1,"category":"marketing","profile":"p","recipient":{},"template":"t"}`,
		"white space":      " \n\t\r{ " + rest + " } \n",
		"escaped names":    `{"\u0076":1,` + rest[len(`"v":1,`):] + `}`,
		"two channels": `{"v":1,"category":"marketing","profile":"p","content":{"sms":{"text":"a"},"push":{"body":"b"}},` +
			`"cascade":[{"channel":"push"}]}`,
		"campaign's label": `{` + rest + `,"launch":"123"}`,
		"longest key":      `{` + rest + `,"key":"` + strings.Repeat("k", 128) + `"}`,
		"eight links":      `{` + rest + `,"cascade":[` + strings.Repeat(`{"channel":"sms"},`, 7) + `{"channel":"sms"}]}`,
		"null within data": `{` + rest + `,"data":{"name":null}}`,
		"zones and locales": `{"v":1,"category":"marketing","recipient":{"phone":"1","timezone":"America/Argentina/Buenos_Aires",` +
			`"locale":"zh-Hant-TW"},"template":"t"}`,
		"zone with offset": `{"v":1,"category":"marketing","recipient":{"phone":"1","timezone":"Etc/GMT+3",` +
			`"locale":"en_GB"},"template":"t"}`,
		"local time, all zones": `{` + rest +
			`,"not_before":"2026-11-22T10:00:00","expires_at":"2026-11-21T20:00:01Z"}`,
		"exactly 30 days": `{` + rest +
			`,"not_before":"2026-11-22T10:00:00Z","expires_at":"2026-12-22T10:00:00Z"}`,
	} {
		_, err := delivery.DecodeJob([]byte(text))
		require.NoError(t, err, name)
	}
}

// What is no JSON is told with the byte at which it stops to be JSON.
func TestDecodeJob_Syntax(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"data":{"a":tru}}`:   "data.a: is no JSON at byte 13: a value is missing",
		`{"v":1 "key":""}`:     "v: is no JSON at byte 7: a comma or } is missing",
		`{"data":{"a":[1 2]}}`: "data.a[0]: is no JSON at byte 16: a comma or ] is missing",
		`{"v" 1}`:              "v: is no JSON at byte 5: a colon is missing",
		`{v:1}`:                "is no JSON at byte 1: a name in quotes is missing",
		`{"data":{a:1}}`:       "data: is no JSON at byte 9: a name in quotes is missing",
		`{"v":1` + "\x00}":     "v: is no JSON at byte 6: a comma or } is missing",
		`{"key":"\n` + "\n":    "key: is no JSON at byte 10: a string holds a bare control character",
		`{"key":"\n`:           "key: is no JSON at byte 10: a string does not end",
		`{"key":"\`:            "key: is no JSON at byte 8: an escape is written wrongly",
		`{"key":"\x"`:          "key: is no JSON at byte 8: an escape is written wrongly",
		`{"key":"\u12G4"`:      "key: is no JSON at byte 8: an escape is written wrongly",
		`{"key":"\u12`:         "key: is no JSON at byte 8: an escape is written wrongly",
		`{"v":1.}`:             "v: is no JSON at byte 7: a number is written wrongly",
		`{"v":1e}`:             "v: is no JSON at byte 7: a number is written wrongly",
		`{"v":-}`:              "v: is no JSON at byte 6: a number is written wrongly",
	} {
		_, err := delivery.DecodeJob([]byte(text))
		require.EqualError(t, err, want, text)
	}
	job, err := delivery.DecodeJob([]byte(`{` + rest + `,"data":{"a":"\"\\\/\b\f\n\r\t\u0416\uD83D\ude00\u00E9","n":-1.5E+10,"f":false}}`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": "\"\\/\b\f\n\r\tЖ😀é", "n": json.Number("-1.5E+10"), "f": false}, job.Data)
}

func TestDecodeJob_Size(t *testing.T) {
	t.Parallel()
	job := func(herald string, size int) []byte {
		head, tail := `{`+rest+herald+`,"data":{"a":"`, `"}}`
		return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
	}
	_, err := delivery.DecodeJob(job("", delivery.MaxJobBytes))
	require.NoError(t, err)
	_, err = delivery.DecodeJob(job("", delivery.MaxJobBytes+1))
	require.ErrorContains(t, err, "is 262145 bytes long, a job has at most 262144")
	_, err = delivery.DecodeJob(job(`,"herald":{"id":"8"}`, delivery.MaxJobBytes+900))
	require.NoError(t, err, "Herald's own additions do not count")
	for _, size := range []int{delivery.MaxJobBytes + 2000, 1 << 20} {
		_, err = delivery.DecodeJob(job(`,"herald":{"id":"8"}`, size))
		require.Equal(t, []string{""}, fields(t, err))
	}
	_, err = delivery.DecodeJob([]byte(`{"v":1,"category":"marketing","profile":"p","content":{"sms":{"text":"` +
		strings.Repeat("ж", 255*153+1) + `"}}}`))
	require.Equal(t, []string{"content.sms.text"}, fields(t, err))
}

func TestDecodeJob_TellsABoundedNumberOfFaults(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	_, err := delivery.DecodeJob([]byte(`{` + rest + b.String() + `}`))
	require.Len(t, fields(t, err), 51)
	for _, text := range []string{
		strings.Repeat("[", 200000), strings.Repeat(`{"a":`, 50000), `{"data":` + strings.Repeat("[", 200000),
	} {
		_, err = delivery.DecodeJob([]byte(text))
		require.ErrorContains(t, err, "nested deeper than 32 levels")
	}
}

// A fault quotes names and times but no address and no text, because faults stand in logs.
func TestFaults_HoldNoPersonalData(t *testing.T) {
	t.Parallel()
	_, err := delivery.DecodeJob([]byte(`{"v":1,"category":"x","profile":"Olga\n","recipient":{"phone":"+79161234567","email":"` +
		strings.Repeat("olga@shop.example", 300) + `","push":["tok` + "\xff" + `"]},"content":{"sms":{"text":"secret` + "\xff" + `"}}}`))
	require.Len(t, fields(t, err), 5)
	for _, private := range []string{"9161234567", "olga", "Olga", "tok\"", "secret"} {
		require.NotContains(t, err.Error(), private)
	}
}

func TestDecodeOutsideJob(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`{` + rest + `,"launch":"autumn1"}`:                               nil,
		`{` + rest + `,"launch":"123"}`:                                   {"launch"},
		`{` + rest + `,"launch":"1","herald":{"id":"8"}}`:                 {"herald", "launch"},
		`{` + rest + `,"herald":{"id":"9"}}`:                              {"herald.id"},
		`{` + rest + `,"colour":"red","priority":0,"herald":{"id":"16"}}`: {"colour", "priority", "herald"},
		`{`: {""},
	} {
		job, err := delivery.DecodeOutsideJob([]byte(text))
		if want == nil {
			require.NoError(t, err)
			require.NotNil(t, job)
			continue
		}
		require.Equal(t, want, fields(t, err))
		require.Nil(t, job)
	}
}

// A job that was built in Go is checked like one that was read.
func TestJob_Validate(t *testing.T) {
	t.Parallel()
	valid := func() *delivery.Job {
		return &delivery.Job{
			V: 1, Category: delivery.CategoryMarketing, Profile: "p",
			Content: &delivery.Content{SMS: &delivery.SMS{Text: "Hi"}},
		}
	}
	require.NoError(t, valid().Validate())
	for field, spoil := range map[string]func(*delivery.Job){
		"v":                  func(j *delivery.Job) { j.V = 0 },
		"category":           func(j *delivery.Job) { j.Category = 3 },
		"cascade":            func(j *delivery.Job) { j.Cascade = []delivery.Link{} },
		"cascade[0].channel": func(j *delivery.Job) { j.Cascade = []delivery.Link{{Channel: 9}} },
		"cascade[0].ttl":     func(j *delivery.Job) { j.Cascade = []delivery.Link{{TTL: -1}} },
		"senders.sms":        func(j *delivery.Job) { j.Senders = map[delivery.Channel]string{0: ""} },
		"priority":           func(j *delivery.Job) { j.Priority = -1 },
		"herald.id":          func(j *delivery.Job) { j.Herald = &delivery.Internal{} },
		"recipient.push": func(j *delivery.Job) {
			j.Recipient = &delivery.Recipient{Push: strings.Split(strings.Repeat("t,", 100)+"t", ",")}
		},
	} {
		job := valid()
		spoil(job)
		require.Equal(t, []string{field}, fields(t, job.Validate()))
	}
}

// Values that a program puts into data are written like those that were read.
func TestEncodeJob_Data(t *testing.T) {
	t.Parallel()
	job := &delivery.Job{
		V: 1, Category: delivery.CategoryMarketing, Profile: "p", Template: "t",
		Data: map[string]any{
			"z": 1, "a": 2.5, "items": []string{"<tea>", "&"}, "at": start, "nested": map[string]int{"b": 1}, "none": nil,
			"ok": true, "raw": json.RawMessage(`[1, 2]`), "\"\n\u2028": "\x01\x7f\u2029é😀\b\f\r\t\\", "list": []any{false, "x"},
		},
	}
	text, err := delivery.EncodeJob(job)
	require.NoError(t, err)
	require.Contains(t, string(text), `"items":["<tea>","&"]`)
	var got struct{ Data map[string]any }
	require.NoError(t, json.Unmarshal(text, &got))
	want, err := json.Marshal(job.Data)
	require.NoError(t, err)
	var std map[string]any
	require.NoError(t, json.Unmarshal(want, &std))
	require.Empty(t, cmp.Diff(std, got.Data))

	for name, spoil := range map[string]func(*delivery.Job){
		"category":   func(j *delivery.Job) { j.Category = 0 },
		"channel":    func(j *delivery.Job) { j.Cascade = []delivery.Link{{Channel: 77}} },
		"sender":     func(j *delivery.Job) { j.Senders = map[delivery.Channel]string{77: "x"} },
		"condition":  func(j *delivery.Job) { j.Cascade = []delivery.Link{{AdvanceOn: 77}} },
		"data":       func(j *delivery.Job) { j.Data = map[string]any{"f": func() {}} },
		"number":     func(j *delivery.Job) { j.Data = map[string]any{"n": json.Number("1,5")} },
		"expires_at": func(j *delivery.Job) { j.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		bad := *job
		spoil(&bad)
		b, err := delivery.AppendJob([]byte("kept"), &bad)
		require.Error(t, err, name)
		require.Equal(t, "kept", string(b))
	}
}

func events() *rapid.Generator[delivery.Event] {
	text, small := rapid.String(), rapid.IntRange(0, 7)
	at := rapid.Custom(func(t *rapid.T) time.Time {
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone"))
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).In(zone)
	})
	return rapid.Custom(func(t *rapid.T) delivery.Event {
		e := delivery.Event{
			V: 1, ID: "x" + text.Draw(t, "id"), Kind: rapid.SampledFrom(delivery.Kinds()).Draw(t, "kind"), At: at.Draw(t, "at"),
			Job: delivery.ID(rapid.Int64().Draw(t, "job")), Message: delivery.ID(rapid.Int64().Draw(t, "message")),
			Link: small.Draw(t, "link"), Key: text.Draw(t, "key"),
			Channel: rapid.SampledFrom(delivery.Channels()).Draw(t, "channel"), Provider: text.Draw(t, "provider"),
			ProviderRefs: rapid.SliceOfN(text, 0, 3).Draw(t, "refs"), Profile: text.Draw(t, "profile"),
			ProfileID: delivery.ID(rapid.Int64().Draw(t, "profile id")), Campaign: text.Draw(t, "campaign"),
			Launch: text.Draw(t, "launch"), Variant: text.Draw(t, "variant"), Revision: small.Draw(t, "revision"),
			Turn: small.Draw(t, "turn"), Attempt: small.Draw(t, "attempt"),
			Reason: rapid.SampledFrom(delivery.Reasons()).Draw(t, "reason"), Code: text.Draw(t, "code"),
			Detail: text.Draw(t, "detail"), Parts: small.Draw(t, "parts"), Cost: text.Draw(t, "cost"),
			Late: rapid.Bool().Draw(t, "late"), URLID: small.Draw(t, "url"),
			Actor: rapid.SampledFrom(delivery.Actors()).Draw(t, "actor"), ActorReason: text.Draw(t, "why"),
		}
		if rapid.Bool().Draw(t, "next") {
			e.Next = &delivery.Next{Link: 1, Unless: rapid.SampledFrom(delivery.Conditions()).Draw(t, "unless")}
			if rapid.Bool().Draw(t, "deadline") {
				e.Next.At = at.Draw(t, "next at")
			}
		}
		return e
	})
}

// The hand-written codec writes what encoding/json writes, and reads it.
func TestAppendEvent_EqualsEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		got, err := delivery.AppendEvent([]byte("before"), &e)
		require.NoError(t, err)
		var std bytes.Buffer
		enc := json.NewEncoder(&std)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(e))
		// encoding/json escapes the line separators, for the sake of JavaScript, and U+0000 is not taken at all.
		want := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\u0000`, `\ufffd`).Replace(std.String())
		require.Equal(t, "before"+strings.TrimSpace(want), string(got))
		var back, ref delivery.Event
		require.NoError(t, delivery.DecodeEvent(got[len("before"):], &back))
		require.NoError(t, json.Unmarshal(got[len("before"):], &ref))
		require.Empty(t, cmp.Diff(ref, back))
	})
}

func TestAppendEvent_Refuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*delivery.Event){
		"no kind":    func(e *delivery.Event) { e.Kind = 0 },
		"channel":    func(e *delivery.Event) { e.Channel = 77 },
		"reason":     func(e *delivery.Event) { e.Reason = 25 },
		"actor":      func(e *delivery.Event) { e.Actor = 77 },
		"condition":  func(e *delivery.Event) { e.Next = &delivery.Next{Link: 1, Unless: 77} },
		"year 10000": func(e *delivery.Event) { e.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"odd deadline": func(e *delivery.Event) {
			e.Next = &delivery.Next{Link: 1, At: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}
		},
	} {
		e := kinds()[0]
		spoil(&e)
		b, err := delivery.AppendEvent([]byte("kept"), &e)
		require.Error(t, err, name)
		require.Equal(t, "kept", string(b))
	}
	e := kinds()[0]
	e.Detail = "a\x00b\xffc"
	b, err := delivery.AppendEvent(nil, &e)
	require.NoError(t, err)
	require.NoError(t, delivery.DecodeEvent(b, &e))
	require.Equal(t, "a\ufffdb\ufffdc", e.Detail)
}

// A decoded value does not change when the buffer that it was read from is used again.
func TestDecode_CopiesItsInput(t *testing.T) {
	t.Parallel()
	b := read(t, "job.v1.json")
	job, err := delivery.DecodeJob(b)
	require.NoError(t, err)
	clear(b)
	require.Equal(t, "autumn-40366483", job.Key)
	var e delivery.Event
	b = read(t, "event.v1.json")
	require.NoError(t, delivery.DecodeEvent(b, &e))
	clear(b)
	require.Equal(t, "mts", e.Provider)
	require.Error(t, delivery.DecodeEvent([]byte("{}"), &e))
	require.Zero(t, e, "what was in it before is gone")
	require.ErrorContains(t, delivery.DecodeEvent([]byte(`{"v":1`), &e), "is no JSON")
}
