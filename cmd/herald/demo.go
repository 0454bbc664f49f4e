package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/examples"
)

// runDemo makes the example clients, sends the example jobs as one launch and shows how they get on, until all of them
// have their fate.
func runDemo(ctx context.Context, f *flags, dir string) error {
	tool := *f
	tool.config, tool.data = "", dir
	cl, err := tool.client()
	if err != nil {
		return err
	}
	if err := demoProfiles(ctx, cl); err != nil {
		return err
	}
	label := "demo-" + time.Now().Format("2006-01-02-150405")
	var batch []json.RawMessage
	total := 0
	send := func() error {
		body, err := json.Marshal(map[string]any{"jobs": batch, "declare": true})
		if err != nil {
			return err
		}
		total += len(batch)
		batch = nil
		return cl.patient(ctx, http.MethodPost, "/messages", body, nil)
	}
	for line := range bytes.Lines(examples.Jobs()) {
		job, err := delivery.DecodeJob(bytes.TrimSpace(line))
		if err != nil {
			return err
		}
		job.Launch, job.Key = label, label+"/"+job.Key // a new start is a new launch, whose jobs are sent anew
		b, err := delivery.EncodeJob(job)
		if err != nil {
			return err
		}
		if batch = append(batch, b); len(batch) == enqueueBatch {
			if err := send(); err != nil {
				return err
			}
		}
	}
	if err := send(); err != nil {
		return err
	}
	if err := cl.patient(ctx, http.MethodPost, launchPath(label)+"/close", nil, nil); err != nil {
		return err
	}
	fmt.Printf("launch %s: %d jobs\n", label, total)
	return showProgress(ctx, cl, label)
}

// demoProfiles declares the attributes of the example clients and imports them; again changes nothing.
func demoProfiles(ctx context.Context, cl *client) error {
	for _, a := range examples.Attributes() {
		body, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if err := cl.patient(ctx, http.MethodPost, "/attributes", body, nil); err != nil {
			return err
		}
	}
	var r api.ImportReport
	if err := cl.upload(ctx, "/profiles/import", "application/x-ndjson", bytes.NewReader(examples.Profiles()), &r); err != nil {
		return err
	}
	fmt.Printf("%d clients; look at one with\n  herald profiles get demo:1\n", r.Lines)
	return nil
}

// showProgress writes a line a second until the launch is finished and no receipt is awaited.
func showProgress(ctx context.Context, cl *client, label string) error {
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var l api.Ledger
		if err := cl.patient(ctx, http.MethodGet, launchPath(label)+"/ledger", nil, &l); err != nil {
			return err
		}
		fmt.Println(progress(l, time.Since(began)))
		if l.Finished && l.Awaiting == 0 {
			fmt.Printf("\nfinished; look closer with\n  herald report %s\n  herald messages %s --kind failed\n", label, label)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func progress(l api.Ledger, took time.Duration) string {
	fates := l.Audience - l.Pending
	rate := float64(fates) / max(1, took.Seconds())
	left := "-"
	if l.Pending > 0 && rate > 0 {
		left = (time.Duration(float64(l.Pending)/rate) * time.Second).String()
	}
	return fmt.Sprintf("queued %d  accepted %d  delivered %d  failed %d  suppressed %d  held %d  unknown %d  %.0f/s  time left %s",
		l.Pending, l.Accepted, l.Delivered, total(l.Failed)+l.Expired, total(l.Suppressed), total(l.Held), l.Unknown,
		rate, left)
}

func total(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}
