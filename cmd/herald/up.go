package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/internal/app"
)

func upCommand(f *flags) *cobra.Command {
	var demo bool
	c := &cobra.Command{
		Use: "up", Short: "Run everything in one process: database, broker, simulators, all roles", Args: cobra.NoArgs,
		Long: `Run everything in one process, with nothing else installed than PostgreSQL's binaries: an embedded database and
broker when none are configured, simulators for channels without a provider, and all roles. With --demo the example jobs
are sent and their progress is shown.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			if os.Getenv("HERALD_LOG_LEVEL") == "" && f.config == "" && demo {
				cfg.Log.Level = "warn" // the progress is the output
			}
			log, level, err := app.NewLogger(cfg)
			if err != nil {
				return err
			}
			collectLess()
			a := app.New(app.Options{Config: cfg, Simulate: true, Version: version, Log: log, Level: level})
			ctx, cancel := context.WithCancel(cmd.Context())
			var show sync.WaitGroup
			err = a.Run(ctx, func(info app.RunInfo) {
				printPlaces(info, cfg.DataDir())
				if key := a.NewKey(); key != "" {
					fmt.Printf("  API key, shown once    %s\n\n", key)
				}
				if demo {
					show.Go(func() {
						if err := runDemo(ctx, f, cfg.DataDir()); err != nil && ctx.Err() == nil {
							fmt.Fprintln(os.Stderr, "demo:", err)
						}
					})
				}
			})
			cancel()
			show.Wait()
			return err
		},
	}
	c.Flags().BoolVar(&demo, "demo", false, "send the example jobs and show their progress")
	return c
}

func printPlaces(info app.RunInfo, dir string) {
	fmt.Printf(`Herald runs.
  API and its reference  %s/api/docs
  health, metrics        %s/readyz  %s/metrics
  Kafka                  %s
  data                   %s  (the API key is in api.key)
`, info.Private, info.Private, info.Private, info.Kafka, dir)
	if info.SMSC != "" {
		fmt.Printf("  SMSC simulator         %s/stats\n", info.SMSC)
	}
	fmt.Println()
}

func simulateCommand() *cobra.Command {
	c := &cobra.Command{Use: "simulate", Short: "Run simulators of providers"}
	var s app.SMSC
	smsc := &cobra.Command{
		Use: "smsc", Short: "Run an SMSC that answers over SMPP and sends receipts", Args: cobra.NoArgs,
		Long: `Run an SMSC that answers over SMPP 3.4 and sends receipts. Destinations that end with 90001 to 90011 behave in a
fixed way (docs/providers.md); other faults are set over HTTP: GET /faults lists them, POST /fault sets one.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.SimulateSMSC(cmd.Context(), s, func(smpp, http string) {
				fmt.Printf("SMPP on %s, HTTP on http://%s\n", smpp, http)
			})
		},
	}
	fl := smsc.Flags()
	fl.StringVar(&s.Listen, "listen", "127.0.0.1:2775", "address for SMPP")
	fl.StringVar(&s.HTTP, "http", "127.0.0.1:2776", "address for counts and faults")
	fl.IntVar(&s.MaxBinds, "max-binds", 0, "connections of one account, 0: no limit")
	fl.IntVar(&s.TPS, "tps", 0, "messages a second and connection, 0: no limit")
	fl.IntVar(&s.AccountTPS, "account-tps", 0, "messages a second and account, 0: no limit")
	fl.IntVar(&s.Window, "window", 0, "unanswered messages of a connection, 0: no limit")
	fl.DurationVar(&s.Latency, "latency", 0, "time to the answer")
	fl.DurationVar(&s.ReceiptDelay, "receipt-delay", 100*time.Millisecond, "time from the answer to the receipt")
	fl.DurationVar(&s.ReceiptSpread, "receipt-spread", 0, "random time added to it")
	fl.IntVar(&s.DeliverWindow, "deliver-window", 0, "unacknowledged receipts of a connection")
	fl.Float64Var(&s.Undelivered, "undelivered", 0, "share of messages that are not delivered, 0 to 1")
	fl.Float64Var(&s.Expired, "expired", 0, "share of messages that expire, 0 to 1")
	fl.StringVar(&s.ResponseID, "response-id", "hex", "form of ids in answers: hex, hex_upper, decimal, scattered")
	fl.StringVar(&s.ReceiptID, "receipt-id", "hex", "form of ids in receipts")
	fl.BoolVar(&s.TLVs, "tlvs", false, "receipts carry TLVs")
	fl.BoolVar(&s.NoRules, "no-rules", false, "no destination is special")
	fl.StringVar(&s.Record, "record", "", "file to which accepted messages are appended as JSON lines")
	c.AddCommand(smsc)
	return c
}

func openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the description of the HTTP API (OpenAPI 3.1)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := api.OpenAPI()
			if err == nil {
				_, err = os.Stdout.Write(b)
			}
			return err
		},
	}
}
