package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/tracking/reports"
)

// answer is a response with a body.
type answer[T any] struct {
	Body T
}

func operation(id, method, path, tag, summary, description string, scope Scope) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: prefix + path, Tags: []string{tag}, Summary: summary, Description: description,
		Errors: []int{
			http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
			http.StatusInternalServerError, http.StatusServiceUnavailable,
		},
	}
	if scope == "" {
		op.Errors = nil
		return op
	}
	op.Security = []map[string][]string{{"key": {string(scope)}}}
	return op
}

// register adds all operations.
func (a *API) register() {
	a.registerMessages()
	a.registerLaunches()
	a.registerProfiles()
	a.registerAttributes()
	a.registerKeys()
	huma.Register(a.huma, operation("get-version", http.MethodGet, "/version", "Herald", "Version of this process",
		"Needs no key.", ""),
		func(context.Context, *struct{}) (*answer[Build], error) { return &answer[Build]{a.cfg.Build}, nil })
}

type postMessages struct {
	Key     string `header:"Idempotency-Key" doc:"For a single job: its key, when the job itself has none. Repeating the request under the same key changes nothing."`
	RawBody []byte `contentType:"application/json"`
}

// acceptedBody answers POST /messages.
type acceptedBody struct {
	IDs        []delivery.ID `json:"ids" nullable:"false" doc:"Ids of the jobs, in the order of the request."`
	Duplicates []int         `json:"duplicates" nullable:"false" doc:"Positions of jobs whose key was known: they change nothing."`
}

func (a *API) registerMessages() {
	post := operation("post-messages", http.MethodPost, "/messages", "Messages", "Hand in jobs",
		"One job, or up to 1000 as jobs. When one has a fault none is taken, and all faults of all jobs are listed. With "+
			"declare the declared size of each launch that the jobs name grows by the jobs that are new. The answer comes "+
			"when the jobs are durable; repeating a request is safe for jobs that have a key.", ScopeMessagesWrite)
	post.DefaultStatus = http.StatusAccepted
	post.MaxBodyBytes, post.BodyReadTimeout, post.SkipValidateBody = maxBody, 30*time.Second, true
	post.Errors = append(post.Errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	huma.Register(a.huma, post, a.postMessages)
	a.huma.OpenAPI().Paths[post.Path].Post.RequestBody = messagesBody(a.huma.OpenAPI().Components.Schemas)

	get := operation("get-message", http.MethodGet, "/messages/{id}", "Messages", "What became of a job",
		"The id is that of the job or of any of its messages; the answer is the whole job.", ScopeReportsRead)
	get.Errors = append(get.Errors, http.StatusNotFound)
	huma.Register(a.huma, get, func(ctx context.Context, in *struct {
		ID string `path:"id" pattern:"^[0-9]{1,19}$" doc:"Id of a job or message."`
	},
	) (*answer[*reports.JobReport], error) {
		id, err := delivery.ParseID(in.ID)
		if err != nil {
			return nil, a.failure(reports.ErrNotFound) // of the right form, and larger than any id
		}
		return given(a.cfg.Reports.Job(ctx, id)).answer(ctx, a, "get-message")
	})
}

// result is what stands behind the API gave.
type result[T any] struct {
	value T
	err   error
}

func given[T any](v T, err error) result[T] { return result[T]{v, err} }

// answer makes an answer of a result.
func (r result[T]) answer(ctx context.Context, a *API, operation string) (*answer[T], error) {
	if r.err != nil {
		return nil, a.failed(ctx, operation, r.err)
	}
	return &answer[T]{r.value}, nil
}

func (a *API) postMessages(ctx context.Context, in *postMessages) (*answer[acceptedBody], error) {
	b, err := decodeBatch(in.RawBody)
	if faults, ok := errors.AsType[delivery.Faults](err); ok {
		return nil, unprocessable(faults)
	}
	if err != nil {
		return nil, huma.NewError(http.StatusBadRequest, err.Error())
	}
	if err := b.setKey(in.Key); err != nil {
		return nil, err
	}
	list, err := a.cfg.Intake.Accept(ctx, b.jobs, b.declare)
	if err == nil && len(list) != len(b.jobs) {
		err = errors.New("the intake answered for another number of jobs")
	}
	if err != nil {
		return nil, a.failed(ctx, "post-messages", err)
	}
	out := acceptedBody{IDs: make([]delivery.ID, len(list)), Duplicates: []int{}}
	for i, x := range list {
		out.IDs[i] = x.ID
		if x.Duplicate {
			out.Duplicates = append(out.Duplicates, i)
		}
	}
	return &answer[acceptedBody]{out}, nil
}

// setKey gives a single job the key of the request's header.
func (b *batch) setKey(key string) error {
	const place = "header.Idempotency-Key"
	switch {
	case key == "":
		return nil
	case !b.single:
		return unprocessableParam(place, "goes with a single job; within jobs each has its own key")
	case len(key) > delivery.MaxKeyBytes:
		return unprocessableParam(place, "is longer than "+strconv.Itoa(delivery.MaxKeyBytes)+" bytes")
	case b.jobs[0].Key != "" && b.jobs[0].Key != key:
		return unprocessableParam(place, "differs from the key of the job")
	}
	b.jobs[0].Key = key
	return nil
}

// LaunchPath is the part of a path that names a launch.
type LaunchPath struct {
	Label string `path:"label" doc:"Label of the launch, escaped as one segment of a path."`
}

// Resolve checks the label.
func (l *LaunchPath) Resolve(huma.Context) []error {
	if fault := labelFault(l.Label); fault != "" {
		return []error{&huma.ErrorDetail{Location: "path.label", Message: fault}}
	}
	return nil
}

func labelFault(label string) string {
	if len(label) > delivery.MaxLabelBytes || !utf8.ValidString(label) ||
		strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "a label is at most " + strconv.Itoa(delivery.MaxLabelBytes) + " bytes of printable characters"
	}
	return ""
}

