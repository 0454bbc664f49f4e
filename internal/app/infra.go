package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/backoff"
	"github.com/herald-gateway/herald/internal/kafka"
	broker "github.com/herald-gateway/herald/internal/kafka/embedded"
	"github.com/herald-gateway/herald/internal/postgres"
	server "github.com/herald-gateway/herald/internal/postgres/embedded"
)

// partitionsAhead is for how many days after today partitions are made.
const partitionsAhead = 2 * 24 * time.Hour

// startDatabase starts the embedded server when none is configured, waits for the database, brings its schema up to date
// and makes the partitions of the days around now.
func (a *App) startDatabase(ctx context.Context) error {
	url := a.cfg.Postgres.URL.Reveal()
	if a.cfg.Postgres.Embedded() {
		s, err := server.Start(ctx, server.Config{Dir: filepath.Join(a.cfg.DataDir(), "postgres"), Log: a.log})
		if err != nil {
			return err
		}
		a.stops.push("embedded database", 30*time.Second, s.Stop)
		url, a.info.Database = s.URL(), s.URL()
	}
	db, err := openDatabase(ctx, a.cfg, url, a.log)
	if err != nil {
		return err
	}
	a.db = db
	a.stops.push("database pools", 5*time.Second, func(context.Context) error { db.Close(); return nil })
	a.health.Register("postgres", db.Ping)
	a.watchPools()
	if err := db.WaitReady(ctx); err != nil {
		return err
	}
	if err := a.repeat(ctx, "migrate", func(ctx context.Context) error { return postgres.Migrate(ctx, db) }); err != nil {
		return err
	}
	return a.repeat(ctx, "make partitions", a.makePartitions)
}

// openDatabase opens the pools to the database at url.
func openDatabase(ctx context.Context, cfg *configs.Config, url string, log *slog.Logger) (*postgres.DB, error) {
	return postgres.Open(ctx, postgres.Config{
		URL: url, HotConns: int32(cfg.Postgres.HotConns), GeneralConns: int32(cfg.Postgres.GeneralConns), //nolint:gosec // validated
		Log: log,
	})
}

func (a *App) makePartitions(ctx context.Context) error {
	now := a.now()
	return postgres.EnsurePartitions(ctx, a.db, now.Add(-24*time.Hour), now.Add(partitionsAhead))
}

// repeat does something again while the database is away.
func (a *App) repeat(ctx context.Context, what string, do func(context.Context) error) error {
	var pause backoff.Backoff
	for {
		err := do(ctx)
		if err == nil || !postgres.Away(err) && !postgres.Retryable(err) || ctx.Err() != nil {
			return err
		}
		a.log.WarnContext(ctx, "database away, waiting", "call", what, "err", err)
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// startBroker starts the embedded broker when none is configured, waits for the cluster, makes the topics and opens the
// producers.
func (a *App) startBroker(ctx context.Context) error {
	brokers := a.cfg.Kafka.Brokers
	if a.cfg.Kafka.Embedded() {
		b, err := broker.Start(ctx, broker.Config{
			Dir: filepath.Join(a.cfg.DataDir(), "kafka"), Listen: a.cfg.Kafka.Listen, SyncWrites: true, Log: a.log,
		})
		if err != nil {
			return err
		}
		a.stops.push("embedded broker", 5*time.Second, b.Close)
		brokers = []string{b.Addr()}
	}
	client, err := openKafka(a.cfg, brokers, a.log)
	if err != nil {
		return err
	}
	a.kafka, a.info.Kafka = client, strings.Join(brokers, ",")
	a.stops.push("kafka client", 5*time.Second, func(context.Context) error { client.Close(); return nil })
	a.health.Register("kafka", client.Ping)
	if err := a.waitBroker(ctx); err != nil {
		return err
	}
	if err := client.EnsureTopics(ctx, topics(a.cfg)); err != nil {
		return err
	}
	a.producer = producers{
		events: kafka.NewProducer(client, kafka.ProducerConfig{}),
		jobs: map[delivery.Lane]*kafka.Producer{
			delivery.LaneTransactional: kafka.NewProducer(client, kafka.ProducerConfig{Fast: true}),
			delivery.LaneBulk:          kafka.NewProducer(client, kafka.ProducerConfig{}),
		},
	}
	a.watchProducers()
	a.stops.push("producers", 5*time.Second, func(context.Context) error {
		errs := []error{a.producer.events.Close()}
		for _, p := range a.producer.jobs {
			errs = append(errs, p.Close())
		}
		return errors.Join(errs...)
	})
	return nil
}

// waitBroker learns the cluster's id. A broker that is away is waited for; what a login or certificate is refused for is
// an error.
func (a *App) waitBroker(ctx context.Context) error {
	var pause backoff.Backoff
	for {
		id, err := a.kafka.ClusterID(ctx)
		if err == nil {
			a.cluster = id
			return nil
		}
		detail := a.kafka.Check(ctx)
		if kafka.Refused(detail) {
			return detail
		}
		a.log.WarnContext(ctx, "broker away, waiting", "err", errors.Join(err, detail))
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// openKafka makes the client of the brokers, with the configured login.
func openKafka(cfg *configs.Config, brokers []string, log *slog.Logger) (*kafka.Client, error) {
	k := cfg.Kafka
	encryption, err := k.TLS.Client()
	if err != nil {
		return nil, err
	}
	return kafka.Open(kafka.Config{
		Brokers: brokers, ClientID: k.ClientID, TLS: encryption, Prefix: k.Prefix, Log: log,
		SASL: kafka.SASL{Mechanism: k.SASL.Mechanism, User: k.SASL.User, Password: k.SASL.Password.Reveal()},
	})
}

// topics are Herald's topics as configured.
func topics(cfg *configs.Config) []kafka.Topic {
	k := cfg.Kafka
	list := kafka.Topics(k.Prefix, k.Embedded())
	partitions := []int{k.Partitions.Transactional, k.Partitions.Bulk, k.Partitions.Events, k.Partitions.Dead}
	retention := []configs.Duration{
		k.Retention.Transactional, k.Retention.Bulk, k.Retention.Events, k.Retention.Dead,
	}
	for i := range list {
		if partitions[i] > 0 {
			list[i].Partitions = partitions[i]
		}
		list[i].Retention, list[i].Replicas = retention[i].D(), k.Replicas
	}
	return list
}
