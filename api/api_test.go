package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/httpx"
	"github.com/herald-gateway/herald/profiles"
	"github.com/herald-gateway/herald/tracking/reports"
)

const bootstrap = "hk_bootstrap"

// behind is everything that stands behind the API.
type behind struct {
	upserting func() // called by Upsert, when there is one

	mu      sync.Mutex
	err     error
	calls   []string
	jobs    []*delivery.Job
	keys    map[api.KeyHash]api.Key
	lookups int
}

func (b *behind) call(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
	return b.err
}

func (b *behind) Accept(_ context.Context, jobs []*delivery.Job, declare bool) ([]delivery.Accepted, error) {
	b.jobs = jobs
	var list []delivery.Accepted
	for i, j := range jobs {
		list = append(list, delivery.Accepted{ID: delivery.ID(95579799552000000 + 8*i), Duplicate: j.Key == "known"})
	}
	return list, b.call("accept %d %v", len(jobs), declare)
}

func (b *behind) Job(_ context.Context, id delivery.ID) (*reports.JobReport, error) {
	return &reports.JobReport{ID: id.Job()}, b.call("job %d", id)
}

func (b *behind) Launches(_ context.Context, cursor int64, limit int) (*reports.LaunchPage, error) {
	return &reports.LaunchPage{Items: []reports.Launch{{Label: "autumn"}}, Next: "7"}, b.call("launches %d %d", cursor, limit)
}

func (b *behind) Launch(_ context.Context, label string) (*reports.Launch, error) {
	return &reports.Launch{Label: label}, b.call("launch %s", label)
}

func (b *behind) Report(_ context.Context, label string) (*reports.Report, error) {
	return &reports.Report{Launch: reports.Launch{Label: label}}, b.call("report %s", label)
}

func (b *behind) Ledger(_ context.Context, label string) (*reports.Ledger, error) {
	return &reports.Ledger{Launch: label, Held: map[string]int64{"retry": 2}}, b.call("ledger %s", label)
}

func (b *behind) Verify(_ context.Context, label string) (*reports.Verification, error) {
	return &reports.Verification{Missing: []delivery.ID{95579799552000000}}, b.call("verify %s", label)
}

func (b *behind) Messages(_ context.Context, label string, q reports.MessageQuery) (*reports.MessagePage, error) {
	return &reports.MessagePage{Items: []reports.MessageItem{{ID: 95579799552000001}}}, b.call("messages %s %s %s %d %d", label, q.Kind, q.Reason,
		q.Cursor, q.Limit)
}

func (b *behind) Declare(_ context.Context, label string, size int64) (*reports.Launch, error) {
	return &reports.Launch{Label: label, Declared: &size}, b.call("declare %s %d", label, size)
}

func (b *behind) Close(_ context.Context, label string) (*reports.Launch, error) {
	return &reports.Launch{Label: label, Closed: true}, b.call("close %s", label)
}

func (b *behind) FindKey(_ context.Context, hash api.KeyHash) (api.Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lookups++
	k, ok := b.keys[hash]
	if b.err != nil {
		return api.Key{}, b.err
	}
	if !ok || !k.RevokedAt.IsZero() {
		return api.Key{}, api.ErrNoKey
	}
	return k, nil
}

func (b *behind) CreateKey(_ context.Context, name string, hash api.KeyHash, scopes []api.Scope, now time.Time) (api.Key, error) {
	k := api.Key{Name: name, Scopes: scopes, CreatedAt: now}
	b.mu.Lock()
	b.keys[hash] = k
	b.mu.Unlock()
	return k, b.call("create %s %v", name, scopes)
}

func (b *behind) ListKeys(context.Context) ([]api.Key, error) {
	return slices.Collect(maps.Values(b.keys)), b.call("list")
}

func (b *behind) RevokeKey(_ context.Context, name string, now time.Time) error {
	b.mu.Lock()
	for h, k := range b.keys {
		if k.Name == name {
			k.RevokedAt = now
			b.keys[h] = k
		}
	}
	b.mu.Unlock()
	return b.call("revoke %s", name)
}

func (b *behind) Upsert(_ context.Context, updates []*profiles.Update, _ time.Time) (profiles.Counts, error) {
	if b.upserting != nil {
		b.upserting()
	}
	return profiles.Counts{Created: int64(len(updates))}, b.call("upsert %d", len(updates))
}