// PageQuery says which page of a list is wanted.
type PageQuery struct {
	Cursor string `query:"cursor" doc:"next of the page before; empty: the first page."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Items on the page, at most."`
	after  int64
}

// Resolve reads the cursor.
func (p *PageQuery) Resolve(huma.Context) []error {
	var ok bool
	if p.after, ok = parseCursor(p.Cursor); !ok {
		return []error{&huma.ErrorDetail{Location: "query.cursor", Message: "is no cursor of this list"}}
	}
	return nil
}

// parseCursor reads a cursor, the decimal id of the last item; empty is 0.
func parseCursor(s string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == s
}

func (a *API) registerLaunches() {
	const tag = "Launches"
	get := func(id, path, summary, description string) huma.Operation {
		op := operation(id, http.MethodGet, path, tag, summary, description, ScopeReportsRead)
		if strings.Contains(path, "{") {
			op.Errors = append(op.Errors, http.StatusNotFound)
		}
		return op
	}
	huma.Register(a.huma, get("list-launches", "/launches", "Launches", "The newest first."),
		func(ctx context.Context, in *struct{ PageQuery }) (*answer[*reports.LaunchPage], error) {
			return given(a.cfg.Reports.Launches(ctx, in.after, in.Limit)).answer(ctx, a, "list-launches")
		})
	huma.Register(a.huma, get("get-launch", "/launches/{label}", "A launch", ""),
		func(ctx context.Context, in *LaunchPath) (*answer[*reports.Launch], error) {
			return given(a.cfg.Reports.Launch(ctx, in.Label)).answer(ctx, a, "get-launch")
		})
	huma.Register(a.huma, get("get-report", "/launches/{label}/report", "What a launch achieved", ""),
		func(ctx context.Context, in *LaunchPath) (*answer[*reports.Report], error) {
			return given(a.cfg.Reports.Report(ctx, in.Label)).answer(ctx, a, "get-report")
		})
	a.registerLedger(get)
	huma.Register(a.huma, get("list-messages", "/launches/{label}/messages", "Messages of a launch",
		"Every figure of ledger and report can be listed: kind is a kind of event or a bucket of the ledger."), a.listMessages)
	a.registerLaunchChanges(tag)
}

