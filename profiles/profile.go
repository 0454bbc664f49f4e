package profiles

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// ErrNotFound means that no profile has the external id.
var ErrNotFound = errors.New("there is no such profile")

// Profile is a client. Of a profile that a Reader loaded only the fields are there that were wanted.
type Profile struct {
	ID       delivery.ID // by which Herald's own rows refer to it; positive
	External string      // by which jobs and the shop's systems name it

	Columns    Columns                       // by Field; nil values where nothing is known
	Contacts   map[delivery.Channel][]string // normalised addresses, the preferred one first; no empty lists
	Attributes map[string]Value              // by name; no nil values

	CreatedAt, UpdatedAt time.Time
}

// Reader finds profiles for sending.
type Reader interface {
	// Load gives the profiles with these external ids, by external id, with the wanted fields. Ids that nobody has are
	// missing in the answer; an id may be given more than once. Errors wrap delivery.ErrUnavailable while the store is away.
	Load(ctx context.Context, external []string, fields FieldSet) (map[string]*Profile, error)
}

// Value is the value of the field or attribute with this name, as macros use it; nil when there is none. name is the
// first name, or the full one when no first name is known.
func (p *Profile) Value(name string) Value {
	switch name {
	case externalName:
		return StringValue(p.External)
	case derivedName:
		if first := p.Columns[FirstName]; !first.IsNil() {
			return first
		}
		return p.fullName()
	case derivedFullName:
		return p.fullName()
	}
	f, ok := fieldOfMacro(name)
	if !ok {
		return p.Attributes[name]
	}
	ch, contact := f.Channel()
	if !contact {
		return p.Columns[f]
	}
	return StringValue(p.address(ch))
}

func (p *Profile) fullName() Value {
	var names []string
	for _, f := range []Field{LastName, FirstName, MiddleName} {
		if text := p.Columns[f].Text(); text != "" {
			names = append(names, text)
		}
	}
	return StringValue(strings.Join(names, " "))
}

func (p *Profile) address(ch delivery.Channel) string {
	if list := p.Contacts[ch]; len(list) > 0 {
		return list[0]
	}
	return ""
}

// Recipient is where the profile is reached. Fields that the job's own recipient has win; it may be nil.
func (p *Profile) Recipient(own *delivery.Recipient) *delivery.Recipient {
	var r delivery.Recipient
	if own != nil {
		r = *own
	}
	r.Phone = cmp.Or(r.Phone, p.address(delivery.ChannelSMS))
	r.Viber = cmp.Or(r.Viber, p.address(delivery.ChannelViber))
	r.Email = cmp.Or(r.Email, p.address(delivery.ChannelEmail))
	if len(r.Push) == 0 {
		r.Push = p.Contacts[delivery.ChannelPush]
	}
	r.Locale = cmp.Or(r.Locale, p.Columns[Locale].Text())
	r.Timezone = cmp.Or(r.Timezone, p.Columns[Timezone].Text())
	return &r
}

// LogValue shows the number only.
func (p *Profile) LogValue() slog.Value {
	return slog.GroupValue(slog.String("profile_id", p.ID.String()))
}

// MarshalJSON writes the profile in the form that rows have, with its number and times.
func (p *Profile) MarshalJSON() ([]byte, error) {
	b := appendText([]byte(`{"id":`), p.External)
	b = append(b, `,"profile_id":"`+p.ID.String()+`"`...)
	for _, f := range Fields() {
		ch, contact := f.Channel()
		switch {
		case contact && len(p.Contacts[ch]) == 0, !contact && p.Columns[f].IsNil():
			continue
		case f == Push:
			b = append(b, `,"push":[`...)
			for i, token := range p.Contacts[ch] {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendText(b, token)
			}
			b = append(b, ']')
		default:
			b = append(b, `,"`+f.Name()+`":`...)
			b = p.Value(f.Name()).appendJSON(b)
		}
	}
	b = append(b, `,"attributes":`...)
	b = append(b, AttributesJSON(p.Attributes)...)
	b = append(b, `,"created_at":"`+p.CreatedAt.UTC().Format(time.RFC3339Nano)...)
	b = append(b, `","updated_at":"`+p.UpdatedAt.UTC().Format(time.RFC3339Nano)...)
	return append(b, `"}`...), nil
}

// AttributesJSON is the form in which attributes are stored and shown: an object, by name.
func AttributesJSON(attributes map[string]Value) string {
	b := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(attributes)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, name)
		b = append(b, ':')
		b = attributes[name].appendJSON(b)
	}
	return string(append(b, '}'))
}

// Update says what is to be changed in the profile with the external id, which is made when there is none. What it does
// not name stays.
type Update struct {
	External string

	Columns Columns
	columns fieldBits // which of Columns count; a nil one is cleared

	Contacts   map[delivery.Channel][]string // replace the contact points of the channel; an empty list clears them
	Attributes map[string]Value              // a nil one is cleared
}

// Set sets a column, or clears it by a nil value.
func (u *Update) Set(f Field, v Value) {
	u.Columns[f] = v
	u.columns |= bitOf(f)
}

// Change is what an update did to a profile.
type Change struct {
	Row      bool               // columns or attributes
	Channels []delivery.Channel // whose contact points changed
}

// Any says that something changed.
func (c *Change) Any() bool { return c.Row || len(c.Channels) > 0 }

// Apply changes p as the update says.
func (u *Update) Apply(p *Profile) (c Change) {
	for i, v := range u.Columns {
		if u.columns&(1<<i) != 0 && p.Columns[i] != v {
			p.Columns[i], c.Row = v, true
		}
	}
	for name, v := range u.Attributes {
		if p.Attributes[name] == v {
			continue
		}
		c.Row = true
		if p.Attributes == nil {
			p.Attributes = make(map[string]Value, len(u.Attributes))
		}
		if p.Attributes[name] = v; v.IsNil() {
			delete(p.Attributes, name)
		}
	}
	for ch, list := range u.Contacts {
		if slices.Equal(p.Contacts[ch], list) {
			continue
		}
		c.Channels = append(c.Channels, ch)
		if p.Contacts == nil {
			p.Contacts = make(map[delivery.Channel][]string, len(u.Contacts))
		}
		if p.Contacts[ch] = list; len(list) == 0 {
			delete(p.Contacts, ch)
		}
	}
	return c
}

// Counts are the fates of updates.
type Counts struct {
	Created   int64 `json:"created" doc:"Profiles that were new."`
	Updated   int64 `json:"updated" doc:"Rows that changed a profile."`
	Unchanged int64 `json:"unchanged" doc:"Rows that said nothing new."`
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	c.Created += other.Created
	c.Updated += other.Updated
	c.Unchanged += other.Unchanged
}
