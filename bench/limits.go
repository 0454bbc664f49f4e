package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	claimstore "github.com/herald-gateway/herald/dispatcher/postgres"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/smpp"
	trackstore "github.com/herald-gateway/herald/tracking/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
)

// limits measures the parts alone, each on what the run has left behind.
func (r *rig) limits(ctx context.Context, res *Result) error {
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"session", func(ctx context.Context) error { return r.sessionAlone(ctx, false) }},
		{"session with receipts", func(ctx context.Context) error { return r.sessionAlone(ctx, true) }},
		{"consumer", r.consumerAlone},
		{"claims", r.claimsAlone},
		{"recorder", r.recorderAlone},
	} {
		r.opts.say("alone: %s", part.name)
		group := "alone: " + part.name
		objects := ownAllocations()
		self, pg, broker, began := ownCPU(), cpu(r.db.Pid()), r.brokerCPU(), time.Now()
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", group, err)
		}
		took := time.Since(began)
		res.add(group, "rate", float64(r.opts.Jobs)/took.Seconds(), "msg/s")
		res.add(group, "itself", r.each(ownCPU()-self), "us")
		res.add(group, "allocations", float64(ownAllocations()-objects)/float64(r.opts.Jobs), "")
		if d := cpu(r.db.Pid()) - pg; d > time.Millisecond {
			res.add(group, "PostgreSQL", r.each(d), "us")
		}
		if d := r.brokerCPU() - broker; d > time.Millisecond {
			res.add(group, "broker", r.each(d), "us")
		}
	}
	return nil
}

// nowhere takes receipts and forgets them.
type nowhere struct{ n atomic.Int64 }

func (s *nowhere) Receipts(_ context.Context, batch []delivery.Receipt) error {
	s.n.Add(int64(len(batch)))
	return nil
}

func (*nowhere) Replies(context.Context, []delivery.Reply) error { return nil }

// sessionAlone submits messages to the simulator, and waits for all answers, and receipts if they are asked for.
func (r *rig) sessionAlone(ctx context.Context, receipts bool) error {
	name := "alone"
	if receipts {
		name += "-receipts"
	}
	settings, err := configs.ParseSettings(r.account(name, receipts))
	if err != nil {
		return err
	}
	sink, window := &nowhere{}, providers.NewWindow()
	p, err := smpp.New(providers.Setup{ //nolint:contextcheck // an account lives until it is closed
		Name: name, Channel: delivery.ChannelSMS, Window: window, Log: slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(), Decode: settings.Decode,
	})
	if err != nil {
		return err
	}
	p.(providers.ReceiptSource).Listen(sink)
	size := 2 * r.opts.Window
	if err := until(ctx, startWithin, time.Millisecond, "bound", func() (bool, error) { return window.Size() == size, nil }); err != nil {
		return err
	}
	m := &providers.Message{
		ID: 8, Attempt: 1, Category: delivery.CategoryMarketing, To: "+79001234567", TTL: time.Hour,
		Content: &delivery.SMS{Text: "Anna, your order 00000001 is packed. Come and take it until Sunday, 10-22."},
	}
	slots := make(chan struct{}, size)
	var answers, refused atomic.Int64
	done := func(_ *providers.Message, res providers.Result) {
		if res.Outcome != delivery.OutcomeAccepted {
			refused.Add(1)
		}
		answers.Add(1)
		<-slots
	}
	for range r.opts.Jobs {
		slots <- struct{}{}
		if err := p.Submit(ctx, m, done); err != nil {
			return err
		}
	}
	jobs := int64(r.opts.Jobs)
	err = until(ctx, startWithin, time.Millisecond, "answers", func() (bool, error) {
		return answers.Load() == jobs && (!receipts || sink.n.Load()+refused.Load() >= jobs), nil
	})
	if err == nil && refused.Load() > 0 {
		err = fmt.Errorf("%d messages were refused", refused.Load())
	}
	_ = p.Close(ctx)
	return err
}

