package dispatcher

import (
	"context"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/templates"
)

// render turns the job's content into what is sent. Stored templates are no part of Herald yet: every name is unknown.
func (d *Dispatcher) render(_ context.Context, tasks []*task, _ time.Time) ([]*task, error) {
	next := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		body := t.job.Content.Body(t.channel)
		if body == nil {
			detail := "content." + t.channel.String() + ": missing"
			if t.job.Template != "" {
				detail = "template: unknown"
			}
			t.suppress(delivery.ReasonRenderError, detail)
			continue
		}
		content, err := templates.Render(body, t.job.Data)
		if err != nil {
			t.suppress(delivery.ReasonRenderError, "content."+err.Error())
			continue
		}
		t.content = content
		next = append(next, t)
	}
	return next, nil
}
