package sim

import (
	"os"
	"sync"
	"sync/atomic"
)

// record is the file of accepted messages; nil records nothing.
type record struct {
	mu     sync.Mutex
	file   *os.File
	failed atomic.Uint64
}

func openRecord(path string) (*record, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no record is wanted
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &record{file: f}, nil
}

// write appends whole lines and empties the buffer.
func (r *record) write(lines *[]byte) {
	if r == nil || len(*lines) == 0 {
		return
	}
	r.mu.Lock()
	_, err := r.file.Write(*lines)
	r.mu.Unlock()
	if err != nil {
		for _, b := range *lines {
			if b == '\n' {
				r.failed.Add(1)
			}
		}
	}
	*lines = (*lines)[:0]
}

func (r *record) close() error {
	if r == nil {
		return nil
	}
	return r.file.Close()
}