func (b *behind) Find(_ context.Context, external string) (*profiles.Profile, error) {
	if external == "nobody" {
		return nil, profiles.ErrNotFound
	}
	return &profiles.Profile{ID: 7, External: external}, b.call("find %s", external)
}

func (b *behind) Schema(context.Context) (*profiles.Schema, error) {
	return profiles.NewSchema([]profiles.Attribute{{Name: "bonus", Type: profiles.TypeNumber, Title: "Бонусы"}}), b.err
}

func (b *behind) CreateAttribute(_ context.Context, a profiles.Attribute) (profiles.Attribute, error) {
	if a.Title == "Имя" {
		return a, fmt.Errorf("create an attribute: %w", &profiles.CollisionError{Place: "title", Taken: "first_name"})
	}
	return a, b.call("attribute %s %s", a.Name, a.Type)
}

type bundle struct {
	*behind
	api *api.API
	now time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{behind: &behind{keys: map[api.KeyHash]api.Key{}}, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	var err error
	b.api, err = api.New(api.Config{
		Intake: b, Reports: b, Profiles: b, Keys: b, BootstrapKey: bootstrap, Build: api.Build{Version: "1.2.3"},
		Now: func() time.Time { return b.now },
	})
	require.NoError(t, err)
	return b
}

func (b *bundle) do(t *testing.T, method, path, key, body string, headers ...string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	return w, w.Body.String()
}

func (b *bundle) problem(t *testing.T, status int, r *httptest.ResponseRecorder, body string) httpx.Problem {
	t.Helper()
	require.Equal(t, status, r.Code, body)
	require.Equal(t, "application/problem+json", r.Header().Get("Content-Type"))
	require.NotContains(t, body, `"value"`)
	var p httpx.Problem
	require.NoError(t, json.Unmarshal([]byte(body), &p))
	require.Equal(t, status, p.Status)
	return p
}

func job(more string) string {
	return `{"v":1,"category":"transactional","recipient":{"phone":"+79161234567"},"content":{"sms":{"text":"hi"}}` + more + `}`
}

// The operations, each once right and once wrong.
type operationCase struct {
	name, method, path, body string
	scope                    api.Scope
	status                   int
	call, want               string // what reaches the inside, what the answer holds
	badPath, badBody         string
	badLocation              string
}

func operations() []operationCase {
	const v1 = "/api/v1"
	return []operationCase{
		{
			"post-messages", "POST", v1 + "/messages", job(""), api.ScopeMessagesWrite, 202, "accept 1 false",
			`{"ids":["95579799552000000"],"duplicates":[]}`, "", job(`,"priority":101`), "body.priority",
		},
		{
			"get-message", "GET", v1 + "/messages/95579799552000001", "", api.ScopeReportsRead, 200, "job 95579799552000001",
			`"id":"95579799552000000"`, v1 + "/messages/+79161234567", "", "path.id",
		},
		{
			"list-launches", "GET", v1 + "/launches?cursor=9&limit=5", "", api.ScopeReportsRead, 200, "launches 9 5",
			`"next":"7"`, v1 + "/launches?cursor=+79161234567", "", "query.cursor",
		},
		{
			"get-launch", "GET", v1 + "/launches/a%2Fb%20%25%D1%8F", "", api.ScopeReportsRead, 200, "launch a/b %я",
			`"label":"a/b %я"`, v1 + "/launches/x%0A", "", "path.label",
		},
		{
			"get-report", "GET", v1 + "/launches/autumn/report", "", api.ScopeReportsRead, 200, "report autumn",
			`"rows":`, v1 + "/launches/" + strings.Repeat("x", 65) + "/report", "", "path.label",
		},
		{
			"get-ledger", "GET", v1 + "/launches/autumn/ledger", "", api.ScopeReportsRead, 200, "ledger autumn",
			`"held":{"retry":2}`, v1 + "/launches/autumn/ledger?verify=perhaps", "", "query.verify",
		},
		{
			"get-ledger", "GET", v1 + "/launches/autumn/ledger?verify=true", "", api.ScopeReportsRead, 200, "verify autumn",
			`"missing":["95579799552000000"]`, v1 + "/launches/autumn/ledger?verfy=true", "", "query.verfy",
		},
		{
			"list-messages", "GET", v1 + "/launches/autumn/messages?kind=unknown&reason=capped&cursor=8&limit=2", "",
			api.ScopeReportsRead, 200, "messages autumn unknown capped 8 2", `"id":"95579799552000001"`,
			v1 + "/launches/autumn/messages?kind=+79161234567", "", "query.kind",
		},
		{
			"list-messages", "GET", v1 + "/launches/autumn/messages?kind=pending", "", api.ScopeReportsRead, 200,
			"messages autumn pending  0 100", `"next":""`, v1 + "/launches/autumn/messages?reason=+79161234567", "", "query.reason",
		},
		{
			"declare-launch", "POST", v1 + "/launches/autumn", `{"size":1000}`, api.ScopeLaunchesWrite, 200, "declare autumn 1000",
			`"declared":1000`, "", `{"size":-1}`, "body.size",
		},
		{
			"close-launch", "POST", v1 + "/launches/autumn/close", "", api.ScopeLaunchesWrite, 200, "close autumn", `"closed":true`,
			v1 + "/launches/%FF/close", "", "path.label",
		},
		{
			"post-profiles", "POST", v1 + "/profiles", `{"profiles":[{"id":"crm:1","attributes":{"bonus":3}},{"id":"crm:2"}]}`,
			api.ScopeProfilesWrite, 200, "upsert 2", `"created":2`, "", `{"profiles":[{"id":"crm:1"},{"id":"crm:2","phone":"+79161234567x"}]}`,
			"body.profiles[1].phone",
		},
		{
			"get-profile", "GET", v1 + "/profiles/crm:1%2F%D1%8F", "", api.ScopeProfilesRead, 200, "find crm:1/я",
			`{"id":"crm:1/я","profile_id":"7","attributes":{}`, v1 + "/profiles/1?x=+79161234567", "", "query.x",
		},
		{"list-attributes", "GET", v1 + "/attributes", "", api.ScopeProfilesRead, 200, "", `"title":"Бонусы"`, v1 + "/attributes?x=1", "", "query.x"},
		{
			"create-attribute", "POST", v1 + "/attributes", `{"name":"size","type":"number","title":"Размер"}`, api.ScopeProfilesWrite, 201,
			"attribute size number", `"title":"Размер"`, "", `{"name":"size","type":"number","title":"Раз.мер"}`, "body.title",
		},
		{"list-keys", "GET", v1 + "/apikeys", "", api.ScopeAdmin, 200, "list", `"items":[`, v1 + "/apikeys?x=1", "", "query.x"},
		{
			"create-key", "POST", v1 + "/apikeys", `{"name":"shop","scopes":["messages:write"]}`, api.ScopeAdmin, 201,
			"create shop [messages:write]", `"key":"hk_`, "", `{"name":"shop","scopes":["+79161234567"]}`, "body.scopes[0]",
		},
		{
			"revoke-key", "DELETE", v1 + "/apikeys/shop", "", api.ScopeAdmin, 204, "revoke shop", "",
			v1 + "/apikeys/" + strings.Repeat("x", 65), "", "path.name",
		},
		{"get-version", "GET", v1 + "/version", "", "", 200, "", `"version":"1.2.3"`, v1 + "/version?x=1", "", "query.x"},
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	spec, err := api.OpenAPI()
	require.NoError(t, err)
	for _, id := range regexp.MustCompile(`"operationId": "([^"]+)"`).FindAllSubmatch(spec, -1) {
		described[string(id[1])] = false
	}
	described["import-profiles"] = true // its bodies are no JSON: TestImportProfiles
	for _, op := range operations() {
		require.Contains(t, described, op.name)
		described[op.name] = true
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r, body := b.do(t, op.method, op.path, bootstrap, op.body)
			require.Equal(t, op.status, r.Code, body)
			require.Contains(t, body, op.want)
			if op.call != "" {
				require.Equal(t, []string{op.call}, b.calls)
			}
			b.calls = nil

			path, text := op.badPath, op.badBody
			if path == "" {
				path = op.path
			}
			r, body = b.do(t, op.method, path, bootstrap, text)
			p := b.problem(t, http.StatusUnprocessableEntity, r, body)
			require.NotEmpty(t, p.Errors)
			require.Equal(t, op.badLocation, p.Errors[0].Location, body)
			require.Len(t, p.Errors, 1, body)
			require.NotContains(t, body, "79161234567", "what was sent is not repeated")
			require.Empty(t, b.calls)

			if op.call == "" {
				return
			}
			b.err = fmt.Errorf("dial postgres: %w", delivery.ErrUnavailable)
			r, body = b.do(t, op.method, op.path, bootstrap, op.body)
			b.problem(t, http.StatusServiceUnavailable, r, body)
			require.Equal(t, "2", r.Header().Get("Retry-After"))
			b.err = errors.New("syntax error near +79161234567")
			r, body = b.do(t, op.method, op.path, bootstrap, op.body)
			b.problem(t, http.StatusInternalServerError, r, body)
			require.NotContains(t, body, "syntax")
		})
	}
	for id, tested := range described {
		require.True(t, tested, "operation %s has no test", id)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	texts := map[api.Scope]string{}
	for _, s := range api.Scopes() {
		texts[s] = api.NewKey()
		b.keys[api.HashKey(texts[s])] = api.Key{Name: string(s), Scopes: []api.Scope{s}}
	}
	require.Len(t, texts[api.ScopeAdmin], 3+43)
	for _, op := range operations() {
		r, body := b.do(t, op.method, op.path, "", op.body)
		if op.scope == "" {
			require.Equal(t, op.status, r.Code)
			continue
		}
		b.problem(t, http.StatusUnauthorized, r, body)
		require.Equal(t, "Bearer", r.Header().Get("WWW-Authenticate"))
		r, body = b.do(t, op.method, op.path, "hk_nobody", op.body)
		b.problem(t, http.StatusUnauthorized, r, body)
		for _, s := range api.Scopes() {
			r, body = b.do(t, op.method, op.path, texts[s], op.body)
			if s == op.scope || s == api.ScopeAdmin {
				require.Equal(t, op.status, r.Code, "%s with %s: %s", op.name, s, body)
			} else {
				b.problem(t, http.StatusForbidden, r, body)
			}
		}
	}
}

func TestKeys_RevocationAndCache(t *testing.T) {
	t.Parallel()
	b := setup(t)
	text := api.NewKey()
	b.keys[api.HashKey(text)] = api.Key{Name: "shop", Scopes: []api.Scope{api.ScopeReportsRead}}
	read := func() int {
		r, _ := b.do(t, "GET", "/api/v1/launches", text, "")
		return r.Code
	}
	for range 10 {
		require.Equal(t, 200, read())
	}
	require.Equal(t, 1, b.lookups, "a key that was found is remembered for a moment")
	require.NoError(t, b.RevokeKey(t.Context(), "shop", b.now)) // by another process
	require.Equal(t, 200, read())
	b.now = b.now.Add(5 * time.Second)
	require.Equal(t, 401, read(), "and no longer")

	r, body := b.do(t, "POST", "/api/v1/apikeys", bootstrap, `{"name":"two","scopes":["admin","reports:read"]}`)
	require.Equal(t, 201, r.Code)
	var made struct{ Key, Name string }
	require.NoError(t, json.Unmarshal([]byte(body), &made))
	text = made.Key
	require.Equal(t, 200, read())
	r, _ = b.do(t, "DELETE", "/api/v1/apikeys/two", bootstrap, "")
	require.Equal(t, 204, r.Code)
	require.Equal(t, 401, read(), "at once where it was revoked")
	_, body = b.do(t, "GET", "/api/v1/apikeys", bootstrap, "")
	require.Contains(t, body, `"revoked_at":"2026-11-24T12:00:05Z"`)
	require.NotContains(t, body, text)

	text = api.NewKey()
	b.err = fmt.Errorf("away: %w", delivery.ErrUnavailable)
	r, body = b.do(t, "GET", "/api/v1/launches", text, "")
	b.problem(t, http.StatusServiceUnavailable, r, body)
	b.err = errors.New("broken")
	r, body = b.do(t, "GET", "/api/v1/launches", text, "")
	b.problem(t, http.StatusInternalServerError, r, body)
}

func TestKnownErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err          error
		method, path string
		status       int
	}{
		{reports.ErrNotFound, "GET", "/api/v1/launches/none", 404},
		{reports.ErrNotFound, "GET", "/api/v1/messages/8", 404},
		{reports.ErrClosed, "POST", "/api/v1/launches/autumn", 409},
		{api.ErrKeyExists, "POST", "/api/v1/apikeys", 409},
		{api.ErrNoKey, "DELETE", "/api/v1/apikeys/none", 404},
	} {
		b := setup(t)
		b.err = fmt.Errorf("look up +79161234567: %w", c.err)
		body := map[string]string{"/api/v1/launches/autumn": `{"size":1}`, "/api/v1/apikeys": `{"name":"a","scopes":["admin"]}`}[c.path]
		r, text := b.do(t, c.method, c.path, bootstrap, body)
		require.Equal(t, c.err.Error(), b.problem(t, c.status, r, text).Detail)
	}
	b := setup(t)
	r, body := b.do(t, "GET", "/api/v1/messages/9999999999999999999", bootstrap, "")
	b.problem(t, http.StatusNotFound, r, body)
	r, body = b.do(t, "POST", "/api/v1/launches/2026", bootstrap, `{"size":1}`)
	require.Equal(t, "path.label", b.problem(t, http.StatusUnprocessableEntity, r, body).Errors[0].Location)
	_, err := api.New(api.Config{})
	require.Error(t, err)
}

