package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/bench"
	"github.com/herald-gateway/herald/internal/app"
)

func benchCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Measure Herald on this machine"}
	for _, s := range bench.Scenarios() {
		c.AddCommand(benchScenario(f, s))
	}
	c.AddCommand(benchBroker(f))
	return c
}

func benchScenario(f *flags, s bench.Scenario) *cobra.Command {
	var o bench.Options
	var compare string
	var asJSON bool
	c := &cobra.Command{
		Use: s.Name, Short: s.Short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Binary, err = os.Executable(); err != nil {
				return err
			}
			o.Version, o.Progress, o.Dir = version, os.Stderr, f.data
			var old *bench.Result
			if compare != "" {
				if old, err = bench.ReadResult(compare); err != nil {
					return err
				}
			}
			res, err := s.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(os.Stdout)
				e.SetIndent("", "  ")
				return e.Encode(res)
			}
			res.Print(os.Stdout, old)
			return nil
		},
	}
	fl := c.Flags()
	fl.IntVar(&o.Jobs, "jobs", s.Jobs, "jobs")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	fl.StringVar(&compare, "compare", "", "older result, written with --json, to print beside")
	fl.StringSliceVar(&o.Brokers, "brokers", nil, "an external Kafka, instead of the embedded broker")
	fl.StringVar(&o.Profile, "profile", "", "directory for CPU and heap profiles of the gateway")
	fl.BoolVar(&o.Keys, "keys", false, "jobs carry keys of their producer")
	fl.IntVar(&o.Window, "window", 1000, "unanswered messages of each of the two connections")
	fl.DurationVar(&o.Latency, "latency", 20*time.Millisecond, "time to the SMSC's answer")
	fl.DurationVar(&o.ReceiptDelay, "receipt-delay", 300*time.Millisecond, "time from the answer to the receipt")
	return c
}

// benchBroker is a process of the benchmark.
func benchBroker(f *flags) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use: "broker", Short: "Run the embedded broker alone", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.RunBroker(cmd.Context(), f.data, listen, func(addr string) { fmt.Println(addr) })
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address")
	return c
}
