package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/profiles"
	"github.com/herald-gateway/herald/tracking/reports"
)

// retryAfter is when to come again after a 503: the database and the broker are looked for more often than that.
const retryAfter = 2 * time.Second

// unprocessable is a 422 that lists faults with their places in the body.
func unprocessable(faults delivery.Faults) error {
	list := make([]error, len(faults))
	for i, f := range faults {
		list[i] = &huma.ErrorDetail{Location: at("body", f.Field), Message: f.Message}
	}
	return huma.NewError(http.StatusUnprocessableEntity, "the request has faults", list...)
}

func unprocessableParam(location, message string) error {
	return huma.NewError(http.StatusUnprocessableEntity, "the request has faults",
		&huma.ErrorDetail{Location: location, Message: message})
}

// failure is the answer to an error of what stands behind the API. Its text goes to the log, not to the client: it may
// name hosts or hold parts of a statement.
func (a *API) failure(err error) error {
	if errors.Is(err, delivery.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return huma.ErrorWithHeaders(
			huma.NewError(http.StatusServiceUnavailable, "Herald cannot reach its database or broker at the moment"),
			http.Header{"Retry-After": {strconv.Itoa(int(retryAfter.Seconds()))}})
	}
	if collision, ok := errors.AsType[*profiles.CollisionError](err); ok {
		return huma.NewError(http.StatusConflict, collision.Error())
	}
	for known, status := range map[error]int{
		reports.ErrNotFound: http.StatusNotFound, ErrNoKey: http.StatusNotFound,
		reports.ErrClosed: http.StatusConflict, ErrKeyExists: http.StatusConflict,
		profiles.ErrNotFound: http.StatusNotFound, profiles.ErrTooManyAttributes: http.StatusConflict,
	} {
		if errors.Is(err, known) {
			return huma.NewError(status, known.Error())
		}
	}
	return huma.NewError(http.StatusInternalServerError, "this is a fault of Herald; see its log")
}

// dropValues removes from errors what was sent: it may hold addresses.
func dropValues(_ huma.Context, _ string, body any) (any, error) {
	if e, ok := body.(*huma.ErrorModel); ok {
		for _, detail := range e.Errors {
			detail.Value = nil
		}
	}
	return body, nil
}
