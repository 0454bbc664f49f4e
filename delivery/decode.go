package delivery

// What stands in which field of a job and an event. Ranges are those of the columns that keep the values.

const maxCounter = 1<<15 - 1 // smallint

func (r *reader) job(j *Job) {
	r.object(func(name string) bool {
		switch name {
		case "v":
			r.version(&j.V)
		case "key":
			r.text(&j.Key)
		case "category":
			parsed(r, &j.Category, ParseCategory)
		case "topic":
			r.text(&j.Topic)
		case "profile":
			r.text(&j.Profile)
		case "recipient":
			j.Recipient = new(Recipient)
			r.recipient(j.Recipient)
		case "template":
			r.text(&j.Template)
		case "content":
			j.Content = new(Content)
			r.content(j.Content)
		case "data":
			j.Data = map[string]any{}
			if r.members(j.Data); len(j.Data) == 0 {
				j.Data = nil
			}
		case "cascade":
			r.cascade(&j.Cascade)
		case "senders":
			r.senders(&j.Senders)
		case "providers":
			r.texts(&j.Providers)
		case "policy":
			r.text(&j.Policy)
		case "not_before":
			parsed(r, &j.NotBefore, ParseWhen)
		case "expires_at":
			parsed(r, &j.ExpiresAt, parseTime)
		case "priority":
			r.whole(&j.Priority, 1, MaxPriority)
		case "campaign":
			r.text(&j.Campaign)
		case "launch":
			r.text(&j.Launch)
		case "variant":
			r.text(&j.Variant)
		case "herald":
			j.Herald = new(Internal)
			r.internal(j.Herald)
		default:
			return false
		}
		return true
	})
}

// version reads v, whose value another version of the contract may choose as it likes.
func (r *reader) version(dst *int) {
	*dst = Version // a fault here is enough
	given := 0
	r.whole(&given, Version, Version)
}

func (r *reader) recipient(to *Recipient) {
	r.object(func(name string) bool {
		switch name {
		case "phone":
			r.text(&to.Phone)
		case "email":
			r.text(&to.Email)
		case "viber":
			r.text(&to.Viber)
		case "push":
			r.texts(&to.Push)
		case "locale":
			r.text(&to.Locale)
		case "timezone":
			r.text(&to.Timezone)
		default:
			return false
		}
		return true
	})
}

func (r *reader) content(c *Content) {
	r.object(func(name string) bool {
		switch name {
		case "sms":
			c.SMS = new(SMS)
			r.strings(field{"text", &c.SMS.Text})
		case "viber":
			c.Viber = new(Viber)
			r.viber(c.Viber)
		case "email":
			c.Email = new(Email)
			r.strings(field{"subject", &c.Email.Subject}, field{"html", &c.Email.HTML}, field{"text", &c.Email.Text})
		case "push":
			c.Push = new(Push)
			r.strings(field{"title", &c.Push.Title}, field{"body", &c.Push.Body}, field{"image", &c.Push.Image},
				field{"link", &c.Push.Link})
		default:
			return false
		}
		return true
	})
}

func (r *reader) viber(v *Viber) {
	r.object(func(name string) bool {
		switch name {
		case "text":
			r.text(&v.Text)
		case "image":
			r.text(&v.Image)
		case "button":
			v.Button = new(Button)
			r.strings(field{"text", &v.Button.Text}, field{"url", &v.Button.URL})
		default:
			return false
		}
		return true
	})
}

// field is a field that holds a string.
type field struct {
	name string
	dst  *string
}

// strings reads an object that holds nothing but strings.
func (r *reader) strings(fields ...field) {
	r.object(func(name string) bool {
		for _, f := range fields {
			if f.name == name {
				r.text(f.dst)
				return true
			}
		}
		return false
	})
}

func (r *reader) cascade(dst *[]Link) {
	n := r.array(func(i int) {
		l, channel := Link{}, false
		before := len(r.faults)
		r.object(func(name string) bool {
			switch name {
			case "channel":
				channel = true
				parsed(r, &l.Channel, ParseChannel)
			case "advance_on":
				parsed(r, &l.AdvanceOn, advanceNames.parse)
			case "ttl":
				r.ttl(&l.TTL)
			default:
				return false
			}
			return true
		})
		if !channel && len(r.faults) == before {
			r.faults.add(r.field()+".channel", "is required")
		}
		if i < MessagesPerJob {
			*dst = append(*dst, l)
		}
	})
	switch {
	case r.stopped:
	case n == 0:
		r.fault("is empty")
	case n > MessagesPerJob:
		r.fault("has %d links, at most %d are possible", n, MessagesPerJob)
	}
}

