package delivery

import "time"

// Version is the version of the job and event contracts that this package reads and writes.
const Version = 1

// Limits of the job contract.
const (
	MaxJobBytes    = 256 << 10 // a whole job; larger ones are refused by the API and dead-lettered when found
	MaxKeyBytes    = 128
	MaxLabelBytes  = 64
	MaxExpiry      = 30 * 24 * time.Hour // expires_at after not_before, else after the record's time
	MaxVariants    = 16
	MaxPriority    = 100
	ExpiryService  = 24 * time.Hour // default for transactional jobs
	ExpiryMarket   = 72 * time.Hour // default for marketing jobs
	DefaultTopic   = "default"
	DefaultPolicy  = "default"
	normalPriority = 50
)

// Job is one communication to one recipient, as it stands on a jobs topic. The zero value of an optional field means
// that the producer left it out; the methods give the defaults.
type Job struct {
	V        int      `json:"v"`
	Key      string   `json:"key,omitempty"`   // the producer's idempotency key, remembered for 7 days
	Category Category `json:"category"`        // whether it is advertising; decides the lane
	Topic    string   `json:"topic,omitempty"` // consent topic, "default" when left out

	Profile   string     `json:"profile,omitempty"`   // external id of the client
	Recipient *Recipient `json:"recipient,omitempty"` // addresses; they win over those of the profile

	Template string         `json:"template,omitempty"` // name of a template; excludes content
	Content  *Content       `json:"content,omitempty"`  // excludes template
	Data     map[string]any `json:"data,omitempty"`     // values of the macros; numbers are json.Number

	Cascade   []Link             `json:"cascade,omitempty"`   // needed for content of several channels
	Senders   map[Channel]string `json:"senders,omitempty"`   // the name that the client sees, per channel
	Providers []string           `json:"providers,omitempty"` // only these accounts, for the channels that have an entry

	Policy    string    `json:"policy,omitempty"`    // caps, quiet hours and consent mode; default: the topic's
	NotBefore When      `json:"not_before,omitzero"` // without an offset it is the recipient's local time
	ExpiresAt time.Time `json:"expires_at,omitzero"` // at most 30 days after not_before; default 24 or 72 hours
	Priority  int       `json:"priority,omitempty"`  // 1 to 100, higher first; 50 when left out (0 here)

	Campaign string `json:"campaign,omitempty"` // name of the campaign
	Launch   string `json:"launch,omitempty"`   // label of the launch
	Variant  string `json:"variant,omitempty"`  // "A" to "P"

	Herald *Internal `json:"herald,omitempty"` // written by Herald's own producers only
}

// Recipient holds the addresses within a job. When a job names a profile too, a field given here wins.
type Recipient struct {
	Phone    string   `json:"phone,omitempty"` // E.164
	Email    string   `json:"email,omitempty"`
	Viber    string   `json:"viber,omitempty"`    // E.164; the phone when left out
	Push     []string `json:"push,omitempty"`     // registration tokens
	Locale   string   `json:"locale,omitempty"`   // language tag such as ru or en-GB
	Timezone string   `json:"timezone,omitempty"` // IANA name
}

// Content is what is sent when the job names no template: one entry per channel.
type Content struct {
	SMS   *SMS   `json:"sms,omitempty"`
	Viber *Viber `json:"viber,omitempty"`
	Email *Email `json:"email,omitempty"`
	Push  *Push  `json:"push,omitempty"`
}

// Body is the content of one channel.
type Body interface {
	// Channel is the channel that the content is made for.
	Channel() Channel
}

// SMS is the content of a text message.
type SMS struct {
	Text string `json:"text"`
}

// Viber is the content of a Viber business message.
type Viber struct {
	Text   string  `json:"text,omitempty"`
	Image  string  `json:"image,omitempty"`
	Button *Button `json:"button,omitempty"`
}

// Button is the one button of a Viber message.
type Button struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// Email is the content of a letter.
type Email struct {
	Subject string `json:"subject"`
	HTML    string `json:"html,omitempty"`
	Text    string `json:"text,omitempty"`
}

// Push is the content of a push notification.
type Push struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body"`
	Image string `json:"image,omitempty"`
	Link  string `json:"link,omitempty"`
}

// Channel is ChannelSMS.
func (*SMS) Channel() Channel { return ChannelSMS }

// Channel is ChannelViber.
func (*Viber) Channel() Channel { return ChannelViber }

// Channel is ChannelEmail.
func (*Email) Channel() Channel { return ChannelEmail }

// Channel is ChannelPush.
func (*Push) Channel() Channel { return ChannelPush }

