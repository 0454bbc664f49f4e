package dispatcher

import (
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// task is one job on its way through the stages.
type task struct {
	lane delivery.Lane
	recs []*delivery.Received // the record, and repeats that share its fate

	job      *delivery.Job
	links    []delivery.Link // of the job
	id       delivery.ID     // of the job
	launchID int64
	number   int // of the message
	link     int // position in the cascade
	turn     int
	attempt  int // Submits of this message so far
	redriven int // how often it was sent again in doubt

	written time.Time // when the record was written
	start   time.Time // from when the job's time counts
	expires time.Time
	profile delivery.ID

	channel delivery.Channel
	to      string
	content delivery.Body
	account *account
	msg     *providers.Message
	size    int // slots and tokens that the message takes

	queued  time.Time // since when it waits for its account
	marked  time.Time // when the hand-over mark was written
	unacked bool      // counted as answered or in flight until its event is acknowledged
	verdict *verdict  // set by a stage that decides the message's fate
}

// verdict is a fate that was decided before the message reached a provider.
type verdict struct {
	kind   delivery.Kind
	reason delivery.Reason
	detail string
	until  time.Time // of held: when to look again
}

func (t *task) message() delivery.ID { return t.id.Message(t.number) }

func (t *task) suppress(r delivery.Reason, detail string) {
	t.verdict = &verdict{kind: delivery.KindSuppressed, reason: r, detail: detail}
}

func (t *task) hold(r delivery.Reason, until time.Time, detail string) {
	t.verdict = &verdict{kind: delivery.KindHeld, reason: r, until: until, detail: detail}
}

func (t *task) expire() { t.verdict = &verdict{kind: delivery.KindExpired} }

// done says that the job's fate is durable.
func (t *task) done() {
	for _, r := range t.recs {
		r.Done()
	}
}

// hasNext says that the cascade has a link after this one.
func (t *task) hasNext() bool { return t.link+1 < len(t.links) }

// advance goes on to the next link.
func (t *task) advance() {
	t.link++
	t.number++
	t.attempt, t.redriven, t.verdict, t.account = 0, 0, nil, nil
}

// next says which link follows, when, and unless what; nil on the last link and when the job's time is over. A link that
// was skipped is followed at once by the dispatcher itself, so that it has no time.
func (t *task) next(now time.Time, skipped bool) *delivery.Next {
	if !t.hasNext() || !now.Before(t.expires) {
		return nil
	}
	link := t.links[t.link]
	n := &delivery.Next{Link: t.link + 1, Unless: link.AdvanceOn.Unless()}
	if !skipped {
		n.At = t.expires
		if at := now.Add(time.Duration(link.TTL)); link.TTL > 0 && at.Before(t.expires) {
			n.At = at
		}
	}
	return n
}

// event is what happened to the message, with everything that the log needs to know of its job.
func (t *task) event(k delivery.Kind, now time.Time) delivery.Event {
	e := delivery.Event{
		V: delivery.Version, ID: delivery.DispatchEventID(t.message(), k, t.turn, t.attempt), Kind: k, At: now,
		Job: t.id, Message: t.message(), Link: t.link, Key: t.job.Key, Channel: t.channel, Profile: t.job.Profile,
		ProfileID: t.profile, Campaign: t.job.Campaign, Launch: t.job.Launch, Variant: t.job.Variant, Turn: t.turn,
		Attempt: t.attempt,
	}
	if t.job.Herald != nil {
		e.Revision = t.job.Herald.Revision
	}
	if t.account != nil {
		e.Provider = t.account.Name()
	}
	return e
}

// dueRow is the row that brings the message back.
func (t *task) dueRow(at time.Time) delivery.Due {
	d := delivery.Due{
		At: at, Kind: delivery.DueAgain, Message: t.message(), ProfileID: t.profile, LaunchID: t.launchID, Link: t.link,
		Turn: t.turn + 1, Attempt: t.attempt, Priority: t.job.EffectivePriority(), Lane: t.lane,
	}
	if t.link > 0 && t.number > 0 { // nothing is sent that the link before has made unwanted meanwhile
		d.Skip = t.id.Message(t.number - 1)
		d.SkipFlags = t.links[t.link-1].AdvanceOn.Unless().Flags()
	}
	return d
}

// body is the job as it is kept for its return: with the end of its time written out, since that counts from the
// record that arrived first.
func (t *task) body() ([]byte, error) {
	j := *t.job
	j.ExpiresAt = t.expires
	if h := j.Herald; h != nil { // only what holds for all its messages
		j.Herald = &delivery.Internal{ID: t.id, Revision: h.Revision, Holdout: h.Holdout}
	}
	return delivery.EncodeJob(&j)
}