func TestPostMessages_Batch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, body := b.do(t, "POST", "/api/v1/messages", bootstrap, `{"declare":true,"jobs":[`+job("")+`,`+job(`,"key":"known"`)+`]}`)
	require.Equal(t, 202, r.Code, body)
	require.JSONEq(t, `{"ids":["95579799552000000","95579799552000008"],"duplicates":[1]}`, body)
	require.Equal(t, []string{"accept 2 true"}, b.calls)

	// Every fault of every job, nothing taken, nothing repeated.
	jobs := make([]string, 20)
	for i := range jobs {
		jobs[i] = job("")
	}
	jobs[3] = job(`,"herald":{"id":"8"}`)
	jobs[5] = job(`,"launch":"2026"`)
	jobs[17] = job(`,"priority":500,"cascade":[{"channel":"sms","ttl":"soon"}]`)
	jobs[18] = `"+79161234567"`
	jobs[19] = job(`,"nonsense":"secret text"`)
	r, body = b.do(t, "POST", "/api/v1/messages", bootstrap, `{"jobs":[`+strings.Join(jobs, ",")+`],"declare":1,"zzz":2}`)
	p := b.problem(t, http.StatusUnprocessableEntity, r, body)
	var got []string
	for _, f := range p.Errors {
		got = append(got, f.Location)
	}
	slices.Sort(got)
	require.Empty(t, cmp.Diff([]string{
		"body", "body.declare", "body.jobs[17].cascade[0].ttl", "body.jobs[17].priority", "body.jobs[18]", "body.jobs[19].nonsense",
		"body.jobs[3].herald", "body.jobs[5].launch",
	}, got))
	require.NotContains(t, body, "79161234567")
	require.NotContains(t, body, "secret text")
	require.Len(t, b.calls, 1)
}

