package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// encoder appends the JSON of jobs and events. The first error stays.
type encoder struct {
	b     []byte
	err   error
	first bool // no member of the object is written yet
}

// AppendJob appends the job's JSON to dst. See EncodeJob.
func AppendJob(dst []byte, j *Job) ([]byte, error) {
	w := encoder{b: dst}
	w.open()
	w.int("v", j.V)
	w.text("key", j.Key)
	enum(&w, "category", categoryNames, j.Category)
	w.text("topic", j.Topic)
	w.text("profile", j.Profile)
	if j.Recipient != nil {
		w.recipient(j.Recipient)
	}
	w.text("template", j.Template)
	if j.Content != nil {
		w.content(j.Content)
	}
	if len(j.Data) > 0 {
		w.name("data")
		w.value(j.Data)
	}
	w.cascade(j.Cascade)
	w.senders(j.Senders)
	w.texts("providers", j.Providers)
	w.text("policy", j.Policy)
	if !j.NotBefore.IsZero() {
		w.name("not_before")
		w.marshaler(j.NotBefore)
	}
	w.time("expires_at", j.ExpiresAt)
	w.whole("priority", j.Priority)
	w.text("campaign", j.Campaign)
	w.text("launch", j.Launch)
	w.text("variant", j.Variant)
	if h := j.Herald; h != nil {
		w.begin("herald")
		w.name("id")
		w.id(h.ID)
		w.whole("number", h.Number)
		w.whole("link", h.Link)
		w.whole("turn", h.Turn)
		w.whole("attempt", h.Attempt)
		w.whole("revision", h.Revision)
		w.flag("holdout", h.Holdout)
		w.close()
	}
	w.close()
	return w.done(dst)
}

// AppendEvent appends the event's JSON to dst. It writes what encoding/json would, only that characters which are not
// special in JSON stand as they are. What is no UTF-8 and U+0000, which no decoder takes, become U+FFFD. It fails when
// a number stands for no name or a time is out of range.
func AppendEvent(dst []byte, e *Event) ([]byte, error) {
	w := encoder{b: dst}
	w.open()
	w.int("v", e.V)
	w.name("id")
	w.str(e.ID)
	enum(&w, "kind", kindNames, e.Kind)
	w.name("at")
	w.instant(e.At)
	w.optionalID("job", e.Job)
	w.optionalID("message", e.Message)
	w.whole("link", e.Link)
	w.text("key", e.Key)
	enum(&w, "channel", channelNames, e.Channel)
	w.text("provider", e.Provider)
	w.texts("provider_refs", e.ProviderRefs)
	w.text("profile", e.Profile)
	w.optionalID("profile_id", e.ProfileID)
	w.text("campaign", e.Campaign)
	w.text("launch", e.Launch)
	w.text("variant", e.Variant)
	w.whole("revision", e.Revision)
	w.whole("turn", e.Turn)
	w.whole("attempt", e.Attempt)
	if e.Next != nil {
		w.begin("next")
		w.int("link", e.Next.Link)
		w.time("at", e.Next.At)
		enum(&w, "unless", conditionNames, e.Next.Unless)
		w.close()
	}
	if e.Reason != ReasonNone {
		enum(&w, "reason", reasonNames, e.Reason)
	}
	w.text("code", e.Code)
	w.text("detail", e.Detail)
	w.whole("parts", e.Parts)
	w.text("cost", e.Cost)
	w.flag("late", e.Late)
	w.whole("url_id", e.URLID)
	if e.Actor != ActorNone {
		enum(&w, "actor", actorNames, e.Actor)
	}
	w.text("actor_reason", e.ActorReason)
	w.close()
	return w.done(dst)
}

