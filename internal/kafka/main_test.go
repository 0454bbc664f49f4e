package kafka_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/kafka"
)

const childEnv = "HERALD_TEST_MEMBER"

// childConfig is a member of a group in a process of its own.
type childConfig struct {
	Brokers      []string
	Group, Topic string
	MaxPerPart   int
	Session      time.Duration
}

// TestMain makes the test binary a member of a group when a test asks for one.
func TestMain(m *testing.M) {
	if s := os.Getenv(childEnv); s != "" {
		var cfg childConfig
		if err := json.Unmarshal([]byte(s), &cfg); err != nil {
			panic(err)
		}
		runChild(cfg)
		return
	}
	// The library keeps goroutines for its pools of connections, and ends them when they are idle.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*connPool).discover"),
		goleak.IgnoreAnyFunction("github.com/segmentio/kafka-go.(*conn).run"))
}

// runChild finishes records out of order and after a while, and writes a line for each before it calls Done: the line
// is the durable fate.
func runChild(cfg childConfig) {
	c, err := kafka.Open(kafka.Config{Brokers: cfg.Brokers})
	if err != nil {
		panic(err)
	}
	fmt.Println("client", c.Name())
	var out sync.Mutex
	k, err := kafka.NewConsumer(c, kafka.ConsumerConfig{
		Group: cfg.Group, Topic: cfg.Topic, MaxPerPart: cfg.MaxPerPart, MaxBatch: 50, SessionTimeout: cfg.Session,
		DrainTimeout: 500 * time.Millisecond,
		Handler: func(_ context.Context, batch []*delivery.Received) {
			for _, r := range batch {
				time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, func() {
					out.Lock()
					fmt.Printf("done %d %d %s\n", r.Partition, r.Offset, r.Value)
					out.Unlock()
					r.Done()
				})
			}
		},
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the parent closes the input to stop it
		_, _ = os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	fmt.Println("end", k.Run(ctx))
}
