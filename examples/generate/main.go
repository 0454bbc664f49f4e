// Command generate writes the example jobs. The same program always writes the same jobs: texts, names and numbers are
// drawn from a generator with a fixed seed.
//
// Every phone number is made up: Russian ones are of +7 900 000 and +7 900 00 9, English ones of +44 7700 900, which
// Ofcom keeps free for fiction.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/herald-gateway/herald/delivery"
)

const (
	count   = 1200
	clients = 700
	seed    = 20261122
)

func main() {
	out := flag.String("o", "jobs.ndjson", "file to write")
	flag.Parse()
	b, err := generate()
	if err == nil {
		err = os.WriteFile(*out, b, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate makes the jobs, one a line.
func generate() ([]byte, error) {
	d := &draw{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // to be repeatable is the point
	var b bytes.Buffer
	special := specialNumbers()
	for i := range count {
		j := d.job(i)
		if n := len(special); n > 0 && i%70 == 69 {
			j.Recipient.Phone, special = special[0], special[1:]
		}
		line, err := delivery.EncodeJob(j)
		if err != nil {
			return nil, fmt.Errorf("job %d: %w", i+1, err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}

// specialNumbers are clients whom the SMSC simulator treats in a special way, so that a report shows more than successes:
// refused, undelivered, expired, rejected later, receipt twice, receipt before the answer (docs/providers.md).
func specialNumbers() []string {
	var list []string
	for _, suffix := range []string{
		"90001", "90004", "90005", "90008", "90010", "90011", "90001", "90004", "90005", "90004", "90008", "90004",
	} {
		list = append(list, "+790000"+suffix)
	}
	return list
}

// draw makes what the jobs hold.
type draw struct{ r *rand.Rand }

func (d *draw) job(i int) *delivery.Job {
	k := d.kind()
	t := k.texts[d.r.IntN(len(k.texts))]
	client := d.r.IntN(clients)
	j := &delivery.Job{
		V: delivery.Version, Category: k.category, Topic: k.topic, Key: fmt.Sprintf("%s-%06d", k.name, 500000+i*7),
		Recipient: recipient(client, t.locale), Content: &delivery.Content{SMS: &delivery.SMS{Text: t.text}},
		Data: map[string]any{"name": names()[client%len(names())][t.locale]},
	}
	maps.Copy(j.Data, k.data(d))
	return j
}

func (d *draw) kind() kind {
	all := kinds()
	sum := 0
	for _, k := range all {
		sum += k.weight
	}
	n := d.r.IntN(sum)
	at := slices.IndexFunc(all, func(k kind) bool {
		n -= k.weight
		return n < 0
	})
	return all[at]
}

// recipient is always the same for a client; those who read English live elsewhere and have no zone.
func recipient(client int, locale string) *delivery.Recipient {
	if locale == en {
		return &delivery.Recipient{Phone: fmt.Sprintf("+447700900%03d", client), Locale: locale}
	}
	r := &delivery.Recipient{Phone: fmt.Sprintf("+7900000%04d", 1000+client*11), Locale: ru}
	if client%2 == 0 {
		r.Timezone = zones()[client/2%len(zones())]
	}
	return r
}

// in is a number from low to high, both included.
func (d *draw) in(low, high int) int { return low + d.r.IntN(high-low+1) }

func (d *draw) pick(list []string) string { return list[d.r.IntN(len(list))] }

func (d *draw) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789"[d.r.IntN(10)]
	}
	return string(b)
}

func (d *draw) code(prefix string) string { return prefix + d.digits(4) }

func (d *draw) order() string { return "A-" + d.digits(6) }

// date is a day as people write it; it is part of a text only.
func (d *draw) date() string { return fmt.Sprintf("%02d.%02d", d.in(1, 28), d.in(11, 12)) }
