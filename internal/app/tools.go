package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
	broker "github.com/herald-gateway/herald/internal/kafka/embedded"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/telemetry"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// NewLogger makes the logger of a process, on standard error.
func NewLogger(cfg *configs.Config) (*slog.Logger, *slog.LevelVar, error) {
	return telemetry.NewLogger(os.Stderr, telemetry.LogConfig{Level: cfg.Log.Level, Format: cfg.Log.Format})
}

// Migration is a step of the schema and when it ran; the zero time is a step that is missing.
type Migration struct {
	Version int64
	Name    string
	At      time.Time
}

// Migrate brings the schema of the configured database up to date.
func Migrate(ctx context.Context, cfg *configs.Config) error {
	return withDatabase(ctx, cfg, func(db *postgres.DB) error { return postgres.Migrate(ctx, db) })
}

// Migrations lists the steps of the schema.
func Migrations(ctx context.Context, cfg *configs.Config) (list []Migration, err error) {
	err = withDatabase(ctx, cfg, func(db *postgres.DB) error {
		steps, err := postgres.MigrationStatus(ctx, db)
		for _, m := range steps {
			list = append(list, Migration{m.Version, m.Name, m.AppliedAt})
		}
		return err
	})
	return list, err
}

func withDatabase(ctx context.Context, cfg *configs.Config, do func(*postgres.DB) error) error {
	url, err := databaseURL(cfg)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, cfg, url, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil {
		return fmt.Errorf("the database cannot be reached: %w", err)
	}
	return do(db)
}

// databaseURL is the configured database, or the embedded one of the process that runs in the data directory.
func databaseURL(cfg *configs.Config) (string, error) {
	if !cfg.Postgres.Embedded() {
		return cfg.Postgres.URL.Reveal(), nil
	}
	info, err := readRunInfo(cfg.DataDir())
	if err != nil {
		return "", fmt.Errorf("the embedded database is there while Herald runs: %w", err)
	}
	return info.Database, nil
}

// CheckBrokers dials every configured broker once and reports exactly what is wrong with each.
func CheckBrokers(ctx context.Context, cfg *configs.Config) error {
	if cfg.Kafka.Embedded() {
		return nil
	}
	client, err := openKafka(cfg, cfg.Kafka.Brokers, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Check(ctx)
}

// DeadLetters calls do with every dead letter of the class, of all classes when it is empty.
func DeadLetters(ctx context.Context, cfg *configs.Config, class string, do func(delivery.Record) error) error {
	return withKafka(cfg, func(k *kafka.Client) error { return scanDead(ctx, k, class, do) })
}

// ReplayDead puts the dead letters of the class back on the topics that they came from and returns how many. Each names
// its original, so that one that is replayed again is no new job.
func ReplayDead(ctx context.Context, cfg *configs.Config, class string) (n int, err error) {
	err = withKafka(cfg, func(k *kafka.Client) error {
		var back []delivery.Record
		err := scanDead(ctx, k, class, func(r delivery.Record) error {
			topic := string(r.Header(delivery.HeaderOriginTopic))
			if topic == "" { // it came from the database, not from a topic
				return nil
			}
			of := fmt.Appendf(nil, "%s/%s/%s", topic, r.Header(delivery.HeaderOriginPartition),
				r.Header(delivery.HeaderOriginOffset))
			back = append(back, delivery.Record{
				Topic: topic, Key: r.Key, Value: r.Value,
				Headers: append(delivery.WithoutDeadHeaders(r.Headers),
					delivery.Header{Key: delivery.HeaderReplayOf, Value: of}),
			})
			return nil
		})
		if n = len(back); err != nil || n == 0 {
			return err
		}
		p := kafka.NewProducer(k, kafka.ProducerConfig{Fast: true})
		defer p.Close()
		return p.Write(ctx, back)
	})
	return n, err
}

func scanDead(ctx context.Context, k *kafka.Client, class string, do func(delivery.Record) error) error {
	return k.Scan(ctx, k.DeadTopic(), func(r delivery.Record) (bool, error) {
		if class != "" && string(r.Header(delivery.HeaderErrorClass)) != class {
			return true, nil
		}
		return true, do(r)
	})
}

// withKafka opens the configured brokers, or those of the process that runs in the data directory.
func withKafka(cfg *configs.Config, do func(*kafka.Client) error) error {
	brokers := cfg.Kafka.Brokers
	if cfg.Kafka.Embedded() {
		info, err := readRunInfo(cfg.DataDir())
		if err != nil {
			return fmt.Errorf("the embedded broker is there while Herald runs: %w", err)
		}
		brokers = strings.Split(info.Kafka, ",")
	}
	client, err := openKafka(cfg, brokers, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client)
}

// SMSC is what can be set of a simulated SMSC from the command line.
type SMSC struct {
	Listen, HTTP          string // addresses for SMPP, and for counts and faults
	MaxBinds              int    // connections of one account; 0: no limit
	TPS, AccountTPS       int    // messages a second, of a connection and of an account; 0: no limit
	Window, DeliverWindow int    // unanswered messages and receipts of a connection; 0: no limit, and 1000
	Latency               time.Duration
	ReceiptDelay          time.Duration
	ReceiptSpread         time.Duration // a random time added to ReceiptDelay
	Undelivered, Expired  float64       // shares of the messages
	ResponseID, ReceiptID string        // hex, hex_upper, decimal or scattered
	TLVs                  bool
	NoRules               bool   // no destination is special
	Record                string // file to which accepted messages are appended
}

// SimulateSMSC runs a simulated SMSC until ctx ends. ready learns its addresses.
func SimulateSMSC(ctx context.Context, s SMSC, ready func(smpp, http string)) error {
	cfg := sim.Config{
		Listen: s.Listen, HTTPListen: s.HTTP, MaxBinds: s.MaxBinds, TPS: s.TPS, AccountTPS: s.AccountTPS, Window: s.Window,
		DeliverWindow: s.DeliverWindow, ResponseDelay: s.Latency, ReceiptDelay: s.ReceiptDelay,
		ReceiptSpread: s.ReceiptSpread, Rates: sim.Rates{Undelivered: s.Undelivered, Expired: s.Expired}, TLVs: s.TLVs,
		ResponseID: sim.IDForm(s.ResponseID), ReceiptID: sim.IDForm(s.ReceiptID), Record: s.Record, NoRules: s.NoRules,
	}
	server, err := sim.Start(cfg)
	if err != nil {
		return err
	}
	ready(server.Addr(), server.HTTPAddr())
	<-ctx.Done()
	return server.Close()
}

// RunBroker runs the embedded broker alone, synced as in Herald, until ctx ends. ready learns its address.
func RunBroker(ctx context.Context, dir, listen string, ready func(addr string)) error {
	b, err := broker.Start(ctx, broker.Config{Dir: dir, Listen: listen, SyncWrites: true})
	if err != nil {
		return err
	}
	ready(b.Addr())
	<-ctx.Done()
	return b.Close(context.WithoutCancel(ctx))
}
