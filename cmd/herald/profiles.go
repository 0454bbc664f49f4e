package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/api"
)

func profilesCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "profiles", Short: "Import and show the profiles of clients"}
	get := &cobra.Command{
		Use: "get ID", Short: "What is known of a client", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return fetch(f, cmd, "/profiles/"+url.PathEscape(args[0]), printProfile)
		},
	}
	get.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.AddCommand(importCommand(f), get)
	return c
}

func importCommand(f *flags) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "import FILE", Args: cobra.ExactArgs(1),
		Short: "Import a file of profiles, NDJSON or CSV; - reads standard input",
		Long: `Import a file of profiles: NDJSON with one profile a line, or CSV with a heading. Profiles that there are change,
others are made. A field that is left out and an empty cell stay as they are; null, or \N in CSV, clears a field. Good lines
are kept, faulty ones are listed by their numbers, and importing a file again is safe.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			mediaType, err := mediaTypeOf(args[0], format)
			if err != nil {
				return err
			}
			in := io.Reader(os.Stdin)
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close()
				in = file
			}
			cl, err := f.client()
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := cl.upload(cmd.Context(), "/profiles/import", mediaType, in, &raw); err != nil {
				return err
			}
			return printImport(f, raw)
		},
	}
	c.Flags().StringVar(&format, "format", "", "csv or ndjson; by default the ending of the file's name tells")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func mediaTypeOf(path, format string) (string, error) {
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	}
	switch format {
	case "csv", "tsv":
		return "text/csv", nil
	case "ndjson", "jsonl", "json":
		return "application/x-ndjson", nil
	}
	return "", errors.New("the name of the file does not tell its format: say --format csv or --format ndjson")
}

// printImport prints what became of a file. Faulty lines make the command fail, so that a script notices.
func printImport(f *flags, raw json.RawMessage) error {
	var r api.ImportReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if f.json {
		fmt.Println(string(raw))
	} else {
		fmt.Printf("%d profiles: %d created, %d updated, %d unchanged, %d faulty\n", r.Lines, r.Created, r.Updated, r.Unchanged,
			r.Faulty)
		for _, fault := range r.Faults {
			fmt.Printf("line %d: %s\n", fault.Line, strings.TrimPrefix(fault.Field+": "+fault.Message, ": "))
		}
		if r.Unlisted > 0 {
			fmt.Printf("and %d more faults\n", r.Unlisted)
		}
	}
	if r.Faulty > 0 {
		return fmt.Errorf("%d lines were not imported", r.Faulty)
	}
	return nil
}

// printProfile prints what is known, a line for each field and, after them, each attribute.
func printProfile(p *map[string]json.RawMessage) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	var attributes map[string]json.RawMessage
	_ = json.Unmarshal((*p)["attributes"], &attributes) // what the API answers is an object
	delete(*p, "attributes")
	for _, fields := range []map[string]json.RawMessage{*p, attributes} {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			text := string(fields[name])
			_ = json.Unmarshal(fields[name], &text) // what is no string stays as it is
			_, _ = fmt.Fprintf(w, "%s\t%s\n", name, text)
		}
	}
	_ = w.Flush()
}

func attributesCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "attributes", Short: "Declare and list attributes of profiles"}
	var kind, title string
	create := &cobra.Command{
		Use: "create NAME", Short: "Declare an attribute, for good", Args: cobra.ExactArgs(1),
		Long: `Declare an attribute of profiles. Its title is a second name, for people: [#Контакт.Бонусы#] is the value of the
attribute whose title is Бонусы. An attribute never changes; declaring it again just so is harmless.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, err := f.client()
			if err != nil {
				return err
			}
			body, err := json.Marshal(map[string]any{"name": args[0], "type": kind, "title": title})
			if err != nil {
				return err
			}
			return cl.call(cmd.Context(), http.MethodPost, "/attributes", body, nil)
		},
	}
	create.Flags().StringVar(&kind, "type", "string", "string, number, money, bool, date or time")
	create.Flags().StringVar(&title, "title", "", "name for people, required")
	_ = create.MarkFlagRequired("title") // it is a flag of this command
	list := &cobra.Command{
		Use: "list", Short: "List the attributes: name, type, title", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fetch(f, cmd, "/attributes", func(page *struct {
				Items []api.Attribute `json:"items"`
			},
			) {
				w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
				for _, a := range page.Items {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", a.Name, a.Type, a.Title)
				}
				_ = w.Flush()
			})
		},
	}
	list.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.AddCommand(create, list)
	return c
}