func TestPostMessages_Bodies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	many := func(n int) string { return `{"jobs":[` + strings.Repeat(job("")+",", n-1) + job("") + `]}` }
	for name, c := range map[string]struct {
		body, location string
		status         int
	}{
		"malformed":      {`{"v":1,`, "", 400},
		"two values":     {job("") + job(""), "", 400},
		"not utf-8 json": {"{\"v\":\xff}", "", 400},
		"list":           {`[` + job("") + `]`, "body", 422},
		"text":           {`"x"`, "body", 422},
		"null":           {`null`, "body", 422},
		"empty object":   {`{}`, "body.v", 422},
		"empty list":     {`{"jobs":[]}`, "body.jobs", 422},
		"null list":      {`{"jobs":null}`, "body.jobs", 422},
		"jobs missing":   {`{"declare":true}`, "body.jobs", 422},
		"jobs twice":     {`{"jobs":[],"jobs":[]}`, "body.jobs", 422},
		"null job":       {`{"jobs":[null]}`, "body.jobs[0]", 422},
		"too many":       {many(1001), "body.jobs", 422},
		"most":           {many(1000), "", 202},
		"job too large":  {job(`,"data":{"x":"` + strings.Repeat("x", delivery.MaxJobBytes) + `"}`), "body", 422},
		"too large":      {`{"jobs":["` + strings.Repeat("x", 8<<20) + `"]}`, "", 413},
	} {
		r, body := b.do(t, "POST", "/api/v1/messages", bootstrap, c.body)
		if c.status == 202 {
			require.Equal(t, 202, r.Code, name)
			continue
		}
		p := b.problem(t, c.status, r, body)
		if c.location != "" {
			require.Equal(t, c.location, p.Errors[0].Location, name)
		}
	}
	r, body := b.do(t, "POST", "/api/v1/messages", bootstrap, "")
	b.problem(t, http.StatusBadRequest, r, body)
}

