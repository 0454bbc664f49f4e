package delivery

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of the texts within a job, in bytes. They keep names usable as keys and labels; what an address or a text must
// look like is the business of the channel.
const (
	maxNameBytes   = 64   // topics, policies, accounts, variants' names
	maxRefBytes    = 256  // profiles, templates, campaigns
	maxSenderBytes = 320  // an e-mail address with a name
	maxAddress     = 4096 // the longest are push tokens
	maxURLBytes    = 4096
	maxSubject     = 4096 // also titles and captions
	maxSMSChars    = 255 * 153
	maxTokens      = 100 // of one recipient
)

// Zones reach from UTC-12 to UTC+14: so far may a recipient's local time lie from UTC.
const (
	zonesEast = 14 * time.Hour
	zonesWest = 12 * time.Hour
)

// Validate checks everything that can be seen in a job alone. The error is of type Faults.
func (j *Job) Validate() error { return j.faults().err() }

// OutsideFaults is what only Herald's own producers may write: the field herald, and a launch of digits, which is the
// number of a campaign's launch.
func (j *Job) OutsideFaults() Faults {
	var f Faults
	if j.Herald != nil {
		f.add("herald", "is written by Herald only")
	}
	if j.Launch != "" && strings.Trim(j.Launch, "0123456789") == "" {
		f.add("launch", "holds digits only, which is reserved for campaigns")
	}
	return f
}

func (j *Job) faults() Faults {
	var f Faults
	if j.V != Version {
		f.add("v", "must be %d", Version)
	}
	if !categoryNames.has(j.Category) {
		f.add("category", "is required")
	}
	f.within("key", j.Key, MaxKeyBytes)
	f.name("topic", j.Topic)
	f.name("policy", j.Policy)
	f.label("profile", j.Profile, maxRefBytes)
	f.label("template", j.Template, maxRefBytes)
	f.label("campaign", j.Campaign, maxRefBytes)
	f.label("launch", j.Launch, MaxLabelBytes)
	if j.Variant != "" && VariantNumber(j.Variant) == 0 {
		f.add("variant", "must be a letter from A to %s", VariantLetter(MaxVariants))
	}
	if j.Priority < 0 || j.Priority > MaxPriority {
		f.add("priority", "must be from 1 to %d", MaxPriority)
	}
	f.recipient(j)
	f.content(j)
	f.cascade(j)
	f.route(j)
	f.times(j)
	if h := j.Herald; h != nil && (h.ID == 0 || h.ID != h.ID.Job()) {
		f.add("herald.id", "must be the id of a job")
	}
	return f
}

func (f *Faults) recipient(j *Job) {
	r := j.Recipient
	if r == nil {
		if j.Profile == "" {
			f.add("recipient", "profile or recipient is required")
		}
		return
	}
	if j.Profile == "" && r.First() == "" {
		f.add("recipient", "holds no address")
	}
	f.within("recipient.phone", r.Phone, maxAddress)
	f.within("recipient.email", r.Email, maxAddress)
	f.within("recipient.viber", r.Viber, maxAddress)
	if len(r.Push) > maxTokens {
		f.add("recipient.push", "has %d tokens, at most %d are possible", len(r.Push), maxTokens)
	}
	for i, token := range r.Push {
		if token == "" || len(token) > maxAddress {
			f.within(fmt.Sprintf("recipient.push[%d]", i), orDefault(token, " "), maxAddress)
			f.required(fmt.Sprintf("recipient.push[%d]", i), token)
		}
	}
	if r.Locale != "" && !IsLocale(r.Locale) {
		f.add("recipient.locale", "is no locale such as ru or en-GB")
	}
	if r.Timezone != "" && !IsZone(r.Timezone) {
		f.add("recipient.timezone", "is no name of a time zone such as Europe/Moscow")
	}
}

func (f *Faults) content(j *Job) {
	switch {
	case j.Template == "" && j.Content == nil:
		f.add("template", "template or content is required")
		return
	case j.Template != "" && j.Content != nil:
		f.add("content", "template and content exclude each other")
	}
	c := j.Content
	if c == nil {
		return
	}
	if *c == (Content{}) {
		f.add("content", "is empty")
	}
	if c.SMS != nil {
		f.required("content.sms.text", c.SMS.Text)
		if utf8.RuneCountInString(c.SMS.Text) > maxSMSChars {
			f.add("content.sms.text", "is longer than %d characters", maxSMSChars)
		}
	}
	if v := c.Viber; v != nil {
		f.viber(v)
	}
	if e := c.Email; e != nil {
		f.required("content.email.subject", e.Subject)
		f.within("content.email.subject", e.Subject, maxSubject)
		if e.HTML == "" && e.Text == "" {
			f.add("content.email", "html or text is required")
		}
	}
	if p := c.Push; p != nil {
		f.required("content.push.body", p.Body)
		f.within("content.push.title", p.Title, maxSubject)
		f.within("content.push.image", p.Image, maxURLBytes)
		f.within("content.push.link", p.Link, maxURLBytes)
	}
}

