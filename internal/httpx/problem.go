package httpx

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Problem is an error as RFC 9457 describes it.
type Problem struct {
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail,omitempty"`
	Errors []Fault `json:"errors,omitempty"`
}

// Fault is one of several things that are wrong with a request. What was sent is not repeated: it may hold addresses.
type Fault struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty"` // such as body.jobs[17].cascade[0].ttl
}

// WriteProblem answers with an error.
func WriteProblem(w http.ResponseWriter, status int, detail string, faults ...Fault) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{Title: http.StatusText(status), Status: status, Detail: detail, Errors: faults})
}

// WriteUnavailable answers 503 and says when to come again.
func WriteUnavailable(w http.ResponseWriter, after time.Duration, detail string) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(after.Seconds()))))
	WriteProblem(w, http.StatusServiceUnavailable, detail)
}

// Mux serves mux, with the 404 and 405 that the mux itself gives made into problems. What its handlers answer stays as
// it is.
func Mux(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &problemWriter{ResponseWriter: w}
		}
		mux.ServeHTTP(w, r)
	})
}

// problemWriter rewrites the plain text that a mux answers when nothing matches. The Allow header stays.
type problemWriter struct {
	http.ResponseWriter
	rewritten bool
}

func (p *problemWriter) WriteHeader(status int) {
	var detail string
	switch status {
	case http.StatusNotFound:
		detail = "there is nothing at this path"
	case http.StatusMethodNotAllowed:
		detail = "this path knows other methods, see the Allow header"
	default:
		p.ResponseWriter.WriteHeader(status)
		return
	}
	p.rewritten = true
	WriteProblem(p.ResponseWriter, status, detail)
}

func (p *problemWriter) Write(b []byte) (int, error) {
	if p.rewritten {
		return len(b), nil
	}
	return p.ResponseWriter.Write(b)
}