func TestPostMessages_IdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	post := func(body, key string) (*httptest.ResponseRecorder, string) {
		return b.do(t, "POST", "/api/v1/messages", bootstrap, body, "Idempotency-Key", key)
	}
	r, _ := post(job(""), "order-1")
	require.Equal(t, 202, r.Code)
	require.Equal(t, "order-1", b.jobs[0].Key)
	r, _ = post(job(`,"key":"order-1"`), "order-1")
	require.Equal(t, 202, r.Code)
	for _, c := range [][2]string{
		{job(`,"key":"order-1"`), "order-2"}, {`{"jobs":[` + job("") + `]}`, "order-1"}, {job(""), strings.Repeat("x", 129)},
	} {
		r, body := post(c[0], c[1])
		require.Equal(t, "header.Idempotency-Key", b.problem(t, http.StatusUnprocessableEntity, r, body).Errors[0].Location)
	}
}

func TestPathsWithoutOperation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, body := b.do(t, "GET", "/api/v2/messages", bootstrap, "")
	b.problem(t, http.StatusNotFound, r, body)
	r, body = b.do(t, "PUT", "/api/v1/messages", bootstrap, "")
	b.problem(t, http.StatusMethodNotAllowed, r, body)
	require.Equal(t, "POST", r.Header().Get("Allow"))
	r, body = b.do(t, "POST", "/api/v1/launches/autumn", bootstrap, `{"size":`)
	b.problem(t, http.StatusBadRequest, r, body)
}