func (f *Faults) viber(v *Viber) {
	if v.Text == "" && v.Image == "" {
		f.add("content.viber", "text or image is required")
	}
	f.within("content.viber.image", v.Image, maxURLBytes)
	if b := v.Button; b != nil {
		f.required("content.viber.button.text", b.Text)
		f.required("content.viber.button.url", b.URL)
		f.within("content.viber.button.text", b.Text, maxSubject)
		f.within("content.viber.button.url", b.URL, maxURLBytes)
	}
}

func (f *Faults) cascade(j *Job) {
	if j.Cascade == nil {
		if len(j.Content.Bodies()) > 1 {
			f.add("cascade", "is required for content of more than one channel")
		}
		return
	}
	if n := len(j.Cascade); n == 0 || n > MessagesPerJob {
		f.add("cascade", "must have 1 to %d links", MessagesPerJob)
	}
	for i, l := range j.Cascade {
		switch {
		case !channelNames.has(l.Channel):
			f.add(fmt.Sprintf("cascade[%d].channel", i), "is required")
		case j.Content != nil && j.Content.Body(l.Channel) == nil:
			f.add(fmt.Sprintf("cascade[%d].channel", i), "the content has nothing for %s", l.Channel)
		}
		if l.TTL < 0 {
			f.add(fmt.Sprintf("cascade[%d].ttl", i), "must be more than zero")
		}
	}
}

// route checks by what names and accounts the job is to be sent.
func (f *Faults) route(j *Job) {
	if len(j.Senders) > 0 {
		for _, ch := range Channels() {
			if s, given := j.Senders[ch]; given {
				f.required("senders."+ch.String(), s)
				f.within("senders."+ch.String(), s, maxSenderBytes)
			}
		}
	}
	for i, p := range j.Providers {
		if p == "" || len(p) > maxNameBytes {
			f.add(fmt.Sprintf("providers[%d]", i), "must be a name of 1 to %d bytes", maxNameBytes)
		}
	}
}

// times checks expires_at against not_before. For a local time any zone may be the recipient's.
func (f *Faults) times(j *Job) {
	if j.ExpiresAt.IsZero() || j.NotBefore.IsZero() {
		return
	}
	earliest, latest := j.NotBefore.Time, j.NotBefore.Time
	if j.NotBefore.Local {
		earliest, latest = earliest.Add(-zonesEast), latest.Add(zonesWest)
	}
	switch {
	case !j.ExpiresAt.After(earliest):
		f.add("expires_at", "is not after not_before")
	case j.ExpiresAt.After(latest.Add(MaxExpiry)):
		f.add("expires_at", "is more than %d days after not_before", MaxExpiry/(24*time.Hour))
	}
}

// required notes an empty string.
func (f *Faults) required(field, s string) {
	if s == "" {
		f.add(field, "is required")
	}
}

// within notes a string that is too long.
func (f *Faults) within(field, s string, bytes int) {
	if len(s) > bytes {
		f.add(field, "has %d bytes, at most %d are possible", len(s), bytes)
	}
}

// label notes a string that is too long or holds what cannot be printed.
func (f *Faults) label(field, s string, bytes int) {
	f.within(field, s, bytes)
	for _, c := range s {
		if c >= ' ' && c <= '~' || unicode.IsPrint(c) {
			continue
		}
		f.add(field, "holds a character that cannot be printed")
		return
	}
}

// name notes a string that is no name of the configuration's kind.
func (f *Faults) name(field, s string) {
	if s != "" && !isName(s) {
		f.add(field, "must be 1 to %d letters, digits or _.- and begin with a letter or digit", maxNameBytes)
	}
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= maxNameBytes
}

// IsLocale says that s has the shape of a language tag (RFC 5646): a language, then subtags.
func IsLocale(s string) bool {
	for i, tag := range strings.FieldsFunc(s, func(c rune) bool { return c == '-' || c == '_' }) {
		if len(tag) > 8 || i == 0 && len(tag) < 2 || strings.ContainsFunc(tag, notAlphanumeric) {
			return false
		}
	}
	return s != "" && len(s) <= 35 && alphanumeric(s[0]) && s[0] > '9' && alphanumeric(s[len(s)-1])
}

// IsZone says that s has the shape of a name of the IANA time zone database.
func IsZone(s string) bool {
	for area := range strings.SplitSeq(s, "/") {
		if area == "" || len(area) > 32 || strings.ContainsFunc(area, func(c rune) bool {
			return c != '_' && c != '-' && c != '+' && notAlphanumeric(c)
		}) {
			return false
		}
	}
	return len(s) <= maxNameBytes && alphanumeric(s[0]) && s[0] > '9'
}

func alphanumeric[T byte | rune](c T) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func notAlphanumeric(c rune) bool { return !alphanumeric(c) }

func (e *Event) faults() Faults {
	var f Faults
	if e.V != Version {
		f.add("v", "must be %d", Version)
	}
	f.required("id", e.ID)
	if !kindNames.has(e.Kind) {
		f.add("kind", "is required")
	}
	if e.At.IsZero() {
		f.add("at", "is required")
	}
	if e.Next != nil && e.Next.Link == 0 {
		f.add("next.link", "is required")
	}
	return f
}
