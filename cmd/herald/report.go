package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sort"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
)

// fetch gets a document of the API and prints it: as JSON when asked for, else by show.
func fetch[T any](f *flags, cmd *cobra.Command, path string, show func(*T)) error {
	_, err := document(f, cmd, path, show)
	return err
}

// document is fetch for whoever needs what was printed.
func document[T any](f *flags, cmd *cobra.Command, path string, show func(*T)) (v T, err error) {
	cl, err := f.client()
	if err != nil {
		return v, err
	}
	var raw json.RawMessage
	if err := cl.call(cmd.Context(), http.MethodGet, path, nil, &raw); err != nil {
		return v, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, err
	}
	if f.json {
		fmt.Println(string(raw))
	} else {
		show(&v)
	}
	return v, nil
}

func launchPath(label string) string { return "/launches/" + url.PathEscape(label) }

func ledgerCommand(f *flags) *cobra.Command {
	var verify bool
	c := &cobra.Command{
		Use: "ledger LABEL", Short: "Where the jobs of a launch are", Args: cobra.ExactArgs(1),
		Long: `Where the jobs of a launch are: audience = accepted + suppressed + held + failed + expired + unknown + pending.
With --verify claims and fates are counted again from their rows, and what differs is named by its id.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !verify {
				return fetch(f, cmd, launchPath(args[0])+"/ledger", printLedger)
			}
			v, err := document(f, cmd, launchPath(args[0])+"/ledger?verify=true", func(v *api.Verification) {
				printLedger(&v.Ledger)
				for _, fault := range v.Faults {
					fmt.Println("fault:", fault)
				}
				for _, id := range v.Missing {
					fmt.Println("claimed and without a fate:", id)
				}
				if v.OK {
					fmt.Println("verified: the figures agree with the rows")
				}
			})
			if err == nil && !v.OK {
				err = fmt.Errorf("the ledger of %q does not agree with its rows", args[0])
			}
			return err
		},
	}
	c.Flags().BoolVar(&verify, "verify", false, "count again from the rows")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func printLedger(l *api.Ledger) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(name string, n int64) { _, _ = fmt.Fprintf(w, "%s\t%d\n", name, n) }
	line("audience", l.Audience)
	line("  accepted", l.Accepted)
	line("    delivered", l.Delivered)
	line("    awaiting receipt", l.Awaiting)
	line("    open", l.Open)
	for _, group := range []struct {
		name string
		n    map[string]int64
	}{{"suppressed", l.Suppressed}, {"held", l.Held}, {"failed", l.Failed}} {
		for _, reason := range slices.Sorted(keys(group.n)) {
			line(fmt.Sprintf("  %s{%s}", group.name, reason), group.n[reason])
		}
	}
	line("  expired", l.Expired)
	line("  unknown", l.Unknown)
	line("  pending", l.Pending)
	_ = w.Flush()
	switch {
	case l.Finished:
		fmt.Println("finished")
	case !l.Settled:
		fmt.Println("not finished: more jobs may follow (herald launch close settles the size)")
	default:
		fmt.Println("not finished")
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func reportCommand(f *flags) *cobra.Command {
	c := &cobra.Command{
		Use: "report LABEL", Short: "What a launch achieved", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return fetch(f, cmd, launchPath(args[0])+"/report", func(r *api.Report) {
				printLedger(&r.Ledger)
				w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(w, "\nvariant\tchannel\tkind\tmessages\tof accepted")
				for _, row := range r.Rows {
					kinds := make([]string, 0, len(row.Counts))
					for k := range row.Counts {
						kinds = append(kinds, k)
					}
					sort.Slice(kinds, func(i, j int) bool { return row.Counts[kinds[i]] > row.Counts[kinds[j]] })
					for _, k := range kinds {
						of := row.Counts[delivery.KindAccepted.String()]
						if kind, err := delivery.ParseKind(k); err != nil || kind.Rank() < delivery.RankAccepted {
							of = 0 // what never came as far as a provider is no share of what one took
						}
						_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", row.Variant, row.Channel, k, row.Counts[k], share(row.Counts[k], of))
					}
					_, _ = fmt.Fprintf(w, "%s\t%s\tparts\t%d\t\n", row.Variant, row.Channel, row.Parts)
				}
				_ = w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func share(n, of int64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

func messagesCommand(f *flags) *cobra.Command {
	var kind, reason string
	c := &cobra.Command{
		Use: "messages LABEL", Short: "List the messages behind a figure of a launch", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"limit": {"1000"}}
			if kind != "" {
				q.Set("kind", kind)
			}
			if reason != "" {
				q.Set("reason", reason)
			}
			for {
				next := ""
				err := fetch(f, cmd, launchPath(args[0])+"/messages?"+q.Encode(), func(p *api.MessagePage) {
					for _, m := range p.Items {
						fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Channel, m.Provider, m.Status, m.Reason,
							m.At.Format("2006-01-02T15:04:05.000Z07:00"))
					}
					next = p.Next
				})
				if err != nil || next == "" {
					return err
				}
				q.Set("cursor", next)
			}
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "a kind of event or a bucket of the ledger, such as unknown or pending")
	c.Flags().StringVar(&reason, "reason", "", "only with this reason")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON (the first page)")
	return c
}

func launchCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "launch", Short: "Change a launch"}
	c.AddCommand(&cobra.Command{
		Use: "close LABEL", Short: "Say that no more jobs will follow", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := f.client()
			if err != nil {
				return err
			}
			return cl.call(cmd.Context(), http.MethodPost, launchPath(args[0])+"/close", nil, nil)
		},
	})
	return c
}
