package app

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-gateway/herald/api"
	keystore "github.com/herald-gateway/herald/api/postgres"
	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/cascade/scheduler"
	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	claimstore "github.com/herald-gateway/herald/dispatcher/postgres"
	"github.com/herald-gateway/herald/internal/backoff"
	"github.com/herald-gateway/herald/internal/kafka"
	"github.com/herald-gateway/herald/internal/postgres"
	profilestore "github.com/herald-gateway/herald/profiles/postgres"
	"github.com/herald-gateway/herald/tracking"
	trackstore "github.com/herald-gateway/herald/tracking/postgres"
	"github.com/herald-gateway/herald/tracking/recorder"
)

// The names of Herald's consumer groups.
const (
	recorderStream  = "recorder"
	groupRecorder   = ".recorder"
	groupDispatcher = ".dispatcher."
)

// startOwner makes the process known before it joins any group or claims anything.
func (a *App) startOwner(ctx context.Context) error {
	a.owner = dispatcher.NewOwnership(claimstore.NewOwners(a.db.General), a.process(), a.kafka.Name(), a.log, a.sendOff)
	if err := a.owner.Register(ctx); err != nil {
		return err
	}
	a.stops.push("owner", 5*time.Second, a.owner.Retire)
	a.stops.run("heartbeat", 5*time.Second, a.owner.Run)
	return nil
}

// sendOff takes the members of dead processes out of all of Herald's groups.
func (a *App) sendOff(ctx context.Context, members []string) {
	groups := []string{a.kafka.Prefix() + groupRecorder}
	for _, l := range delivery.Lanes() {
		groups = append(groups, a.dispatchGroup(l))
	}
	for _, g := range groups {
		if err := a.kafka.SendOff(ctx, g, members...); err != nil {
			a.log.WarnContext(ctx, "cannot send dead members away", "group", g, "err", err)
		}
	}
}

func (a *App) dispatchGroup(l delivery.Lane) string {
	return a.kafka.Prefix() + groupDispatcher + l.String()
}

// startRecorder reads herald.events into the database.
func (a *App) startRecorder(context.Context) error {
	store := trackstore.New(a.db, duestore.New(a.db.Hot))
	rec, err := recorder.New(recorder.Config{
		Stream: recorderStream, Topic: a.kafka.EventsTopic(), Cluster: a.cluster, DeadTopic: a.kafka.DeadTopic(),
		Lost: kafka.ErrLost, Now: a.now, Log: a.log, Metrics: a.reg,
	}, store, a.producer.events)
	if err != nil {
		return err
	}
	follower, err := kafka.NewFollower(a.kafka, kafka.FollowerConfig{
		Group: a.kafka.Prefix() + groupRecorder, Topic: a.kafka.EventsTopic(), Position: rec.Position, Handle: rec.Handle,
	})
	if err != nil {
		return err
	}
	a.stops.run("recorder", 10*time.Second, func(ctx context.Context) {
		if err := follower.Run(ctx); err != nil && ctx.Err() == nil {
			a.failed("recorder", err)
		}
	})
	a.watchFollower(follower)
	return nil
}

// startScheduler produces what is due, and keeps house: partitions ahead, old ones away, keys forgotten.
func (a *App) startScheduler(context.Context) error {
	s := scheduler.New(scheduler.Config{
		Topics: a.jobTopics(), DeadTopic: a.kafka.DeadTopic(), EventsTopic: a.kafka.EventsTopic(), Now: a.now, Log: a.log,
		Metrics: a.reg,
	}, duestore.New(a.db.Hot), a.producer.jobs[delivery.LaneTransactional])
	a.stops.run("scheduler", 10*time.Second, s.Run)
	a.stops.run("housekeeping", 10*time.Second, a.keepHouse)
	return nil
}

func (a *App) jobTopics() map[delivery.Lane]string {
	topics := map[delivery.Lane]string{}
	for _, l := range delivery.Lanes() {
		topics[l] = a.kafka.TopicName(l)
	}
	return topics
}