// Bodies lists the contents that are there, in the order of the channels.
func (c *Content) Bodies() []Body {
	if c == nil {
		return nil
	}
	var list []Body
	if c.SMS != nil {
		list = append(list, c.SMS)
	}
	if c.Viber != nil {
		list = append(list, c.Viber)
	}
	if c.Email != nil {
		list = append(list, c.Email)
	}
	if c.Push != nil {
		list = append(list, c.Push)
	}
	return list
}

// Body is the content for a channel, nil when there is none.
func (c *Content) Body(ch Channel) Body {
	for _, b := range c.Bodies() {
		if b.Channel() == ch {
			return b
		}
	}
	return nil
}

// Link is one position of a cascade.
type Link struct {
	Channel   Channel   `json:"channel"`
	AdvanceOn AdvanceOn `json:"advance_on,omitzero"` // default not_delivered
	TTL       Duration  `json:"ttl,omitzero"`        // default: the rest of the job's time
}

// Internal is the part of a job that only Herald's own producers write. It is refused from outside.
type Internal struct {
	ID       ID   `json:"id"`                 // the job's id; the key step is skipped
	Number   int  `json:"number,omitempty"`   // the message to send, 0 to 7
	Link     int  `json:"link,omitempty"`     // the position in the cascade that it stands for
	Turn     int  `json:"turn,omitempty"`     // grows at each requeue
	Attempt  int  `json:"attempt,omitempty"`  // Submits of this message so far
	Revision int  `json:"revision,omitempty"` // pinned revision of the template
	Holdout  bool `json:"holdout,omitempty"`  // belongs to the control group: gets nothing
}

// EffectiveTopic is the consent topic, DefaultTopic when none is given.
func (j *Job) EffectiveTopic() string { return orDefault(j.Topic, DefaultTopic) }

// EffectivePriority is the priority, 50 when none is given.
func (j *Job) EffectivePriority() int {
	if j.Priority == 0 {
		return normalPriority
	}
	return j.Priority
}

// Links is the cascade; a job without one has a single link on the channel of its content. A job that names a template
// and no cascade takes the channel of the first address of its recipient, SMS when it has none.
func (j *Job) Links() []Link {
	if len(j.Cascade) > 0 {
		return j.Cascade
	}
	if bodies := j.Content.Bodies(); len(bodies) == 1 {
		return []Link{{Channel: bodies[0].Channel()}}
	}
	for _, ch := range []Channel{ChannelSMS, ChannelViber, ChannelEmail, ChannelPush} {
		if j.Recipient.Address(ch) != "" {
			return []Link{{Channel: ch}}
		}
	}
	return []Link{{Channel: ChannelSMS}}
}

// Expiry is when the job's time is over: expires_at, else the category's default after start. Start is not_before when
// given, else the time of the job's record. Whatever a producer asks, it is at most MaxExpiry after start.
func (j *Job) Expiry(start time.Time) time.Time {
	at := j.ExpiresAt
	if at.IsZero() {
		at = start.Add(ExpiryMarket)
		if j.Category == CategoryTransactional {
			at = start.Add(ExpiryService)
		}
	}
	if limit := start.Add(MaxExpiry); at.After(limit) {
		return limit
	}
	return at
}

// VariantNumber is the variant as SQL stores it: A to P are 1 to 16, none is 0.
func (j *Job) VariantNumber() int16 { return VariantNumber(j.Variant) }

// VariantNumber turns a variant's letter into its number; none or an unknown one is 0.
func VariantNumber(s string) int16 {
	if len(s) == 1 && s[0] >= 'A' && s[0] < 'A'+MaxVariants {
		return int16(s[0]-'A') + 1
	}
	return 0
}

// VariantLetter turns a variant's number back into its letter.
func VariantLetter(n int16) string {
	if n < 1 || n > MaxVariants {
		return ""
	}
	return string(rune('A' + n - 1))
}

// Address is the recipient's address for a channel, empty when there is none. Push tokens beyond the first are kept in
// Push.
func (r *Recipient) Address(ch Channel) string {
	if r == nil {
		return ""
	}
	switch ch {
	case ChannelSMS:
		return r.Phone
	case ChannelViber:
		return orDefault(r.Viber, r.Phone)
	case ChannelEmail:
		return r.Email
	case ChannelPush:
		if len(r.Push) > 0 {
			return r.Push[0]
		}
	}
	return ""
}

// ProfileID is the stable id of a recipient without profile: made from the first of phone, viber, email and push.
func (r *Recipient) ProfileID() ID { return AnonymousProfile(r.First()) }

// First is the normalised address by which a recipient without profile is known: the first of phone, viber, email and
// push. It is empty when there is none.
func (r *Recipient) First() string {
	if r == nil {
		return ""
	}
	for _, a := range [...]string{r.Phone, r.Viber, r.Email} {
		if a = NormalAddress(a); a != "" {
			return a
		}
	}
	for _, a := range r.Push {
		if a = NormalAddress(a); a != "" {
			return a
		}
	}
	return ""
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
