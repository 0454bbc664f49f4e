package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/herald-gateway/herald/delivery"
)

const (
	fetchRecords = 4000
	gatePoll     = 50 * time.Millisecond
	// lostLooks is how often a position must be above the end of the log before it is believed: a new leader may lag.
	lostLooks = 3
)

// partition is one partition of one generation.
type partition struct {
	c         *Consumer
	g         *generation
	id        int
	assigned  int64 // where the generation began; negative when nothing was committed
	water     *Watermark
	room      *slots // MaxPerPart; a slot is free again when the offset is committed
	passed    atomic.Int64
	committed atomic.Int64 // of passed, committed and given back to room
	end       atomic.Int64
	feeding   atomic.Int32 // 1 while records are being handed over
	waiting   atomic.Int32 // records that are read and wait for room
}

var _ delivery.Finisher = (*partition)(nil)

func newPartition(c *Consumer, g *generation, a kafkago.PartitionAssignment) *partition {
	p := &partition{c: c, g: g, id: a.ID, assigned: a.Offset, room: newSlots(c.cfg.MaxPerPart)}
	if a.Offset < 0 {
		p.assigned = -1
	}
	p.water = NewWatermark(p.assigned, c.cfg.MaxPerPart)
	return p
}

// Finish says that the record at an offset is finished.
func (p *partition) Finish(offset int64) {
	news, passed := p.water.Done(offset)
	if !news {
		return
	}
	p.c.inFlight.give(1)
	if p.passed.Add(int64(passed))-p.committed.Load() >= int64(p.c.cfg.MaxPerPart/commitShare) {
		signal(p.g.hurry)
	}
	if p.water.Open() == 0 {
		signal(p.g.settled)
	}
}

// busy counts what a drain waits for.
func (p *partition) busy() int { return p.water.Open() + int(p.feeding.Load()) }

// run fetches and hands out until fetching ends. It returns for no other reason.
func (p *partition) run(fetching, working context.Context) {
	f := &fetcher{client: p.c.client, topic: p.c.cfg.Topic, partition: p.id, pos: p.assigned}
	defer f.close()
	retry := pace{first: fetchRetryFirst, most: fetchRetryMost}
	var buf []delivery.Record
	for above := 0; p.waitGate(fetching); {
		var err error
		buf, err = f.fetch(fetching, buf[:0], fetchRecords, fetchWait)
		p.end.Store(f.high)
		if !p.handOut(fetching, working, buf) {
			return
		}
		switch {
		case err == nil:
			above = 0
			retry.reset()
			p.water.Skip(f.pos)
			continue
		case fetching.Err() != nil:
			return
		case errors.Is(err, kafkago.OffsetOutOfRange):
			if above = p.outOfRange(fetching, f, above); above >= lostLooks {
				return
			}
		default:
			p.c.fetchFaults.Add(1)
			p.c.client.log.WarnContext(fetching, "fetch failed; repeated", "topic", f.topic, "partition", p.id, "err", err)
		}
		if retry.wait(fetching) != nil {
			return
		}
	}
}

// outOfRange finds out on which side of the log the position is. Below, what is missing was deleted: it is counted and
// reading goes on at the first record. Above, the log was lost, and reading ends when that was seen often enough; the
// result counts how often.
func (p *partition) outOfRange(ctx context.Context, f *fetcher, above int) int {
	first, last, err := f.bounds(ctx)
	switch {
	case err != nil:
		return above
	case f.pos < first:
		gap := &GapError{Topic: f.topic, Partition: p.id, From: f.pos, To: first}
		p.c.skipped.Add(first - f.pos)
		p.c.client.log.ErrorContext(ctx, "records were lost to retention", "topic", f.topic, "partition", p.id, "err", gap)
		f.pos = first
		return 0
	case f.pos <= last:
		return 0
	}
	if above++; above >= lostLooks {
		p.c.fatal(fmt.Errorf("%s/%d: position %d is above the end %d: %w", f.topic, p.id, f.pos, last, ErrLost))
	}
	return above
}

// waitGate waits while the gate is closed. It reports false when fetching ended.
func (p *partition) waitGate(fetching context.Context) bool {
	for p.c.cfg.Gate != nil && !p.c.cfg.Gate() {
		if sleep(fetching, gatePoll) != nil {
			return false
		}
	}
	return fetching.Err() == nil
}

// handOut gives records to the handler in slices as large as the slots allow. It reports false when fetching ended.
func (p *partition) handOut(fetching, working context.Context, list []delivery.Record) bool {
	defer p.waiting.Store(0)
	for len(list) > 0 && p.waitGate(fetching) {
		p.waiting.Store(int32(len(list))) //nolint:gosec // of one fetch
		n, ok := p.room.take(fetching, min(len(list), p.c.cfg.MaxBatch))
		if !ok {
			return false
		}
		m, ok := p.c.inFlight.take(fetching, n)
		p.room.give(n - m)
		// The mark is set before the last look: a drain that begins now sees either the mark or no call at all.
		p.feeding.Store(1)
		if !ok || fetching.Err() != nil {
			p.fed()
			p.room.give(m)
			p.c.inFlight.give(m)
			return false
		}
		p.handle(working, list[:m])
		p.fed()
		list = list[m:]
	}
	return fetching.Err() == nil
}

// fed says that no call of the handler runs for this partition.
func (p *partition) fed() {
	p.feeding.Store(0)
	signal(p.g.settled)
}

func (p *partition) handle(working context.Context, list []delivery.Record) {
	now := time.Now()
	received := make([]delivery.Received, len(list))
	batch := make([]*delivery.Received, 0, len(list))
	for i := range list {
		if !p.water.Track(list[i].Offset, now) { // cannot happen: offsets of a partition ascend
			p.room.give(1)
			p.c.inFlight.give(1)
			continue
		}
		received[i] = delivery.Received{Record: list[i], From: p}
		batch = append(batch, &received[i])
	}
	p.c.records.Add(int64(len(batch)))
	p.c.cfg.Handler(working, batch)
}