func (a *API) registerLedger(get func(id, path, summary, description string) huma.Operation) {
	op := get("get-ledger", "/launches/{label}/ledger", "Where the jobs of a launch are",
		"With verify claims and fates are counted again, and the answer is a verification that names what differs.")
	huma.Register(a.huma, op, func(ctx context.Context, in *struct {
		LaunchPath
		Verify bool `query:"verify" doc:"Count again."`
	},
	) (*answer[any], error) {
		if in.Verify {
			v, err := a.cfg.Reports.Verify(ctx, in.Label)
			return given(any(v), err).answer(ctx, a, "get-ledger")
		}
		v, err := a.cfg.Reports.Ledger(ctx, in.Label)
		return given(any(v), err).answer(ctx, a, "get-ledger")
	})
	schemas := a.huma.OpenAPI().Components.Schemas
	a.huma.OpenAPI().Paths[op.Path].Get.Responses["200"].Content["application/json"].Schema = &huma.Schema{
		OneOf: []*huma.Schema{schemaOf[reports.Ledger](schemas), schemaOf[reports.Verification](schemas)},
	}
}

type listMessages struct {
	LaunchPath
	PageQuery
	Kind   string `query:"kind" doc:"Kind of event or bucket, such as unknown; empty: all."`
	Reason string `query:"reason" doc:"Only those with this reason."`
}

func (a *API) listMessages(ctx context.Context, in *listMessages) (*answer[*reports.MessagePage], error) {
	q := reports.MessageQuery{Kind: in.Kind, Cursor: in.after, Limit: in.Limit}
	if in.Kind != "" {
		_, kind := delivery.ParseKind(in.Kind)
		_, bucket := delivery.ParseBucket(in.Kind)
		if kind != nil && bucket != nil {
			return nil, unprocessableParam("query.kind", "is neither a kind of event nor a bucket")
		}
	}
	var err error
	if q.Reason, err = delivery.ParseReason(in.Reason); err != nil {
		return nil, unprocessableParam("query.reason", "is no reason")
	}
	return given(a.cfg.Reports.Messages(ctx, in.Label, q)).answer(ctx, a, "list-messages")
}

// declareBody declares the size of a launch.
type declareBody struct {
	Size int64 `json:"size" minimum:"0" maximum:"1000000000" doc:"How many jobs belong to the launch, all in all."`
}

func (a *API) registerLaunchChanges(tag string) {
	declare := operation("declare-launch", http.MethodPost, "/launches/{label}", tag, "Declare the size of a launch",
		"Makes the launch when there is none. With its size known, jobs that are not yet read count as pending.",
		ScopeLaunchesWrite)
	declare.Errors = append(declare.Errors, http.StatusBadRequest, http.StatusConflict)
	huma.Register(a.huma, declare, func(ctx context.Context, in *struct {
		LaunchPath
		Body declareBody
	},
	) (*answer[*reports.Launch], error) {
		if strings.Trim(in.Label, "0123456789") == "" {
			return nil, unprocessableParam("path.label", "holds digits only, which is reserved for campaigns")
		}
		return given(a.cfg.Reports.Declare(ctx, in.Label, in.Body.Size)).answer(ctx, a, "declare-launch")
	})
	closing := operation("close-launch", http.MethodPost, "/launches/{label}/close", tag, "Say that no more jobs follow",
		"The size of a launch that was not declared is then what was claimed. Again is harmless.", ScopeLaunchesWrite)
	closing.Errors = append(closing.Errors, http.StatusNotFound)
	huma.Register(a.huma, closing, func(ctx context.Context, in *LaunchPath) (*answer[*reports.Launch], error) {
		return given(a.cfg.Reports.Close(ctx, in.Label)).answer(ctx, a, "close-launch")
	})
}

