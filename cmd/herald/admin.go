package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/app"
)

func migrateCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "migrate", Short: "Bring the schema of the database up to date"}
	c.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Run the migrations that are missing", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				cfg, err := f.load()
				if err != nil {
					return err
				}
				return app.Migrate(cmd.Context(), cfg)
			},
		},
		&cobra.Command{
			Use: "status", Short: "List the migrations", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				cfg, err := f.load()
				if err != nil {
					return err
				}
				list, err := app.Migrations(cmd.Context(), cfg)
				for _, m := range list {
					state := "missing"
					if !m.At.IsZero() {
						state = m.At.Format(time.RFC3339)
					}
					fmt.Printf("%5d  %-40s %s\n", m.Version, m.Name, state)
				}
				return err
			},
		},
	)
	return c
}

func apikeyCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "apikey", Short: "Make, list and revoke API keys"}
	var scopes []string
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a key and print it, once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := f.client()
			if err != nil {
				return err
			}
			body, err := json.Marshal(map[string]any{"name": args[0], "scopes": scopes})
			if err != nil {
				return err
			}
			var made struct {
				Key string `json:"key"`
			}
			if err := cl.call(cmd.Context(), http.MethodPost, "/apikeys", body, &made); err != nil {
				return err
			}
			fmt.Println(made.Key)
			return nil
		},
	}
	create.Flags().StringSliceVar(&scopes, "scope", []string{"admin"}, "rights of the key: "+scopeNames())
	c.AddCommand(create,
		&cobra.Command{
			Use: "list", Short: "List the keys", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return fetch(f, cmd, "/apikeys", func(page *struct {
					Items []struct {
						Name      string   `json:"name"`
						Scopes    []string `json:"scopes"`
						RevokedAt string   `json:"revoked_at"`
					} `json:"items"`
				},
				) {
					w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
					for _, k := range page.Items {
						state := "good"
						if k.RevokedAt != "" {
							state = "revoked " + k.RevokedAt
						}
						_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", k.Name, strings.Join(k.Scopes, ","), state)
					}
					_ = w.Flush()
				})
			},
		},
		&cobra.Command{
			Use: "revoke NAME", Short: "Revoke a key for good", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				cl, err := f.client()
				if err != nil {
					return err
				}
				return cl.call(cmd.Context(), http.MethodDelete, "/apikeys/"+url.PathEscape(args[0]), nil, nil)
			},
		},
	)
	return c
}

func scopeNames() string {
	var names []string
	for _, s := range api.Scopes() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func deadCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "dead", Short: "List and replay records that could not be read as jobs or events"}
	var class string
	list := &cobra.Command{
		Use: "list", Short: "List the dead letters: place, time, class, origin, fault", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			return app.DeadLetters(cmd.Context(), cfg, class, func(r delivery.Record) error {
				fmt.Printf("%d/%d  %s  %s  from %s/%s/%s  %s\n", r.Partition, r.Offset, r.Time.Format(time.RFC3339),
					r.Header(delivery.HeaderErrorClass), r.Header(delivery.HeaderOriginTopic),
					r.Header(delivery.HeaderOriginPartition), r.Header(delivery.HeaderOriginOffset),
					r.Header(delivery.HeaderError))
				return nil
			})
		},
	}
	replay := &cobra.Command{
		Use: "replay", Short: "Put dead letters back on their topics, after what was wrong has been mended",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			n, err := app.ReplayDead(cmd.Context(), cfg, class)
			if err == nil {
				fmt.Printf("%d records replayed\n", n)
			}
			return err
		},
	}
	for _, sub := range []*cobra.Command{list, replay} {
		sub.Flags().StringVar(&class, "class", "", "only those of this class, such as invalid")
	}
	c.AddCommand(list, replay)
	return c
}
