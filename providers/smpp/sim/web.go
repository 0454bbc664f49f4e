package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// web serves the server's methods over HTTP; nil serves nothing.
type web struct {
	ln     net.Listener
	server *http.Server
	ended  chan struct{}
}

func startWeb(s *Server, listen string) (*web, error) {
	if listen == "" {
		return nil, nil //nolint:nilnil // no HTTP is wanted
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", listen)
	if err != nil {
		return nil, err
	}
	w := &web{ln: ln, ended: make(chan struct{}), server: &http.Server{
		Handler: s.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: time.Minute,
	}}
	go func() {
		defer close(w.ended)
		if err := w.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.log.ErrorContext(context.Background(), "http ended", "err", err)
		}
	}()
	return w, nil
}

func (w *web) addr() string {
	if w == nil {
		return ""
	}
	return w.ln.Addr().String()
}

func (w *web) close() error {
	if w == nil {
		return nil
	}
	err := w.server.Close()
	<-w.ended
	return err
}

// Handler serves, all in JSON:
//
//	GET    /stats        Stats
//	GET    /messages     accepted messages (with Keep); ?destination= ?suffix= ?text= (a part of it) ?after=N ?limit=N
//	GET    /texts        Texts
//	GET    /faults       faults in force and all names
//	POST   /fault        sets a Fault, from JSON or from form values name, suffix, value, share, count
//	DELETE /fault        ?name= ?suffix= clears one; without a name goes back to the faults of the configuration
//	POST   /reset /cut /unbind /half-close /restart-ids
//	POST   /deliver      an ordinary message: system_id, source, destination, text as form values
//
// It has no authentication and belongs on a loopback address.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Stats()) })
	mux.HandleFunc("GET /texts", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Texts()) })
	mux.HandleFunc("GET /messages", s.serveMessages)
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"faults": s.Faults(), "names": FaultNames()})
	})
	mux.HandleFunc("POST /fault", s.serveFault)
	mux.HandleFunc("DELETE /fault", func(w http.ResponseWriter, r *http.Request) {
		if name := r.FormValue("name"); name != "" {
			s.ClearFault(name, r.FormValue("suffix"))
		} else {
			s.ClearFaults()
		}
		reply(w, s.Faults())
	})
	mux.HandleFunc("POST /deliver", func(w http.ResponseWriter, r *http.Request) {
		err := s.Deliver(r.FormValue("system_id"), r.FormValue("source"), r.FormValue("destination"), r.FormValue("text"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	for path, do := range map[string]func() int{
		"/reset": func() int { s.Reset(); return 0 }, "/restart-ids": func() int { s.RestartIDs(); return 0 },
		"/cut": s.Cut, "/unbind": s.Unbind, "/half-close": s.HalfClose,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) {
			reply(w, map[string]int{"connections": do()})
		})
	}
	return mux
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

func (s *Server) serveFault(w http.ResponseWriter, r *http.Request) {
	f, err := readFault(w, r)
	if err == nil {
		err = s.SetFault(f)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, s.Faults())
}

func readFault(w http.ResponseWriter, r *http.Request) (f Fault, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		err = d.Decode(&f)
		return f, err
	}
	f = Fault{Name: r.FormValue("name"), Suffix: r.FormValue("suffix"), Value: r.FormValue("value")}
	if v := r.FormValue("share"); v != "" {
		if f.Share, err = strconv.ParseFloat(v, 64); err != nil {
			return f, fmt.Errorf("share: %w", err)
		}
	}
	f.Count, err = number(r, "count", 0)
	return f, err
}

func number(r *http.Request, name string, def int) (int, error) {
	v := r.FormValue(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if n < 0 {
		return 0, fmt.Errorf("%s: %d is negative", name, n)
	}
	return n, nil
}

func (s *Server) serveMessages(w http.ResponseWriter, r *http.Request) {
	after, err := number(r, "after", 0)
	limit, err2 := number(r, "limit", 100)
	if err := errors.Join(err, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	destination, suffix, text := r.FormValue("destination"), r.FormValue("suffix"), r.FormValue("text")
	found := []Message{}
	all := s.Messages()
	for _, m := range all[min(after, len(all)):] {
		if len(found) == limit {
			break
		}
		if (destination == "" || m.Destination == destination) && strings.HasSuffix(m.Destination, suffix) &&
			strings.Contains(m.Text, text) {
			found = append(found, m)
		}
	}
	reply(w, found)
}
