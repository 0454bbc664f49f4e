// Package api is Herald's HTTP API for people and services: jobs in, what became of them out. It is OpenAPI 3.1 below
// /api/v1, served on the private listener; the description stands at /api/openapi.json and, to read, at /api/docs.
//
// Every request needs a key (Authorization: Bearer hk_...) with the scope of its operation. Errors are problems of RFC
// 9457 that list every fault at once and repeat nothing of what was sent. Ids are decimal strings. While the database
// or the broker is away, the answer is 503 with Retry-After, and nothing that was acknowledged is kept in memory.
//
// What the operations do is behind small interfaces that this package declares: Intake, Reports, Profiles and
// KeyStore.
package api
