package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/herald-gateway/herald/delivery"
)

// MaxBatch is how many jobs one request may hold.
const MaxBatch = 1000

// maxBody bounds the body of a batch.
const maxBody = 8 << 20

// errMalformed is a body that is no JSON at all.
var errMalformed = errors.New("the body is no JSON")

// batch is the body of POST /messages.
type batch struct {
	jobs    []*delivery.Job
	declare bool
	single  bool // the body was a job itself
}

// decodeBatch reads a job or {"jobs":[...],"declare":true}. It fails with errMalformed, or with delivery.Faults that hold
// every fault of every job.
func decodeBatch(body []byte) (*batch, error) {
	if !json.Valid(body) {
		return nil, errMalformed
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); first[0] != '{' {
		return nil, delivery.Faults{{Message: "must be a job, or an object with jobs"}}
	}
	members, err := readMembers(body)
	if err != nil {
		return nil, err
	}
	_, jobs := members["jobs"]
	_, declare := members["declare"]
	if !jobs && !declare {
		return decodeSingle(body)
	}
	return decodeJobs(members)
}

// readMembers reads the top level of an object. Names that are given twice within a job are DecodeJob's business.
func readMembers(body []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, errMalformed
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errMalformed
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil && !errors.Is(err, io.EOF) {
			return nil, errMalformed
		}
		key := name.(string) //nolint:forcetypeassert // a name within an object is a string
		if _, twice := members[key]; twice && (key == "jobs" || key == "declare") {
			return nil, delivery.Faults{{Field: key, Message: "is given twice"}}
		}
		members[key] = value
	}
	return members, nil
}

func decodeSingle(body []byte) (*batch, error) {
	job, faults := decodeOutside(body)
	if len(faults) > 0 {
		return nil, faults
	}
	return &batch{jobs: []*delivery.Job{job}, single: true}, nil
}

func decodeJobs(members map[string]json.RawMessage) (*batch, error) {
	var faults delivery.Faults
	fault := func(field, format string, args ...any) {
		faults = append(faults, delivery.Fault{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	b := new(batch)
	if v, ok := members["declare"]; ok && json.Unmarshal(v, &b.declare) != nil {
		fault("declare", "must be true or false")
	}
	delete(members, "declare")
	var list []json.RawMessage
	switch v, ok := members["jobs"]; {
	case !ok:
		fault("jobs", "is required with declare")
	case json.Unmarshal(v, &list) != nil || list == nil:
		fault("jobs", "must be a list of jobs")
	case len(list) == 0 || len(list) > MaxBatch:
		fault("jobs", "must hold 1 to %d jobs", MaxBatch)
		list = nil
	}
	delete(members, "jobs")
	if len(members) > 0 {
		fault("", "beside jobs and declare there are %d other fields", len(members))
	}
	for i, raw := range list {
		job, of := decodeOutside(raw)
		for _, f := range of {
			fault(at(fmt.Sprintf("jobs[%d]", i), f.Field), "%s", f.Message)
		}
		b.jobs = append(b.jobs, job)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return b, nil
}

// decodeOutside reads one job as a producer outside may write it.
func decodeOutside(raw []byte) (*delivery.Job, delivery.Faults) {
	job, err := delivery.DecodeJob(raw)
	if err != nil {
		if faults, ok := errors.AsType[delivery.Faults](err); ok {
			return nil, faults
		}
		return nil, delivery.Faults{{Message: "cannot be read as a job"}}
	}
	if faults := job.OutsideFaults(); len(faults) > 0 {
		return nil, faults
	}
	return job, nil
}

// at is the path of a field within outer.
func at(outer, field string) string {
	switch {
	case field == "":
		return outer
	case field[0] == '[':
		return outer + field
	}
	return outer + "." + field
}