func TestRequire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	weak := api.NewKey()
	b.keys[api.HashKey(weak)] = api.Key{Scopes: []api.Scope{api.ScopeReportsRead}}
	h := b.api.Require(api.ScopeAdmin, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))
	for key, status := range map[string]int{bootstrap: 200, weak: 403, "hk_x": 401, "": 401} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/debug/pprof/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		h.ServeHTTP(w, r)
		require.Equal(t, status, w.Code)
	}
	b.err = delivery.ErrUnavailable
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+api.NewKey())
	h.ServeHTTP(w, r)
	require.Equal(t, 503, w.Code)
}

func TestDocs_StandAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, page := b.do(t, "GET", "/api/docs", "", "")
	require.Equal(t, 200, r.Code)
	require.NotRegexp(t, `(?i)(src|href)="?(https?:)?//|<script|@import|url\(`, page)
	for _, op := range operations() {
		require.Contains(t, page, `id="`+op.name+`"`)
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, page, `id="`+link[1]+`"`)
	}
	require.Contains(t, page, "scope messages:write")
	r, spec := b.do(t, "GET", "/api/openapi.json", "", "")
	require.Equal(t, "application/json", r.Header().Get("Content-Type"))
	want, err := api.OpenAPI()
	require.NoError(t, err)
	require.Equal(t, string(want), spec)
}

// Ids exceed what a double holds exactly, and nothing that was sent comes back.
func TestOpenAPI_Rules(t *testing.T) {
	t.Parallel()
	spec, err := api.OpenAPI()
	require.NoError(t, err)
	var doc any
	require.NoError(t, json.Unmarshal(spec, &doc))
	require.Equal(t, "3.1.0", doc.(map[string]any)["openapi"])
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch x := v.(type) {
		case map[string]any:
			if props, ok := x["properties"].(map[string]any); ok {
				for _, name := range []string{"id", "job", "message", "ids", "profile_id"} {
					if p, ok := props[name].(map[string]any); ok {
						require.NotEqual(t, "integer", p["type"], path+"."+name)
					}
				}
				require.NotContains(t, props, "value", path)
				require.NotContains(t, props, "herald", path)
				require.NotContains(t, props, "$schema", path)
			}
			_, list := x["type"].([]any)
			update := strings.HasPrefix(path, ".components.schemas.ProfileUpdate.") // in which null clears
			require.False(t, list && !update, "%s: no nullable types", path)
			for k, child := range x {
				walk(path+"."+k, child)
			}
		case []any:
			for i, child := range x {
				walk(fmt.Sprintf("%s[%d]", path, i), child)
			}
		}
	}
	walk("", doc)
}

// Whatever the schema says of a job, DecodeJob reads: the two know the same fields.
func TestOpenAPI_JobFieldsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	spec, err := api.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	require.NoError(t, json.Unmarshal(spec, &doc))
	for name := range doc.Components.Schemas["Job"].Properties {
		_, err := delivery.DecodeJob([]byte(`{"` + name + `":[[]]}`))
		require.NotContains(t, err.Error(), "unknown", name)
	}
}