// ttl reads the time of a link. Given as zero it is a fault, while left out it is the rest of the job's time.
func (r *reader) ttl(dst *Duration) {
	*dst = 1
	if parsed(r, dst, ParseDuration); *dst <= 0 {
		r.fault("must be more than zero")
	}
}

func (r *reader) senders(dst *map[Channel]string) {
	r.object(func(name string) bool {
		var sender string
		ok := r.text(&sender)
		ch, err := ParseChannel(name)
		switch {
		case err != nil:
			r.fault("%v", err)
		case ok && sender == "":
			r.fault("is empty")
		case ok:
			if *dst == nil {
				*dst = make(map[Channel]string, 1)
			}
			(*dst)[ch] = sender
		}
		return true
	})
}

func (r *reader) internal(h *Internal) {
	r.object(func(name string) bool {
		switch name {
		case "id":
			parsed(r, &h.ID, ParseID)
		case "number":
			r.whole(&h.Number, 0, MessagesPerJob-1)
		case "link":
			r.whole(&h.Link, 0, MessagesPerJob-1)
		case "turn":
			r.whole(&h.Turn, 0, maxCounter)
		case "attempt":
			r.whole(&h.Attempt, 0, maxCounter)
		case "revision":
			r.whole(&h.Revision, 0, 1<<31-1)
		case "holdout":
			r.flag(&h.Holdout)
		default:
			return false
		}
		return true
	})
}

func (r *reader) event(e *Event) {
	channel := false
	ok := r.object(func(name string) bool {
		channel = channel || name == "channel"
		return r.eventField(e, name) || r.eventOrigin(e, name)
	})
	if ok && !channel && !r.stopped {
		r.faults.add("channel", "is required")
	}
}

// eventField reads what became of the message.
func (r *reader) eventField(e *Event, name string) bool {
	switch name {
	case "v":
		r.version(&e.V)
	case "id":
		r.text(&e.ID)
	case "kind":
		parsed(r, &e.Kind, ParseKind)
	case "at":
		parsed(r, &e.At, parseTime)
	case "channel":
		parsed(r, &e.Channel, ParseChannel)
	case "provider":
		r.text(&e.Provider)
	case "provider_refs":
		r.texts(&e.ProviderRefs)
	case "next":
		e.Next = new(Next)
		r.next(e.Next)
	case "reason":
		parsed(r, &e.Reason, ParseReason)
	case "code":
		r.text(&e.Code)
	case "detail":
		r.text(&e.Detail)
	case "parts":
		r.whole(&e.Parts, 0, maxCounter)
	case "cost":
		r.text(&e.Cost)
	case "late":
		r.flag(&e.Late)
	case "url_id":
		r.whole(&e.URLID, 0, 1<<31-1)
	case "actor":
		parsed(r, &e.Actor, actorNames.parse)
	case "actor_reason":
		r.text(&e.ActorReason)
	default:
		return false
	}
	return true
}

// eventOrigin reads which message it is and where it comes from.
func (r *reader) eventOrigin(e *Event, name string) bool {
	switch name {
	case "job":
		parsed(r, &e.Job, ParseID)
	case "message":
		parsed(r, &e.Message, ParseID)
	case "link":
		r.whole(&e.Link, 0, MessagesPerJob-1)
	case "key":
		r.text(&e.Key)
	case "profile":
		r.text(&e.Profile)
	case "profile_id":
		parsed(r, &e.ProfileID, ParseID)
	case "campaign":
		r.text(&e.Campaign)
	case "launch":
		r.text(&e.Launch)
	case "variant":
		r.text(&e.Variant)
	case "revision":
		r.whole(&e.Revision, 0, 1<<31-1)
	case "turn":
		r.whole(&e.Turn, 0, maxCounter)
	case "attempt":
		r.whole(&e.Attempt, 0, maxCounter)
	default:
		return false
	}
	return true
}

func (r *reader) next(n *Next) {
	r.object(func(name string) bool {
		switch name {
		case "link":
			r.whole(&n.Link, 1, MessagesPerJob-1)
		case "at":
			parsed(r, &n.At, parseTime)
		case "unless":
			parsed(r, &n.Unless, conditionNames.parse)
		default:
			return false
		}
		return true
	})
}
