// Command herald is the message delivery gateway and its tools.
package main

//go:generate sh -c "go run . config doc > ../../docs/config.md"
//go:generate sh -c "go run . openapi > ../../api/openapi.json"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/internal/app"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "herald:", err)
		os.Exit(1)
	}
}

// flags are those that every command takes.
type flags struct {
	config string
	data   string
	json   bool
}

func root() *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use: "herald", Short: "Message delivery gateway", Version: version, SilenceUsage: true, SilenceErrors: true,
	}
	c.PersistentFlags().StringVar(&f.config, "config", "", "configuration file")
	c.PersistentFlags().StringVar(&f.data, "data", "", "data directory (root: /var/lib/herald, else ./.data)")
	c.AddCommand(
		upCommand(f), serveCommand(f), migrateCommand(f), configCommand(f), enqueueCommand(f), reportCommand(f),
		ledgerCommand(f), messagesCommand(f), launchCommand(f), profilesCommand(f), attributesCommand(f), deadCommand(f), apikeyCommand(f),
		simulateCommand(), benchCommand(f), openapiCommand(),
	)
	return c
}

// load reads the configuration as the flags say.
func (f *flags) load() (*configs.Config, error) {
	var more []configs.Override
	if f.data != "" {
		more = append(more, configs.Set("data", f.data))
	}
	return configs.Load(f.config, os.Environ(), more...)
}

func serveCommand(f *flags) *cobra.Command {
	var roles string
	c := &cobra.Command{
		Use: "serve", Short: "Run a process of an installation", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			list, err := parseRoles(roles)
			if err != nil {
				return err
			}
			log, level, err := app.NewLogger(cfg)
			if err != nil {
				return err
			}
			collectLess()
			a := app.New(app.Options{Config: cfg, Roles: list, Version: version, Log: log, Level: level})
			return a.Run(cmd.Context(), nil)
		},
	}
	c.Flags().StringVar(&roles, "roles", "", "comma-separated roles: api, dispatch, track, record, schedule (default all)")
	return c
}

// collectLess lets the heap grow to three times what is in use before it is collected, not twice: a tenth of the CPU time
// of a message for some 60 MiB. GOGC, when it is set, counts instead.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

func parseRoles(s string) ([]app.Role, error) {
	if s == "" {
		return nil, nil
	}
	var list []app.Role
	for name := range strings.SplitSeq(s, ",") {
		r := app.Role(strings.TrimSpace(name))
		if !slices.Contains(app.Roles(), r) {
			return nil, fmt.Errorf("%q is no role: api, dispatch, track, record, schedule", name)
		}
		list = append(list, r)
	}
	return list, nil
}

func configCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check, print or explain the configuration"}
	c.AddCommand(
		&cobra.Command{
			Use: "check", Short: "Report every fault of the configuration, and whether the broker can be reached with it",
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				cfg, err := f.load()
				if err != nil {
					return err
				}
				if err := errors.Join(app.CheckProviders(cfg), app.CheckBrokers(cmd.Context(), cfg)); err != nil {
					return err
				}
				fmt.Println("the configuration is good")
				return nil
			},
		},
		&cobra.Command{
			Use: "print", Short: "Print the configuration in force, without its secrets", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				cfg, err := f.load()
				if err != nil {
					return err
				}
				b, err := cfg.YAML()
				if err == nil {
					_, err = os.Stdout.Write(b)
				}
				return err
			},
		},
		&cobra.Command{
			Use: "doc", Short: "Print the reference of all settings", Args: cobra.NoArgs,
			Run: func(*cobra.Command, []string) { fmt.Print(configs.Doc()) },
		},
	)
	return c
}