func (w *encoder) done(dst []byte) ([]byte, error) {
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

func (w *encoder) recipient(r *Recipient) {
	w.begin("recipient")
	w.text("phone", r.Phone)
	w.text("email", r.Email)
	w.text("viber", r.Viber)
	w.texts("push", r.Push)
	w.text("locale", r.Locale)
	w.text("timezone", r.Timezone)
	w.close()
}

func (w *encoder) content(c *Content) {
	w.begin("content")
	if c.SMS != nil {
		w.begin("sms")
		w.name("text")
		w.str(c.SMS.Text)
		w.close()
	}
	if v := c.Viber; v != nil {
		w.begin("viber")
		w.text("text", v.Text)
		w.text("image", v.Image)
		if v.Button != nil {
			w.begin("button")
			w.name("text")
			w.str(v.Button.Text)
			w.name("url")
			w.str(v.Button.URL)
			w.close()
		}
		w.close()
	}
	if e := c.Email; e != nil {
		w.begin("email")
		w.name("subject")
		w.str(e.Subject)
		w.text("html", e.HTML)
		w.text("text", e.Text)
		w.close()
	}
	if p := c.Push; p != nil {
		w.begin("push")
		w.text("title", p.Title)
		w.name("body")
		w.str(p.Body)
		w.text("image", p.Image)
		w.text("link", p.Link)
		w.close()
	}
	w.close()
}

func (w *encoder) cascade(links []Link) {
	if len(links) == 0 {
		return
	}
	w.name("cascade")
	for i, l := range links {
		w.b = append(w.b, "[,"[min(i, 1)])
		w.open()
		enum(w, "channel", channelNames, l.Channel)
		if l.AdvanceOn != NotDelivered {
			enum(w, "advance_on", advanceNames, l.AdvanceOn)
		}
		if l.TTL != 0 {
			w.name("ttl")
			w.str(l.TTL.String())
		}
		w.close()
	}
	w.b = append(w.b, ']')
}

func (w *encoder) senders(senders map[Channel]string) {
	if len(senders) == 0 {
		return
	}
	w.begin("senders")
	for _, ch := range slices.Sorted(maps.Keys(senders)) {
		if !channelNames.has(ch) {
			w.fail(fmt.Errorf("channel %d has no name", ch))
		}
		w.name(ch.String())
		w.str(senders[ch])
	}
	w.close()
}

func (w *encoder) open() {
	w.b = append(w.b, '{')
	w.first = true
}

func (w *encoder) close() {
	w.b = append(w.b, '}')
	w.first = false
}

// begin opens the object that is the member name.
func (w *encoder) begin(name string) {
	w.name(name)
	w.open()
}

// name writes the name of a member; its value follows.
func (w *encoder) name(name string) {
	if !w.first {
		w.b = append(w.b, ',')
	}
	w.first = false
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// text writes a member unless it is empty.
func (w *encoder) text(name, s string) {
	if s != "" {
		w.name(name)
		w.str(s)
	}
}

func (w *encoder) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	for i, s := range list {
		w.b = append(w.b, "[,"[min(i, 1)])
		w.str(s)
	}
	w.b = append(w.b, ']')
}

func (w *encoder) int(name string, n int) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

// whole writes a member unless it is 0.
func (w *encoder) whole(name string, n int) {
	if n != 0 {
		w.int(name, n)
	}
}

// flag writes a member unless it is false.
func (w *encoder) flag(name string, v bool) {
	if v {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

// optionalID writes a member unless it is 0.
func (w *encoder) optionalID(name string, id ID) {
	if id != 0 {
		w.name(name)
		w.id(id)
	}
}

func (w *encoder) id(id ID) {
	w.b = append(w.b, '"')
	w.b = strconv.AppendInt(w.b, int64(id), 10)
	w.b = append(w.b, '"')
}

// time writes a member unless it is zero.
func (w *encoder) time(name string, t time.Time) {
	if !t.IsZero() {
		w.name(name)
		w.instant(t)
	}
}

func (w *encoder) instant(t time.Time) {
	w.b = append(w.b, '"')
	b, err := t.AppendText(w.b)
	if err != nil {
		w.fail(err)
		return
	}
	w.b = append(b, '"')
}

// enum writes the member name with the name of v.
func enum[T ~uint8](w *encoder, name string, set *names[T], v T) {
	if !set.has(v) || set.byNum[v] == "" {
		w.fail(fmt.Errorf("%d is no %s", v, set.what))
	}
	w.name(name)
	w.b = append(w.b, '"')
	w.b = append(w.b, set.byNum[v]...)
	w.b = append(w.b, '"')
}

func (w *encoder) marshaler(v interface{ MarshalText() ([]byte, error) }) {
	b, err := v.MarshalText()
	w.fail(err)
	w.str(string(b))
}

func (w *encoder) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// value writes a value of a job's data: what a decoded job holds without reflection, and everything else that
// encoding/json knows.
func (w *encoder) value(v any) {
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case string:
		w.str(v)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case json.Number:
		if !isNumber(string(v)) {
			w.fail(fmt.Errorf("%s is no number", quoted(string(v))))
		}
		w.b = append(w.b, v...)
	case int:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case map[string]any:
		w.open()
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !w.first {
				w.b = append(w.b, ',')
			}
			w.str(name)
			w.b = append(w.b, ':')
			w.value(v[name])
			w.first = false
		}
		w.close()
	case []any:
		w.b = append(w.b, '[')
		for i, item := range v {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.value(item)
		}
		w.b = append(w.b, ']')
	default:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		w.fail(enc.Encode(v))
		w.b = append(w.b, bytes.TrimSpace(b.Bytes())...)
	}
}

const hexDigits = "0123456789abcdef"

// str writes a string.
func (w *encoder) str(s string) {
	b := append(w.b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		i++
		start = i
	}
	b = append(b, s[start:]...)
	w.b = append(b, '"')
}

// appendEscape appends the escape for a byte that cannot stand in a string as it is.
func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if c == 0 || c >= utf8.RuneSelf {
		return append(b, `\ufffd`...)
	}
	return append(b, `\u00`+string(hexDigits[c>>4])+string(hexDigits[c&15])...)
}
