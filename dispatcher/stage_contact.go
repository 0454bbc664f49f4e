package dispatcher

import (
	"context"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// contact finds the address on the link's channel. Profiles are no part of Herald yet: a job that names only a profile
// has no address.
func (d *Dispatcher) contact(_ context.Context, tasks []*task, _ time.Time) ([]*task, error) {
	next := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		address := t.job.Recipient.Address(t.channel)
		if address == "" {
			detail := "recipient: no address for " + t.channel.String()
			if t.job.Recipient == nil {
				detail = "profile: unknown"
			}
			t.suppress(delivery.ReasonNoAddress, detail)
			continue
		}
		t.to = address
		if t.channel == delivery.ChannelSMS || t.channel == delivery.ChannelViber {
			phone, err := delivery.NormalPhone(address)
			if err != nil {
				t.suppress(delivery.ReasonInvalidAddress, "recipient.phone: "+err.Error())
				continue
			}
			t.to = phone
		}
		next = append(next, t)
	}
	return next, nil
}