// consumerAlone reads the jobs in a group of its own and commits.
func (r *rig) consumerAlone(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var n atomic.Int64
	c, err := kafka.NewConsumer(r.kafka, kafka.ConsumerConfig{
		Group: r.prefix + ".alone", Topic: r.kafka.TopicName(delivery.LaneBulk),
		Handler: func(_ context.Context, batch []*delivery.Received) {
			for _, rec := range batch {
				rec.Done()
			}
			if n.Add(int64(len(batch))) >= int64(r.opts.Jobs) {
				cancel()
			}
		},
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// scratch is a database beside the one of the run.
func (r *rig) scratch(ctx context.Context, name string) (*postgres.DB, error) {
	if _, err := r.sql.General.Exec(ctx, "create database "+name); err != nil {
		return nil, err
	}
	u, err := url.Parse(r.db.URL())
	if err != nil {
		return nil, err
	}
	u.Path = "/" + name
	db, err := postgres.Open(ctx, postgres.Config{URL: u.String()})
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, db.Close)
	if err := postgres.Migrate(ctx, db); err != nil {
		return nil, err
	}
	now := time.Now()
	return db, postgres.EnsurePartitions(ctx, db, now.Add(-24*time.Hour), now.Add(24*time.Hour))
}

// claimsAlone claims jobs and marks them as handed over, in batches, on one connection at a time.
func (r *rig) claimsAlone(ctx context.Context) error {
	db, err := r.scratch(ctx, "claims")
	if err != nil {
		return err
	}
	owner, err := claimstore.NewOwners(db.General).Register(ctx, "alone", "alone")
	if err != nil {
		return err
	}
	store, err := claimstore.NewStore(ctx, db.Hot, "alone", duestore.New(db.Hot))
	if err != nil {
		return err
	}
	const batch = 500
	for from := 0; from < r.opts.Jobs; from += batch {
		asks := make([]dispatcher.Ask, min(batch, r.opts.Jobs-from))
		for i := range asks {
			asks[i] = dispatcher.Ask{Lane: delivery.LaneBulk, Offset: int64(from + i), Launch: launch}
		}
		claimed, err := store.Claim(ctx, owner.ID, asks, time.Now())
		if err != nil {
			return err
		}
		ids := make([]delivery.ID, len(claimed))
		for i, c := range claimed {
			ids[i] = c.ID
		}
		if _, err := store.Mark(ctx, owner.ID, ids); err != nil {
			return err
		}
	}
	return nil
}

// recorderAlone records the events of the run once more, into another database.
func (r *rig) recorderAlone(ctx context.Context) error {
	db, err := r.scratch(ctx, "recorder")
	if err != nil {
		return err
	}
	cluster, err := r.kafka.ClusterID(ctx)
	if err != nil {
		return err
	}
	ends, err := r.kafka.EndOffsets(ctx, r.kafka.EventsTopic())
	if err != nil {
		return err
	}
	var left atomic.Int64
	for _, end := range ends {
		left.Add(end)
	}
	rec, err := recorder.New(recorder.Config{
		Stream: "alone", Topic: r.kafka.EventsTopic(), Cluster: cluster, DeadTopic: r.kafka.DeadTopic(), Replay: true,
	}, trackstore.New(db, duestore.New(db.Hot)), kafka.NewProducer(r.kafka, kafka.ProducerConfig{}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := kafka.NewFollower(r.kafka, kafka.FollowerConfig{
		Group: r.prefix + ".alone.recorder", Topic: r.kafka.EventsTopic(), Position: rec.Position,
		Handle: func(ctx context.Context, partition int, batch []delivery.Record) error {
			if err := rec.Handle(ctx, partition, batch); err != nil {
				return err
			}
			if left.Add(-int64(len(batch))) <= 0 {
				cancel()
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	return f.Run(ctx)
}
