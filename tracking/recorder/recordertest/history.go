// Package recordertest makes histories of jobs for tests, and keeps what a recorder writes in memory.
package recordertest

import (
	"math/rand/v2"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// Topic is the events topic of the histories.
const Topic = "herald.events"

// Job is one job with everything that the log says of it, in the order in which it happened.
type Job struct {
	ID     delivery.ID
	Events []delivery.Event
}

// History makes up n jobs whose ids begin at first, with or without a launch, on one link or three.
func History(rng *rand.Rand, first delivery.ID, n int, labels ...string) []Job {
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = job(rng, first+delivery.ID(i*delivery.MessagesPerJob), labels)
	}
	return jobs
}

func job(rng *rand.Rand, id delivery.ID, labels []string) Job {
	links := 1
	if rng.IntN(3) == 0 {
		links = 3
	}
	label := ""
	if len(labels) > 0 {
		label = labels[rng.IntN(len(labels))]
	}
	h := &story{
		rng: rng, id: id, at: id.Time().Add(time.Duration(rng.IntN(7200)) * time.Second), label: label,
		variant: delivery.VariantLetter(int16(rng.IntN(3))), //nolint:gosec // small
	}
	for link := range links {
		if !h.link(link, links) {
			break
		}
	}
	return Job{id, h.events}
}

// story is a job on its way.
type story struct {
	rng            *rand.Rand
	id             delivery.ID
	at             time.Time
	label, variant string
	turn, attempt  int
	events         []delivery.Event
}

func (h *story) later() time.Time {
	h.at = h.at.Add(time.Duration(h.rng.IntN(40*60*1000)) * time.Millisecond)
	return h.at
}

// origin is an event of the dispatcher.
func (h *story) origin(k delivery.Kind, link int, r delivery.Reason) *delivery.Event {
	m := h.id.Message(link)
	h.events = append(h.events, delivery.Event{
		V: 1, ID: delivery.DispatchEventID(m, k, h.turn, h.attempt), Kind: k, At: h.later(), Job: h.id, Message: m,
		Link: link, Channel: delivery.Channel(link), Provider: []string{"mts", "relay"}[h.rng.IntN(2)], //nolint:gosec // small
		ProfileID: -5, Launch: h.label, Variant: h.variant, Turn: h.turn, Attempt: h.attempt, Reason: r, Detail: "made up",
	})
	return &h.events[len(h.events)-1]
}

// receipt is an event made from a receipt.
func (h *story) receipt(k delivery.Kind, link int, r delivery.Reason) {
	m := h.id.Message(link)
	h.events = append(h.events, delivery.Event{
		V: 1, ID: delivery.ReceiptEventID(m, k, 1, k.String()), Kind: k, At: h.later(), Job: h.id, Message: m,
		Channel: delivery.Channel(link), Provider: "mts", Reason: r, Code: "7", //nolint:gosec // small
	})
}

// link sends on one link and says whether the next one follows.
func (h *story) link(link, links int) bool {
	for h.rng.IntN(4) == 0 && h.turn < 4 {
		h.origin(delivery.KindHeld, link, delivery.ReasonRetry)
		h.turn++
		h.attempt++
	}
	next := func(e *delivery.Event, at time.Time) {
		if link+1 < links {
			e.Next = &delivery.Next{Link: link + 1, At: at}
		}
	}
	switch h.rng.IntN(8) {
	case 0: // nothing more is known: held, or nothing at all
		return false
	case 1:
		next(h.origin(delivery.KindSuppressed, link, delivery.ReasonNoAddress), time.Time{})
		return true
	case 2:
		next(h.origin(delivery.KindRejected, link, delivery.ReasonAddressGone), h.at.Add(time.Hour))
		h.turn++
		return true
	case 3:
		e := h.origin(delivery.KindUnknown, link, delivery.ReasonNone)
		next(e, h.at.Add(time.Hour))
		return h.rng.IntN(2) == 0
	default:
		h.attempt++
		e := h.origin(delivery.KindAccepted, link, delivery.ReasonNone)
		e.Parts, e.Cost = 1+h.rng.IntN(3), "6.40 RUB"
		e.ProviderRefs = []string{e.Message.String()}
		next(e, h.at.Add(time.Hour))
	}
	switch h.rng.IntN(6) {
	case 0:
		return false
	case 1:
		h.receipt(delivery.KindFailed, link, delivery.ReasonUnreachable)
		if h.rng.IntN(2) == 0 {
			h.receipt(delivery.KindDelivered, link, delivery.ReasonNone)
		}
	case 2:
		h.receipt(delivery.KindExpired, link, delivery.ReasonNone)
	default:
		h.receipt(delivery.KindDelivered, link, delivery.ReasonNone)
		if h.rng.IntN(2) == 0 {
			h.receipt(delivery.KindRead, link, delivery.ReasonNone)
		}
		return false
	}
	h.turn++
	return true
}

// Records are the events as they stand on a partition from the offset on.
func Records(partition int, from int64, events []delivery.Event) []delivery.Record {
	records := make([]delivery.Record, len(events))
	for i := range events {
		r, err := delivery.EventRecord(Topic, &events[i])
		if err != nil {
			panic(err) // a history that cannot be written is a fault of this package
		}
		r.Partition, r.Offset = partition, from+int64(i)
		records[i] = r
	}
	return records
}

// Shuffle gives the events of all jobs in any order, some of them up to three times.
func Shuffle(rng *rand.Rand, jobs []Job) []delivery.Event {
	var all []delivery.Event
	for _, j := range jobs {
		for _, e := range j.Events {
			for range 1 + max(0, rng.IntN(6)-3) {
				all = append(all, e)
			}
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// InOrder gives the events of all jobs job by job.
func InOrder(jobs []Job) []delivery.Event {
	var all []delivery.Event
	for _, j := range jobs {
		all = append(all, j.Events...)
	}
	return all
}