// keepHouse does every hour what nobody waits for.
func (a *App) keepHouse(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := errors.Join(a.makePartitions(ctx), a.dropOld(ctx)); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "housekeeping", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) dropOld(ctx context.Context) error {
	r := a.cfg.Retention
	days := func(d time.Duration) int { return int(d / (24 * time.Hour)) }
	keep := postgres.Keep{"provider_ref": days(r.ProviderRef.D())}
	for _, table := range []string{"claim", "message", "message_event", "job_body"} {
		keep[table] = days(r.Messages.D())
	}
	dropped, err := postgres.DropPartitions(ctx, a.db, keep, a.now())
	if len(dropped) > 0 {
		a.log.InfoContext(ctx, "dropped old partitions", "tables", dropped)
	}
	_, keyErr := a.db.General.Exec(ctx, `with keys as (delete from job_key where at < $1)
		delete from job_record where at < $1`, a.now().Add(-r.JobKey.D()))
	_, partErr := a.db.General.Exec(ctx, `with events as (delete from event_parked where at < $1)
		delete from part_state where message_id < id_at($1)`, a.now().Add(-r.Messages.D()))
	return errors.Join(err, keyErr, partErr)
}

// startReceipts makes the part that takes receipts in, and with the role track looks again for those that nobody could
// place.
func (a *App) startReceipts(ctx context.Context) error {
	receipts, err := tracking.NewReceipts(tracking.Config{
		Topic: a.kafka.EventsTopic(), Now: a.now, Log: a.log, Metrics: a.reg,
	}, trackstore.New(a.db, duestore.New(a.db.Hot)), a.producer.events)
	if err != nil {
		return err
	}
	a.receipts = receipts
	return a.role(func(context.Context) error {
		a.stops.run("receipts", 10*time.Second, receipts.Run)
		return nil
	}, RoleTrack)(ctx)
}

// startDispatcher takes jobs to providers.
func (a *App) startDispatcher(ctx context.Context) error {
	claims, err := a.claims(ctx, func() (*claimstore.Store, error) {
		return claimstore.NewStore(ctx, a.db.Hot, a.cluster, duestore.New(a.db.Hot))
	})
	if err != nil {
		return err
	}
	accounts, err := a.accounts(ctx, a.receipts)
	if err != nil {
		return err
	}
	d, err := dispatcher.New(a.dispatchConfig(), dispatcher.Deps{
		Claims: claims, Owner: a.owner, Fates: a.fates(), Events: a.producer.events, References: a.receipts,
		Accounts: accounts, Now: a.now, Log: a.log, Metrics: a.reg,
	})
	if err != nil {
		return err
	}
	d.Start()
	// Last in, first out: the drain begins by closing the gate, and the consumers leave the group when it is over.
	for _, l := range delivery.Lanes() {
		if err := a.startConsumer(l, d); err != nil {
			return err
		}
	}
	a.stops.push("dispatcher", a.cfg.Dispatch.Drain.D()+time.Second, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, a.cfg.Dispatch.Drain.D())
		defer cancel()
		return d.Drain(ctx)
	})
	return nil
}

// claims opens the store of claims, which asks the database for a name.
func (a *App) claims(
	ctx context.Context, open func() (*claimstore.Store, error),
) (store *claimstore.Store, err error) {
	err = a.repeat(ctx, "open claims", func(context.Context) error {
		store, err = open()
		return err
	})
	return store, err
}

// leaveAfter is how long a consumer waits for records that are not done when the dispatcher has drained: none will be.
const leaveAfter = 300 * time.Millisecond

func (a *App) startConsumer(l delivery.Lane, d *dispatcher.Dispatcher) error {
	budget := a.cfg.Dispatch.Lanes.Bulk
	if l == delivery.LaneTransactional {
		budget = a.cfg.Dispatch.Lanes.Transactional
	}
	c, err := kafka.NewConsumer(a.kafka, kafka.ConsumerConfig{
		Group: a.dispatchGroup(l), Topic: a.kafka.TopicName(l), MaxInFlight: budget.MaxInFlight, MaxPerPart: budget.MaxPerPart,
		StopTimeout: leaveAfter, Gate: d.Open,
		Handler: func(ctx context.Context, batch []*delivery.Received) { d.Handle(ctx, l, batch) },
	})
	if err != nil {
		return err
	}
	a.stops.run("consumer "+l.String(), 5*time.Second, func(ctx context.Context) {
		if err := c.Run(ctx); err != nil && ctx.Err() == nil {
			a.failed("consumer "+l.String(), err)
		}
	})
	a.watchConsumer(l, c)
	return nil
}

