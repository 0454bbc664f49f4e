package tracking

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/herald-gateway/herald/delivery"
)

// maxParts is how many parts of a message are told apart; those beyond share the last bit.
const maxParts = 62

func bitOf(part int) int64 { return 1 << (min(max(part, 1), maxParts) - 1) }

func allOf(parts int) int64 { return bitOf(parts)<<1 - 1 }

// kindOf is the kind of event that a receipt's state becomes.
func kindOf(s delivery.ReceiptState) (delivery.Kind, bool) {
	switch s {
	case delivery.ReceiptDelivered:
		return delivery.KindDelivered, true
	case delivery.ReceiptUndelivered:
		return delivery.KindFailed, true
	case delivery.ReceiptRejected:
		return delivery.KindRejected, true
	case delivery.ReceiptExpired:
		return delivery.KindExpired, true
	case delivery.ReceiptRead:
		return delivery.KindRead, true
	case delivery.ReceiptAccepted:
		return delivery.KindAccepted, true
	case delivery.ReceiptSent:
	}
	return 0, false
}

// definite says that the state ends the part's way.
func definite(k delivery.Kind) bool {
	return k == delivery.KindDelivered || k == delivery.KindFailed || k == delivery.KindRejected || k == delivery.KindExpired
}

// events makes the events of a batch of receipts.
func (r *Receipts) events(ctx context.Context, found []Found) ([]delivery.Event, error) {
	events := make([]delivery.Event, 0, len(found))
	long := map[delivery.ID]*Parts{}
	var marks []Parts
	for i := range found {
		f := &found[i]
		k, ok := kindOf(f.State)
		switch {
		case !ok:
		case f.Target.Parts > 1 && definite(k):
			p := long[f.Target.Message]
			if p == nil {
				p = &Parts{Message: f.Target.Message}
				long[f.Target.Message] = p
			}
			p.Parts = max(p.Parts, f.Target.Parts)
			if k == delivery.KindDelivered {
				p.OK |= bitOf(f.Target.Part)
			} else {
				p.Bad |= bitOf(f.Target.Part)
			}
		default:
			events = append(events, r.single(f, k))
		}
	}
	if len(long) == 0 {
		return events, nil
	}
	for _, p := range long {
		p.Bad &^= p.OK
		marks = append(marks, *p)
	}
	states, err := r.store.MarkParts(ctx, marks)
	if err != nil {
		return nil, fmt.Errorf("mark parts of %d messages: %w", len(marks), err)
	}
	now := make(map[delivery.ID]Parts, len(states))
	for _, s := range states {
		now[s.Message] = s
	}
	for i := range found {
		f := &found[i]
		if k, ok := kindOf(f.State); ok && f.Target.Parts > 1 && definite(k) {
			if e, ok := r.partial(f, k, now[f.Target.Message]); ok {
				events = append(events, e)
			}
		}
	}
	return events, nil
}

func (r *Receipts) event(f *Found, k delivery.Kind, parts int64, state string) delivery.Event {
	return delivery.Event{
		V: delivery.Version, ID: delivery.ReceiptEventID(f.Target.Message, k, uint64(parts), state), //nolint:gosec // bits
		Kind: k, At: r.at(f.At), Job: f.Target.Message.Job(), Message: f.Target.Message,
		Channel: r.cfg.Channels[f.Provider], Provider: f.Provider, Reason: f.Reason, Code: clean(f.Code),
		Detail: clean(f.Detail),
	}
}

// single is the event of a receipt that speaks for itself.
func (r *Receipts) single(f *Found, k delivery.Kind) delivery.Event {
	e := r.event(f, k, bitOf(f.Target.Part), k.String())
	if k == delivery.KindAccepted { // the answer came late: the reference stands at the place of its part
		e.ProviderRefs = make([]string, max(f.Target.Part, f.Target.Parts))
		e.ProviderRefs[f.Target.Part-1] = f.Ref
		e.Parts = f.Target.Parts
		r.memory.put(Key{f.Provider, f.Ref}, f.Target, r.cfg.Now())
	}
	return e
}

// partial is what the receipt of a part means for the message: delivered with the last part, failed with each part that
// did not arrive, otherwise nothing yet.
func (r *Receipts) partial(f *Found, k delivery.Kind, s Parts) (delivery.Event, bool) {
	all := allOf(s.Parts)
	switch {
	case k == delivery.KindDelivered && s.OK&all == all:
		e := r.event(f, k, all, k.String())
		e.Reason, e.Parts = delivery.ReasonNone, s.Parts
		return e, true
	case k != delivery.KindDelivered && s.Bad&bitOf(f.Target.Part) != 0:
		e := r.event(f, delivery.KindFailed, s.Bad, k.String())
		e.Reason, e.Parts = delivery.ReasonPartial, s.Parts
		e.Detail = fmt.Sprintf("%d of %d parts arrived, part %d: %s", bits.OnesCount64(uint64(s.OK)), s.Parts, //nolint:gosec // bits
			f.Target.Part, k)
		return e, true
	}
	return delivery.Event{}, false
}
