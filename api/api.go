package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/httpx"
)

// prefix is where the operations stand.
const prefix = "/api/v1"

// contractVersion is the version of the API, not of the binary.
const contractVersion = "1"

// requestTimeout bounds what one request may cost behind the API.
const requestTimeout = 30 * time.Second

// Build says what the binary was made from.
type Build struct {
	Version  string `json:"version" doc:"Version of Herald."`
	Revision string `json:"revision" doc:"Revision of the source; with + when files were changed."`
	Time     string `json:"time" doc:"Time of the revision."`
	Go       string `json:"go" doc:"Version of Go."`
}

// Config is what the API stands on.
type Config struct {
	Intake   Intake
	Reports  Reports
	Profiles Profiles
	Keys     KeyStore // nil: only the bootstrap key is known
	// BootstrapKey is accepted as an administrator's key; empty: there is none.
	BootstrapKey string
	Build        Build
	Log          *slog.Logger
	Now          func() time.Time // nil: time.Now
}

// API is the handler of everything below /api/.
type API struct {
	cfg          Config
	keys         *keyring
	huma         huma.API
	handler      http.Handler
	imports      chan struct{} // one place for each that runs
	importWrites chan struct{} // one place for each batch that is written
}

var _ http.Handler = (*API)(nil)

// New makes the API.
func New(cfg Config) (*API, error) {
	if cfg.Intake == nil || cfg.Reports == nil || cfg.Profiles == nil {
		return nil, errors.New("api: intake, reports and profiles are required")
	}
	return build(cfg)
}

func build(cfg Config) (*API, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &API{
		cfg: cfg, keys: newKeyring(cfg.Keys, cfg.BootstrapKey),
		imports: make(chan struct{}, maxImports), importWrites: make(chan struct{}, maxImportWrites),
	}
	a.cfg.BootstrapKey = "" // the ring holds its hash
	mux := http.NewServeMux()
	a.huma = humago.New(mux, humaConfig())
	a.huma.UseMiddleware(a.authorise, bound)
	a.register()
	spec, err := a.openAPI()
	if err != nil {
		return nil, err
	}
	page, err := docsPage(a.huma.OpenAPI())
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /api/openapi.json", static("application/json", spec))
	mux.HandleFunc("GET /api/docs", static("text/html; charset=utf-8", page))
	a.handler = httpx.Mux(mux)
	return a, nil
}

// ServeHTTP answers requests for paths below /api/.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

func humaConfig() huma.Config {
	c := huma.DefaultConfig("Herald", contractVersion)
	c.Info.Description = "Jobs in, and what became of them out. Ids are decimal strings; lists have cursors; errors are " +
		"problems of RFC 9457."
	c.Info.License = &huma.License{Name: "Apache-2.0"}
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.Transformers = []huma.Transformer{dropValues}
	c.NoFormatFallback = false
	c.RejectUnknownQueryParameters = true
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key, hk_..."},
	}
	return c
}

// bound gives each request a deadline, except those that last as long as their body does.
func bound(ctx huma.Context, next func(huma.Context)) {
	if ctx.Operation().Path == ImportPath {
		next(ctx)
		return
	}
	c, cancel := context.WithTimeout(ctx.Context(), requestTimeout)
	defer cancel()
	next(huma.WithContext(ctx, c))
}

type keyContext struct{}

// authorise lets a request pass when its key has the scope that the operation asks for.
func (a *API) authorise(ctx huma.Context, next func(huma.Context)) {
	scope := scopeOf(ctx.Operation())
	if scope == "" {
		next(ctx)
		return
	}
	key, status, err := a.check(ctx.Context(), ctx.Header("Authorization"), scope)
	if status == 0 {
		next(huma.WithValue(ctx, keyContext{}, key.Name))
		return
	}
	if status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	if status == http.StatusServiceUnavailable {
		ctx.SetHeader("Retry-After", "2")
	}
	_ = huma.WriteErr(a.huma, ctx, status, err.Error())
}

// check finds the key and its right. Status 0 is good; otherwise the error is fit to be answered.
func (a *API) check(ctx context.Context, header string, scope Scope) (Key, int, error) {
	text := httpx.Bearer(header)
	if text == "" {
		return Key{}, http.StatusUnauthorized, errors.New("a key is required, as Authorization: Bearer hk_…")
	}
	key, err := a.keys.find(ctx, text, a.cfg.Now())
	switch {
	case errors.Is(err, ErrNoKey):
		return Key{}, http.StatusUnauthorized, errors.New("this key is not known or was revoked")
	case errors.Is(err, delivery.ErrUnavailable):
		return Key{}, http.StatusServiceUnavailable, errors.New("keys cannot be looked up at the moment")
	case err != nil:
		a.cfg.Log.ErrorContext(ctx, "an api key could not be looked up", "err", err)
		return Key{}, http.StatusInternalServerError, errors.New("this is a fault of Herald; see its log")
	case !key.Allows(scope):
		return Key{}, http.StatusForbidden, errors.New("this key lacks the scope " + string(scope))
	}
	return key, 0, nil
}

// Require protects a handler outside the API, such as the profiles of the process, by a scope.
func (a *API) Require(scope Scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, status, err := a.check(r.Context(), r.Header.Get("Authorization"), scope)
		switch status {
		case 0:
			next.ServeHTTP(w, r)
		case http.StatusServiceUnavailable:
			httpx.WriteUnavailable(w, retryAfter, err.Error())
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", "Bearer")
			fallthrough
		default:
			httpx.WriteProblem(w, status, err.Error())
		}
	})
}

func scopeOf(op *huma.Operation) Scope {
	for _, s := range op.Security {
		for _, scope := range s["key"] {
			return Scope(scope)
		}
	}
	return ""
}

func static(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
		_, _ = w.Write(body)
	}
}

// failed logs what a client cannot mend and turns the error into its answer.
func (a *API) failed(ctx context.Context, operation string, err error) error {
	answer := a.failure(err)
	var status huma.StatusError
	if errors.As(answer, &status) && status.GetStatus() == http.StatusInternalServerError && ctx.Err() == nil {
		a.cfg.Log.ErrorContext(ctx, "an api request failed", "operation", operation, "err", err)
	}
	return answer
}
