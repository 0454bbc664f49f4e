package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/profiles"
)

func TestPostProfiles_AllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, body := b.do(t, "POST", "/api/v1/profiles", bootstrap,
		`{"profiles":[{"city":1},{"id":"1","attributes":{"bonus":"x"}},{"id":"2"},[]]}`)
	var places []string
	for _, e := range b.problem(t, http.StatusUnprocessableEntity, r, body).Errors {
		places = append(places, e.Location)
	}
	require.Equal(t, []string{
		"body.profiles[0].city", "body.profiles[0].id", "body.profiles[1].attributes.bonus", "body.profiles[3]",
	}, places)
	require.Empty(t, b.calls, "when one has a fault none is taken")

	for text, place := range map[string]string{
		`[]`: "body", `null`: "body", `{}`: "body.profiles", `{"profiles":[]}`: "body.profiles", `{"profiles":{}}`: "body.profiles",
		`{"profiles":[{"id":"1"}],"declare":true}`:                                     "body",
		`{"profiles":[` + strings.Repeat(`{"id":"1"},`, api.MaxBatch) + `{"id":"1"}]}`: "body.profiles",
	} {
		r, body := b.do(t, "POST", "/api/v1/profiles", bootstrap, text)
		require.Equal(t, place, b.problem(t, http.StatusUnprocessableEntity, r, body).Errors[0].Location, "%.40s", text)
	}
	r, body = b.do(t, "POST", "/api/v1/profiles", bootstrap, `{"profiles":`)
	b.problem(t, http.StatusBadRequest, r, body)
}

func TestImportProfiles(t *testing.T) {
	t.Parallel()
	const path, csv = "/api/v1/profiles/import", "text/csv; charset=utf-8"
	b := setup(t)
	writer := api.NewKey()
	b.keys[api.HashKey(writer)] = api.Key{Name: "crm", Scopes: []api.Scope{api.ScopeProfilesWrite}}
	r, body := b.do(t, "POST", path, writer, "id;Имя;Бонусы\n1;Ольга;3,5\n2;;x\n", "Content-Type", csv)
	require.Equal(t, http.StatusOK, r.Code, body)
	var report profiles.ImportReport
	require.NoError(t, json.Unmarshal([]byte(body), &report))
	require.Equal(t, profiles.ImportReport{
		Lines: 2, Counts: profiles.Counts{Created: 1}, Faulty: 1, Faults: []profiles.LineFault{{
			Line: 3, Field: "attributes.bonus", Message: "must be a number without exponent and with at most 9 digits after the point",
		}},
	}, report)
	require.Equal(t, []string{"upsert 1"}, b.calls)

	r, body = b.do(t, "POST", path, bootstrap, `{"id":"1"}`+"\n"+`{"id":"2"}`, "Content-Type", "application/x-ndjson")
	require.Equal(t, http.StatusOK, r.Code, body)
	require.Contains(t, body, `"created":2`)
	require.Contains(t, body, `"faults":[]`)

	r, body = b.do(t, "POST", path, bootstrap, "name\nx\n", "Content-Type", csv)
	require.Equal(t, "body", b.problem(t, http.StatusUnprocessableEntity, r, body).Errors[0].Location)
	r, body = b.do(t, "POST", path, bootstrap, `{"id":"1"}`)
	b.problem(t, http.StatusUnsupportedMediaType, r, body)
	r, body = b.do(t, "POST", path, "hk_nobody", "id\n1\n", "Content-Type", csv)
	b.problem(t, http.StatusUnauthorized, r, body)
	reader := api.NewKey()
	b.keys[api.HashKey(reader)] = api.Key{Name: "shop", Scopes: []api.Scope{api.ScopeProfilesRead, api.ScopeMessagesWrite}}
	r, body = b.do(t, "POST", path, reader, "id\n1\n", "Content-Type", csv)
	b.problem(t, http.StatusForbidden, r, body)
	b.err = delivery.ErrUnavailable
	r, body = b.do(t, "POST", path, bootstrap, "id\n1\n", "Content-Type", csv)
	b.problem(t, http.StatusServiceUnavailable, r, body)
}

func TestProfiles_Problems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, body := b.do(t, "GET", "/api/v1/profiles/nobody", bootstrap, "")
	b.problem(t, http.StatusNotFound, r, body)
	for _, id := range []string{"%FF", "a%00b"} {
		r, body = b.do(t, "GET", "/api/v1/profiles/"+id, bootstrap, "")
		b.problem(t, http.StatusNotFound, r, body)
	}
	r, body = b.do(t, "POST", "/api/v1/attributes", bootstrap, `{"name":"nick","type":"string","title":"Имя"}`)
	require.Equal(t, "this title belongs to first_name", b.problem(t, http.StatusConflict, r, body).Detail)
	r, body = b.do(t, "POST", "/api/v1/attributes", bootstrap, `{"name":"Nick","type":"string","title":" "}`)
	require.Len(t, b.problem(t, http.StatusUnprocessableEntity, r, body).Errors, 2)
}

// Whatever the schema says of a row, the decoder reads: the two know the same fields.
func TestOpenAPI_ProfileFieldsAreThoseOfRows(t *testing.T) {
	t.Parallel()
	spec, err := api.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	require.NoError(t, json.Unmarshal(spec, &doc))
	row := map[string]any{}
	for name := range doc.Components.Schemas["ProfileUpdate"].Properties {
		row[name] = nil
	}
	require.Len(t, row, len(profiles.Fields())+2)
	row["id"], row["attributes"] = "1", map[string]any{}
	text, err := json.Marshal(row)
	require.NoError(t, err)
	_, faults := profiles.NewDecoder(profiles.NewSchema(nil)).JSON(string(text))
	require.Empty(t, faults)
}

func TestImportProfiles_LeaveConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var running, most atomic.Int64
		b.upserting = func() {
			n := running.Add(1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			time.Sleep(20 * time.Millisecond)
			running.Add(-1)
		}
		file := "id\n" + strings.Repeat("1\n2\n3\n4\n5\n6\n7\n8\n", 500)
		var group sync.WaitGroup
		var codes [4]int
		for i := range codes {
			group.Go(func() {
				r, _ := b.do(t, "POST", "/api/v1/profiles/import", bootstrap, file, "Content-Type", "text/csv")
				codes[i] = r.Code
			})
		}
		group.Wait()
		require.Equal(t, [4]int{200, 200, 200, 200}, codes)
		require.Equal(t, int64(2), most.Load(), "whatever the number of imports")
	})
}

// brokenBody is a body that ends with an error, after what is to happen before.
type brokenBody struct {
	text   string
	before func()
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.text == "" {
		b.before()
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

func TestImportProfiles_FirstErrorCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		post := func(b *bundle, body io.Reader) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/profiles/import", body)
			r.Header.Set("Authorization", "Bearer "+bootstrap)
			r.Header.Set("Content-Type", "text/csv")
			w := httptest.NewRecorder()
			b.api.ServeHTTP(w, r)
			return w.Code
		}
		b := setup(t)
		require.Equal(t, http.StatusBadRequest, post(b, &brokenBody{"id\n1\n", func() {}}))

		called := make(chan struct{})
		b.upserting = sync.OnceFunc(func() {
			b.err = delivery.ErrUnavailable
			close(called)
		})
		require.Equal(t, http.StatusServiceUnavailable, post(b, &brokenBody{"id\n" + strings.Repeat("1\n", 1000), func() {
			<-called
			synctest.Wait() // the failure is known
		}}))
	})
}