func (a *App) dispatchConfig() dispatcher.Config {
	c := a.cfg.Dispatch
	lane := func(l configs.Lane) dispatcher.LaneConfig {
		return dispatcher.LaneConfig{Batch: l.Batch, Wait: l.Wait.D(), Workers: l.Workers}
	}
	cfg := dispatcher.Config{
		Lanes: map[delivery.Lane]dispatcher.LaneConfig{
			delivery.LaneTransactional: lane(c.Lanes.Transactional),
			delivery.LaneBulk:          lane(c.Lanes.Bulk),
		},
		RetryMax: c.Retry.Max, RetryFirst: c.Retry.First.D(), RetryMost: c.Retry.Most.D(), RedriveMax: c.Redrive.Max,
		HoldAfter: c.ProviderDown.HoldAfter.D(), HoldFor: c.ProviderDown.HoldFor.D(), Patience: c.ProviderDown.Patience.D(),
		EventsTopic: a.kafka.EventsTopic(), DeadTopic: a.kafka.DeadTopic(),
	}
	if zone, err := time.LoadLocation(a.cfg.Policies["default"].Timezone); err == nil {
		cfg.Zone = zone
	}
	return cfg
}

// process is the name of this process among the owners.
func (a *App) process() string {
	if a.cfg.Process != "" {
		return a.cfg.Process
	}
	host, _ := os.Hostname()
	dir, err := filepath.Abs(a.cfg.DataDir())
	if err != nil {
		dir = a.cfg.DataDir()
	}
	return host + ":" + dir
}

// fates joins what is recorded with how far the recorder is behind the log.
type fates struct {
	store *trackstore.Fates
	kafka *kafka.Client
}

func (a *App) fates() *fates {
	return &fates{trackstore.NewFates(a.db.Hot), a.kafka}
}

// Fates implements dispatcher.Fates.
func (f *fates) Fates(ctx context.Context, messages []delivery.ID) (map[delivery.ID]delivery.Fate, error) {
	return f.store.Fates(ctx, messages)
}

// CatchUp implements dispatcher.Fates.
func (f *fates) CatchUp(ctx context.Context) error {
	ends, err := f.kafka.EndOffsets(ctx, f.kafka.EventsTopic())
	if err != nil {
		return err
	}
	pause := backoff.Backoff{First: 10 * time.Millisecond, Most: 500 * time.Millisecond}
	for {
		caught, err := f.store.Caught(ctx, recorderStream, f.kafka.EventsTopic(), ends)
		if err != nil || caught {
			return err
		}
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// startKey finds or makes the administrator's key of a process with its own database.
func (a *App) startKey(context.Context) error {
	a.key = a.cfg.BootstrapAPIKey.Reveal()
	if !a.cfg.Postgres.Embedded() {
		return nil
	}
	path := filepath.Join(a.cfg.DataDir(), keyFile)
	if a.key == "" {
		if b, err := os.ReadFile(path); err == nil {
			a.key = strings.TrimSpace(string(b))
		}
	}
	if a.key == "" {
		a.key, a.keyMade = api.NewKey(), true
	}
	return replaceFile(path, []byte(a.key+"\n"), 0o600)
}

// intakeTimeout is how long POST /messages waits for the database and the broker.
const intakeTimeout = 5 * time.Second

// startAPI serves the API.
func (a *App) startAPI(ctx context.Context) error {
	claims, err := a.claims(ctx, func() (*claimstore.Store, error) {
		return claimstore.NewStore(ctx, a.db.General, a.cluster, duestore.New(a.db.General))
	})
	if err != nil {
		return err
	}
	writers := map[delivery.Lane]dispatcher.Writer{}
	for l, p := range a.producer.jobs {
		writers[l] = p
	}
	handler, err := api.New(api.Config{
		Intake:  &dispatcher.Intake{Keys: claims, Writer: writers, Topics: a.jobTopics(), Timeout: intakeTimeout, Now: a.now},
		Reports: trackstore.NewReports(a.db.General, a.now), Profiles: profilestore.New(a.db.General),
		Keys: keystore.New(a.db.General), BootstrapKey: a.key, Build: api.Build(a.build), Log: a.log, Now: a.now,
	})
	if err != nil {
		return err
	}
	var h http.Handler = handler
	a.api.Store(&h)
	return nil
}
