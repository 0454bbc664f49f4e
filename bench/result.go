package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is what a scenario measured.
type Result struct {
	Scenario string            `json:"scenario"`
	At       time.Time         `json:"at"`
	Version  string            `json:"version"`
	Machine  Machine           `json:"machine"`
	Settings map[string]string `json:"settings"` // what the figures depend on, durability first of all
	Rows     []Row             `json:"rows"`
}

// Row is one figure.
type Row struct {
	Group string  `json:"group"`
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Machine is where it was measured.
type Machine struct {
	CPUs   int    `json:"cpus"`
	Model  string `json:"model"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Memory int64  `json:"memory_bytes"`
}

func thisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	m.Model = procField("/proc/cpuinfo", "model name")
	_, _ = fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d", &m.Memory)
	m.Memory <<= 10
	return m
}

func (r *Result) add(group, name string, value float64, unit string) {
	r.Rows = append(r.Rows, Row{Group: group, Name: name, Value: value, Unit: unit})
}

// Value is the figure of that name, 0 when there is none.
func (r *Result) Value(group, name string) float64 {
	for _, row := range r.Rows {
		if row.Group == group && row.Name == name {
			return row.Value
		}
	}
	return 0
}

// Print writes the table, with an older result beside it if there is one.
func (r *Result) Print(w io.Writer, old *Result) {
	fmt.Fprintf(w, "%s, %s, herald %s\n%s, %d CPUs, %s, Linux %s\n", r.Scenario, r.At.UTC().Format("2006-01-02 15:04"), r.Version,
		r.Machine.Model, r.Machine.CPUs, r.Machine.Go, r.Machine.Kernel)
	for _, name := range sortedKeys(r.Settings) {
		fmt.Fprintf(w, "  %s: %s\n", name, r.Settings[name])
	}
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	group := ""
	for _, row := range r.Rows {
		if row.Group != group {
			group = row.Group
			fmt.Fprintf(t, "%s\n", group)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s", row.Name, number(row.Value), row.Unit)
		if old != nil {
			before := old.Value(row.Group, row.Name)
			fmt.Fprintf(t, "\tbefore %s", number(before))
			if before != 0 {
				fmt.Fprintf(t, "\t%+.1f %%", (row.Value/before-1)*100)
			}
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// ReadResult reads a result that was written as JSON.
func ReadResult(path string) (*Result, error) {
	b, err := os.ReadFile(path) //nolint:gosec // the file that the person named
	if err != nil {
		return nil, err
	}
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}
