package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
)

// BenchmarkPostMessages shows what the API itself costs, with nothing behind it.
func BenchmarkPostMessages(b *testing.B) {
	inside := &behind{keys: map[api.KeyHash]api.Key{}}
	a, err := api.New(api.Config{Intake: inside, Reports: inside, BootstrapKey: bootstrap})
	require.NoError(b, err)
	for name, body := range map[string]string{
		"single":   job(""),
		"thousand": `{"jobs":[` + strings.Repeat(job("")+",", 999) + job("") + `]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/v1/messages", strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+bootstrap)
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				a.ServeHTTP(w, r)
				if w.Code != http.StatusAccepted {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
