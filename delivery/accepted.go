package delivery

import "errors"

// Accepted is what became of a job that was taken in from outside: its id, which stays the same when the job is handed
// in again under the same key.
type Accepted struct {
	ID        ID
	Duplicate bool // the key was known: the first job under it counts, this one changes nothing
}

// ErrUnavailable means that what is needed cannot be reached at the moment, such as the database or the broker. Nothing
// was taken; the caller may simply come again.
var ErrUnavailable = errors.New("not available at the moment")
