package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/herald-gateway/herald/internal/app"
)

// client speaks to the private listener of a running process.
type client struct {
	base, key string
	http      http.Client
}

// client finds the process: the configured one when a configuration is given, else the one of the data directory.
func (f *flags) client() (*client, error) {
	c := &client{http: http.Client{Timeout: time.Minute}}
	if f.config != "" {
		cfg, err := f.load()
		if err != nil {
			return nil, err
		}
		if info, key, err := app.FindRun(cfg.DataDir()); err == nil {
			c.base, c.key = info.Private, key
			return c, nil
		}
		c.base, c.key = "http://"+cfg.HTTP.Private, os.Getenv("HERALD_API_KEY")
		if c.key == "" {
			return nil, errors.New("no API key: set HERALD_API_KEY")
		}
		return c, nil
	}
	info, key, err := app.FindRun(f.data)
	c.base, c.key = info.Private, key
	return c, err
}

// problem is an error of the API (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (p *problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", p.Status, p.Title, p.Detail)
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", e.Location, e.Message)
	}
	return b.String()
}

// call sends a request and decodes the answer into out, when out is not nil.
func (c *client) call(ctx context.Context, method, path string, body []byte, out any) error {
	contentType := ""
	if len(body) > 0 {
		contentType = "application/json"
	}
	return c.send(ctx, &c.http, method, path, contentType, bytes.NewReader(body), out)
}

// upload is call for a body of any size, which may take its time.
func (c *client) upload(ctx context.Context, path, contentType string, body io.Reader, out any) error {
	return c.send(ctx, &http.Client{}, http.MethodPost, path, contentType, body, out)
}

func (c *client) send(
	ctx context.Context, by *http.Client, method, path, contentType string, body io.Reader, out any,
) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := by.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		p := &problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
		_ = json.Unmarshal(b, p) // an answer of something in between may be no problem document
		return p
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// patient repeats a call while the process says that it is not available, for a minute at most.
func (c *client) patient(ctx context.Context, method, path string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := c.call(ctx, method, path, body, out)
		var p *problem
		if err == nil || errors.As(err, &p) && p.Status != http.StatusServiceUnavailable {
			return err
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}
