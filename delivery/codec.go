package delivery

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a job, with the path of the field that it is wrong with.
type Fault struct {
	Field   string `json:"field"` // such as cascade[0].ttl; empty for the whole
	Message string `json:"message"`
}

// Faults is all that is wrong with a job or an event. The messages quote names, times and numbers, never an address or
// a text.
type Faults []Fault //nolint:errname // a list that is also an error

func (f Faults) Error() string {
	list := make([]string, len(f))
	for i, x := range f {
		list[i] = strings.TrimPrefix(x.Field+": "+x.Message, ": ")
	}
	return strings.Join(list, "; ")
}

func (f *Faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{Field: field, Message: fmt.Sprintf(format, args...)})
}

// err is f as an error, nil when there is none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// and adds the faults of more that do not merely follow from those in f: a field that could not be read is also
// missing, and so is what it holds. After a fault of the whole nothing is worth saying of the parts.
func (f Faults) and(more Faults) Faults {
	read := len(f)
next:
	for _, m := range more {
		for _, k := range f[:read] {
			if k.Field == "" || within(k.Field, m.Field) || within(m.Field, k.Field) {
				continue next
			}
		}
		f = append(f, m)
	}
	return f
}

// within says that field is outer or a part of it.
func within(field, outer string) bool {
	rest, ok := strings.CutPrefix(field, outer)
	return ok && (rest == "" || outer != "" && (rest[0] == '.' || rest[0] == '['))
}

// internalBytes is the room that Herald's own additions to a job take beside MaxJobBytes.
const internalBytes = 1 << 10

// DecodeJob reads a job strictly and returns it when nothing is wrong with its bytes. Otherwise the error is of type
// Faults and names every fault with its path: what is no JSON or no UTF-8, unknown and repeated fields, null, wrong
// types and sizes, missing and contradicting fields. An empty string is the same as a field left out. Faults that
// depend on state, such as an unknown template, an invalid phone or an expires_at in the past, are no business of the
// bytes and are found later.
func DecodeJob(b []byte) (*Job, error) {
	j, faults, _ := readJob(b)
	if len(faults) > 0 {
		return nil, faults
	}
	return j, nil
}

// DecodeOutsideJob is DecodeJob for jobs that come from outside through Herald's own doors, the API and the command
// line: what OutsideFaults names is refused too.
func DecodeOutsideJob(b []byte) (*Job, error) {
	j, faults, complete := readJob(b)
	if complete {
		faults = faults.and(j.OutsideFaults())
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return j, nil
}

// readJob reads a job and all its faults. It is complete when the job was read to its end.
func readJob(b []byte) (j *Job, faults Faults, complete bool) {
	if len(b) > MaxJobBytes+internalBytes {
		return nil, tooLarge(len(b)), false
	}
	j = new(Job)
	r := newReader(b)
	r.job(j)
	r.end()
	switch {
	case r.stopped:
		return j, r.faults, false
	case j.Herald == nil && len(b) > MaxJobBytes:
		return j, tooLarge(len(b)), false
	}
	return j, r.faults.and(j.faults()), true
}

func tooLarge(n int) Faults {
	return Faults{{Message: fmt.Sprintf("is %d bytes long, a job has at most %d", n, MaxJobBytes)}}
}

// EncodeJob writes a job's JSON. What DecodeJob read comes back as the same job, and the names in data are sorted. It
// fails when a number stands for no name, when a time is out of range, or when data holds what JSON cannot.
func EncodeJob(j *Job) ([]byte, error) { return AppendJob(nil, j) }

// DecodeEvent reads an event strictly into e. The error is of type Faults.
func DecodeEvent(b []byte, e *Event) error {
	*e = Event{}
	r := newReader(b)
	r.event(e)
	r.end()
	if r.stopped {
		return r.faults
	}
	return r.faults.and(e.faults()).err()
}