// KeyItem is an API key as lists show it.
type KeyItem struct {
	Name      string     `json:"name" doc:"Name of the key."`
	Scopes    []Scope    `json:"scopes" nullable:"false" doc:"What it may be used for."`
	CreatedAt time.Time  `json:"created_at" doc:"When it was made."`
	RevokedAt *time.Time `json:"revoked_at,omitempty" doc:"When it was revoked."`
}

type keyList struct {
	Items []KeyItem `json:"items" nullable:"false" doc:"The keys, by name."`
}

type createKeyBody struct {
	Name   string  `json:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9_.@-]*$" doc:"Name of the key, for people."`
	Scopes []Scope `json:"scopes" nullable:"false" minItems:"1" uniqueItems:"true" enum:"admin,messages:write,launches:write,reports:read,profiles:read,profiles:write" doc:"What it may be used for; admin includes all."`
}

type createdKey struct {
	KeyItem
	Key string `json:"key" doc:"The key itself. It is shown this once."`
}

func itemOf(k Key) KeyItem {
	item := KeyItem{Name: k.Name, Scopes: k.Scopes, CreatedAt: k.CreatedAt}
	if !k.RevokedAt.IsZero() {
		item.RevokedAt = &k.RevokedAt
	}
	return item
}

func (a *API) registerKeys() {
	const tag = "Keys"
	list := operation("list-keys", http.MethodGet, "/apikeys", tag, "API keys", "The revoked ones too.", ScopeAdmin)
	huma.Register(a.huma, list, func(ctx context.Context, _ *struct{}) (*answer[keyList], error) {
		keys, err := a.store().ListKeys(ctx)
		if err != nil {
			return nil, a.failed(ctx, "list-keys", err)
		}
		out := keyList{Items: []KeyItem{}}
		for _, k := range keys {
			out.Items = append(out.Items, itemOf(k))
		}
		return &answer[keyList]{out}, nil
	})
	create := operation("create-key", http.MethodPost, "/apikeys", tag, "Make an API key",
		"The key is in the answer and nowhere else.", ScopeAdmin)
	create.DefaultStatus = http.StatusCreated
	create.Errors = append(create.Errors, http.StatusBadRequest, http.StatusConflict)
	huma.Register(a.huma, create, func(ctx context.Context, in *struct{ Body createKeyBody }) (*answer[createdKey], error) {
		text := NewKey()
		k, err := a.store().CreateKey(ctx, in.Body.Name, HashKey(text), in.Body.Scopes, a.cfg.Now())
		if err != nil {
			return nil, a.failed(ctx, "create-key", err)
		}
		return &answer[createdKey]{createdKey{itemOf(k), text}}, nil
	})
	revoke := operation("revoke-key", http.MethodDelete, "/apikeys/{name}", tag, "Revoke an API key",
		"For good, within 5 seconds in every process. Again is harmless.", ScopeAdmin)
	revoke.Errors = append(revoke.Errors, http.StatusNotFound)
	huma.Register(a.huma, revoke, func(ctx context.Context, in *struct {
		Name string `path:"name" maxLength:"64" doc:"Name of the key."`
	},
	) (*struct{}, error) {
		if err := a.store().RevokeKey(ctx, in.Name, a.cfg.Now()); err != nil {
			return nil, a.failed(ctx, "revoke-key", err)
		}
		a.keys.forget()
		return nil, nil //nolint:nilnil // 204 has no body
	})
}

// store is the store of keys, or one that is always away.
func (a *API) store() KeyStore {
	if a.cfg.Keys == nil {
		return noStore{}
	}
	return a.cfg.Keys
}

type noStore struct{}

func (noStore) FindKey(context.Context, KeyHash) (Key, error) { return Key{}, ErrNoKey }

func (noStore) CreateKey(context.Context, string, KeyHash, []Scope, time.Time) (Key, error) {
	return Key{}, delivery.ErrUnavailable
}

func (noStore) ListKeys(context.Context) ([]Key, error) { return nil, delivery.ErrUnavailable }

func (noStore) RevokeKey(context.Context, string, time.Time) error { return delivery.ErrUnavailable }
