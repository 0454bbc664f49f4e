// Package httpx holds what all of Herald's HTTP handlers share: a server with a life cycle and time limits, errors as
// application/problem+json (RFC 9457), metrics of requests, recovery from panics, limits of bodies, and the key in an
// Authorization header.
package httpx
