package kafka

import (
	"errors"
	"sync/atomic"
	"time"
)

// ConsumerStats is what a Consumer is doing, for metrics and alarms.
type ConsumerStats struct {
	InFlight int // unfinished records, those of ended generations included
	Waiting  int // records that are read and wait for room
	// MaxInFlight and MaxPerPart are the bounds of InFlight and of each partition's Pending.
	MaxInFlight, MaxPerPart int
	OldestAge               time.Duration   // since the oldest unfinished record was handed out; 0 when there is none
	Paused                  bool            // the gate is closed
	Assigned                []PartitionStat // partitions of this member

	Records      int64 // handed out since the start
	Generations  int64 // joins since the start
	Skipped      int64 // records that retention deleted before they were read
	CommitFaults int64
	FetchFaults  int64
}

// PartitionStat is where one partition stands.
type PartitionStat struct {
	Partition int
	Next      int64 // what is committed next; negative when nothing was read yet
	End       int64 // end of the log at the last fetch
	Lag       int64 // records from Next to End
	Pending   int   // handed out and not passed by Next; of a Follower, read and not handled
}

// Lag is the sum over the partitions.
func (s ConsumerStats) Lag() int64 {
	var n int64
	for _, p := range s.Assigned {
		n += p.Lag
	}
	return n
}

// Stats tells what the consumer is doing now.
func (c *Consumer) Stats() ConsumerStats {
	s := ConsumerStats{
		InFlight: c.inFlight.used(), MaxInFlight: c.cfg.MaxInFlight, MaxPerPart: c.cfg.MaxPerPart, Paused: c.cfg.Gate != nil && !c.cfg.Gate(),
		Records: c.records.Load(), Generations: c.generations.Load(),
		Skipped: c.skipped.Load(), CommitFaults: c.commitFaults.Load(), FetchFaults: c.fetchFaults.Load(),
	}
	c.mu.Lock()
	parts := c.parts
	c.mu.Unlock()
	now := time.Now()
	for _, p := range parts {
		st := PartitionStat{Partition: p.id, Next: p.water.Next(), End: p.end.Load(), Pending: p.water.Pending()}
		st.Lag = max(0, st.End-max(0, st.Next))
		s.Assigned = append(s.Assigned, st)
		s.Waiting += int(p.waiting.Load())
		if at := p.water.Oldest(); !at.IsZero() {
			s.OldestAge = max(s.OldestAge, now.Sub(at))
		}
	}
	return s
}

type producerStats struct {
	written, failed, retries, waiting atomic.Int64
}

func (s *producerStats) count(n int, err error) {
	var refused RecordErrors
	switch {
	case err == nil:
	case errors.As(err, &refused):
		s.failed.Add(int64(len(refused)))
		n -= len(refused)
	default:
		s.failed.Add(int64(n))
		n = 0
	}
	s.written.Add(int64(n))
}

// ProducerStats counts what a Producer did since it was made.
type ProducerStats struct {
	Written int64 // acknowledged records
	Failed  int64 // records of writes that ended in an error, and refused ones
	Retries int64 // records written again after they were not acknowledged
	Waiting int64 // records that wait for their acknowledgement now
}

// Stats tells what was written.
func (p *Producer) Stats() ProducerStats {
	return ProducerStats{
		Written: p.stats.written.Load(), Failed: p.stats.failed.Load(), Retries: p.stats.retries.Load(),
		Waiting: p.stats.waiting.Load(),
	}
}

// FollowerStats is what a Follower is doing, for metrics and alarms.
type FollowerStats struct {
	Assigned []PartitionStat // partitions of this member

	Records      int64 // handled since the start
	Batches      int64
	Generations  int64
	Skipped      int64 // records that were deleted before they were read
	HandleFaults int64
	FetchFaults  int64
}

// Lag is the sum over the partitions.
func (s FollowerStats) Lag() int64 {
	return ConsumerStats{Assigned: s.Assigned}.Lag()
}

// Stats tells what the follower is doing now.
func (f *Follower) Stats() FollowerStats {
	s := FollowerStats{
		Records: f.records.Load(), Batches: f.batches.Load(), Generations: f.generations.Load(), Skipped: f.skipped.Load(),
		HandleFaults: f.handleFaults.Load(), FetchFaults: f.fetchFaults.Load(),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.parts {
		st := PartitionStat{Partition: p.id, Next: p.next.Load(), End: p.end.Load(), Pending: int(p.held.Load())}
		st.Lag = max(0, st.End-st.Next)
		s.Assigned = append(s.Assigned, st)
	}
	return s
}
