package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/herald-gateway/herald/delivery"
)

// enqueueBatch is how many jobs go into one request.
const enqueueBatch = 1000

func enqueueCommand(f *flags) *cobra.Command {
	var label string
	c := &cobra.Command{
		Use: "enqueue FILE.ndjson", Args: cobra.ExactArgs(1),
		Short: "Send a file of jobs, one a line; - reads standard input",
		Long: `Send a file of jobs, one a line. The whole file is checked first: one bad line, and nothing is sent.
A line without a key gets one made from the file's content and its number, so that the same file can be sent again
after an interruption: jobs that are known already are not sent twice. With --launch the size of the launch is declared
by what is new, and the launch is closed at the end. A job's category says on which lane it travels.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, faults, err := readJobs(args[0], label)
			if err != nil {
				return err
			}
			if len(faults) > 0 {
				return fmt.Errorf("nothing was sent, the file has bad lines:\n%s", joinLimited(faults, 20))
			}
			cl, err := f.client()
			if err != nil {
				return err
			}
			known := 0
			for from := 0; from < len(lines); from += enqueueBatch {
				part := lines[from:min(from+enqueueBatch, len(lines))]
				body, err := json.Marshal(map[string]any{"jobs": part, "declare": label != ""})
				if err != nil {
					return err
				}
				var answer struct {
					Duplicates []int `json:"duplicates"`
				}
				if err := cl.patient(cmd.Context(), http.MethodPost, "/messages", body, &answer); err != nil {
					return fmt.Errorf("lines from %d on: %w", from+1, err)
				}
				known += len(answer.Duplicates)
			}
			if label != "" {
				path := "/launches/" + url.PathEscape(label) + "/close"
				if err := cl.patient(cmd.Context(), http.MethodPost, path, nil, nil); err != nil {
					return err
				}
			}
			fmt.Printf("%d jobs accepted, %d of them were known already\n", len(lines), known)
			return nil
		},
	}
	c.Flags().StringVar(&label, "launch", "", "label of the launch that the jobs belong to")
	return c
}

// readJobs reads and checks a whole file. faults names each bad line.
func readJobs(path, label string) (lines []json.RawMessage, faults []string, err error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		in = file
	}
	all, err := io.ReadAll(in)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(all)
	name := hex.EncodeToString(sum[:])
	scan := bufio.NewScanner(bytes.NewReader(all))
	scan.Buffer(make([]byte, 0, 64<<10), 2*delivery.MaxJobBytes)
	for n := 1; scan.Scan(); n++ {
		line := bytes.TrimSpace(scan.Bytes())
		if len(line) == 0 {
			continue
		}
		job, err := delivery.DecodeOutsideJob(line)
		if err != nil {
			faults = append(faults, fmt.Sprintf("line %d: %v", n, err))
			continue
		}
		if job.Key == "" {
			job.Key = fmt.Sprintf("%s#%d", name, n)
		}
		if label != "" {
			job.Launch = label
		}
		if f := job.OutsideFaults(); len(f) > 0 {
			faults = append(faults, fmt.Sprintf("line %d: %v", n, f))
			continue
		}
		b, err := delivery.EncodeJob(job)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", n, err)
		}
		lines = append(lines, b)
	}
	return lines, faults, scan.Err()
}

func joinLimited(list []string, most int) string {
	var b bytes.Buffer
	for i, s := range list {
		if i == most {
			fmt.Fprintf(&b, "  and %d more\n", len(list)-most)
			break
		}
		fmt.Fprintf(&b, "  %s\n", s)
	}
	return b.String()
}
