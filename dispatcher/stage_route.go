package dispatcher

import (
	"context"
	"slices"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

// route chooses the account that sends the message, among those of its channel that the job allows.
func (d *Dispatcher) route(_ context.Context, tasks []*task, _ time.Time) ([]*task, error) {
	next := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		if t.account = d.choose(t); t.account == nil {
			t.suppress(delivery.ReasonProviderDown, "no provider for "+t.channel.String())
			continue
		}
		t.msg = &providers.Message{
			ID: t.message(), Category: t.job.Category, To: t.to, Sender: t.job.Senders[t.channel], Content: t.content,
			ExpiresAt: t.expires, TTL: time.Duration(t.links[t.link].TTL), Resend: t.redriven > 0,
		}
		t.size = t.account.size(t.msg)
		next = append(next, t)
	}
	return next, nil
}

// choose picks an account of the channel, spread evenly over the messages. A job that lists accounts of
// this channel gets one of those.
func (d *Dispatcher) choose(t *task) *account {
	all := d.byChannel[t.channel]
	if len(t.job.Providers) > 0 {
		var listed []*account
		for _, a := range all {
			if slices.Contains(t.job.Providers, a.Name()) {
				listed = append(listed, a)
			}
		}
		if len(listed) > 0 {
			all = listed
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[int(t.id/delivery.MessagesPerJob)%len(all)]
}
