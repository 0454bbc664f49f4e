package dispatcher

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// lane is one of the two ways through the dispatcher, with its own workers, queues and budget.
type lane struct {
	id         delivery.Lane
	cfg        LaneConfig
	inbox      chan []*delivery.Received
	turn       chan struct{} // held by the worker that collects a batch
	collecting atomic.Int32  // workers that have records and are not through the stages
	met        *queue[*task] // jobs whose claim exists already
	reports    *queue[report]
	settling   atomic.Int32 // reporters that hold reports
}

func newLane(id delivery.Lane, cfg LaneConfig) *lane {
	return &lane{
		id: id, cfg: cfg, inbox: make(chan []*delivery.Received, 8), turn: make(chan struct{}, 1),
		met: newQueue[*task](), reports: newQueue[report](),
	}
}

// work collects batches and takes them through the stages until ctx ends.
func (d *Dispatcher) work(ctx context.Context, l *lane) {
	for ctx.Err() == nil {
		batch := l.collect(ctx)
		tasks := make([]*task, len(batch))
		for i, rec := range batch {
			tasks[i] = &task{lane: l.id, recs: []*delivery.Received{rec}}
		}
		d.metrics.batch.WithLabelValues(l.id.String()).Observe(float64(len(tasks)))
		if err := d.pipeline(ctx, tasks); err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "batch given up", "lane", l.id.String(), "err", err)
		}
		l.collecting.Add(-1)
	}
}

// collect waits for records and gathers a batch: as many as the lane takes in one run, or what comes in the time that a
// batch may wait, whichever is first.
func (l *lane) collect(ctx context.Context) []*delivery.Received {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	var batch []*delivery.Received
	select {
	case batch = <-l.inbox:
	case <-ctx.Done():
	}
	l.collecting.Add(1)
	full := time.NewTimer(l.cfg.Wait)
	defer full.Stop()
	for len(batch) < l.cfg.Batch && ctx.Err() == nil {
		select {
		case more := <-l.inbox:
			batch = append(batch, more...)
			continue
		case <-full.C:
		case <-ctx.Done():
		}
		break
	}
	return batch
}
