package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/profiles"
)

// ImportPath is where files of any size are taken in: whoever limits bodies makes an exception of it.
const ImportPath = prefix + "/profiles/import"

const (
	// maxImports bounds the imports that run at the same time, and with them the rows in memory.
	maxImports = 4
	// maxImportWrites bounds the transactions of all imports together, so that connections are left for everybody else.
	maxImportWrites = 2
	// importPause is how long an import waits for more of its body.
	importPause = time.Minute
)

// Profiles keeps the clients. Errors that wrap delivery.ErrUnavailable are answered by 503.
type Profiles interface {
	// Upsert applies updates in their order, all of them or none.
	Upsert(ctx context.Context, updates []*profiles.Update, now time.Time) (profiles.Counts, error)
	// Find gives a whole profile, or fails with profiles.ErrNotFound.
	Find(ctx context.Context, external string) (*profiles.Profile, error)
	// Schema gives the attributes that are declared.
	Schema(ctx context.Context) (*profiles.Schema, error)
	// CreateAttribute declares an attribute, or fails as profiles.Schema.CanAdd does.
	CreateAttribute(ctx context.Context, a profiles.Attribute) (profiles.Attribute, error)
}

// The bodies of answers under names of this package, so that a client needs no other.
type (
	// ImportReport is what became of a file of profiles.
	ImportReport = profiles.ImportReport
	// Attribute is something that a shop knows of its clients.
	Attribute = profiles.Attribute
)

func (a *API) registerProfiles() {
	const tag = "Profiles"
	schemas := a.huma.OpenAPI().Components.Schemas
	post := operation("post-profiles", http.MethodPost, "/profiles", tag, "Make and change profiles",
		"Up to 1000, each by its id. A field that is left out stays as it is, null clears it, and push, phone, viber and email "+
			"replace what there was. When one has a fault none is taken, and all faults of all profiles are listed. Repeating a "+
			"request is safe.", ScopeProfilesWrite)
	post.MaxBodyBytes, post.BodyReadTimeout, post.SkipValidateBody = maxBody, 30*time.Second, true
	post.Errors = append(post.Errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	huma.Register(a.huma, post, a.postProfiles)
	a.huma.OpenAPI().Paths[post.Path].Post.RequestBody = profilesBody(schemas)

	imports := operation("import-profiles", http.MethodPost, "/profiles/import", tag, "Import a file of profiles",
		"A stream of any size: NDJSON, one profile a line, or CSV with a heading of names of fields, attributes, or their "+
			"titles; an empty cell leaves a field as it is, \\N clears it. Good lines are kept, nothing of a faulty one is, and the "+
			"answer lists the faults by line. Importing a file again is safe.", ScopeProfilesWrite)
	imports.Errors = append(imports.Errors, http.StatusBadRequest, http.StatusUnsupportedMediaType)
	huma.Register(a.huma, imports, a.importProfiles)
	a.huma.OpenAPI().Paths[imports.Path].Post.RequestBody = importBody()

	get := operation("get-profile", http.MethodGet, "/profiles/{id}", tag, "A profile", "", ScopeProfilesRead)
	get.Errors = append(get.Errors, http.StatusNotFound)
	huma.Register(a.huma, get, func(ctx context.Context, in *struct {
		ID string `path:"id" doc:"Id of the profile, escaped as one segment of a path."`
	},
	) (*answer[profileItem], error) {
		if !utf8.ValidString(in.ID) || strings.ContainsRune(in.ID, 0) {
			return nil, a.failure(profiles.ErrNotFound) // no profile can have it, and Postgres would refuse the text
		}
		p, err := a.cfg.Profiles.Find(ctx, in.ID)
		return given(profileItem{p}, err).answer(ctx, a, "get-profile")
	})
}

type postProfiles struct {
	RawBody []byte `contentType:"application/json"`
}

func (a *API) postProfiles(ctx context.Context, in *postProfiles) (*answer[profiles.Counts], error) {
	rows, err := profileRows(in.RawBody)
	if faults, ok := errors.AsType[delivery.Faults](err); ok {
		return nil, unprocessable(faults)
	}
	if err != nil {
		return nil, huma.NewError(http.StatusBadRequest, err.Error())
	}
	schema, err := a.cfg.Profiles.Schema(ctx)
	if err != nil {
		return nil, a.failed(ctx, "post-profiles", err)
	}
	decoder := profiles.NewDecoder(schema)
	updates := make([]*profiles.Update, len(rows))
	var faults delivery.Faults
	for i, row := range rows {
		u, of := decoder.JSON(string(row))
		for _, f := range of {
			faults = append(faults, delivery.Fault{Field: at(fmt.Sprintf("profiles[%d]", i), f.Field), Message: f.Message})
		}
		updates[i] = u
	}
	if len(faults) > 0 {
		return nil, unprocessable(faults)
	}
	return given(a.cfg.Profiles.Upsert(ctx, updates, a.cfg.Now())).answer(ctx, a, "post-profiles")
}

// profileRows reads {"profiles":[...]}. It fails with errMalformed or delivery.Faults.
func profileRows(body []byte) ([]json.RawMessage, error) {
	if !json.Valid(body) {
		return nil, errMalformed
	}
	var in map[string]json.RawMessage
	if json.Unmarshal(body, &in) != nil || in == nil {
		return nil, delivery.Faults{{Message: "must be an object with profiles"}}
	}
	list, found := in["profiles"]
	var rows []json.RawMessage
	switch {
	case !found:
		return nil, delivery.Faults{{Field: "profiles", Message: "is required"}}
	case len(in) > 1:
		return nil, delivery.Faults{{Message: fmt.Sprintf("beside profiles there are %d other fields", len(in)-1)}}
	case json.Unmarshal(list, &rows) != nil || len(rows) == 0 || len(rows) > MaxBatch:
		return nil, delivery.Faults{{Field: "profiles", Message: fmt.Sprintf("must be a list of 1 to %d profiles", MaxBatch)}}
	}
	return rows, nil
}

// importInput takes the body of an import as it comes.
type importInput struct {
	mediaType string
	body      *importReader
}

// Resolve takes the body before anybody reads it.
func (in *importInput) Resolve(ctx huma.Context) []error {
	_, w := humago.Unwrap(ctx)
	in.mediaType = ctx.Header("Content-Type")
	in.body = &importReader{body: ctx.BodyReader(), control: http.NewResponseController(w)}
	return nil
}

// importReader reads a body for as long as it keeps coming.
type importReader struct {
	body    io.Reader
	control *http.ResponseController
	err     error // why the body did not come to its end
}

// Read waits for a minute at most. A connection that knows no deadlines is that of a test.
func (r *importReader) Read(b []byte) (int, error) {
	_ = r.control.SetReadDeadline(time.Now().Add(importPause))
	n, err := r.body.Read(b)
	if errors.Is(err, io.EOF) {
		_ = r.control.SetReadDeadline(time.Time{}) // the last rows may take longer, and nothing is read meanwhile
		return n, err
	}
	if err != nil {
		r.err = err
	}
	return n, err
}

// answer makes time for the answer, however long the import took.
func (r *importReader) answer() { _ = r.control.SetWriteDeadline(time.Now().Add(importPause)) }

func (a *API) importProfiles(ctx context.Context, in *importInput) (*answer[*profiles.ImportReport], error) {
	var format profiles.Format
	switch kind, _, _ := mime.ParseMediaType(in.mediaType); kind {
	case "text/csv":
		format = profiles.FormatCSV
	case "application/x-ndjson", "application/jsonl":
		format = profiles.FormatNDJSON
	default:
		return nil, huma.NewError(http.StatusUnsupportedMediaType, "the Content-Type must be text/csv or application/x-ndjson")
	}
	select {
	case a.imports <- struct{}{}:
		defer func() { <-a.imports }()
	default:
		return nil, huma.ErrorWithHeaders(huma.NewError(http.StatusServiceUnavailable, "too many imports are running"),
			http.Header{"Retry-After": {strconv.Itoa(int(retryAfter.Seconds()))}})
	}
	defer in.body.answer()
	schema, err := a.cfg.Profiles.Schema(ctx)
	if err != nil {
		return nil, a.failed(ctx, "import-profiles", err)
	}
	report, err := profiles.Import(ctx, in.body, format, schema,
		func(ctx context.Context, updates []*profiles.Update) (profiles.Counts, error) {
			select {
			case a.importWrites <- struct{}{}:
				defer func() { <-a.importWrites }()
			case <-ctx.Done():
				return profiles.Counts{}, ctx.Err()
			}
			return a.cfg.Profiles.Upsert(ctx, updates, a.cfg.Now())
		})
	if faults, ok := errors.AsType[delivery.Faults](err); ok {
		return nil, unprocessable(faults)
	}
	if err != nil && in.body.err != nil && errors.Is(err, in.body.err) { // else it has failed before the body did
		return nil, huma.NewError(http.StatusBadRequest,
			"the body did not come to its end; rows of it may have been kept, and importing the file again is safe")
	}
	return given(report, err).answer(ctx, a, "import-profiles")
}

type attributeList struct {
	Items []profiles.Attribute `json:"items" nullable:"false" doc:"The attributes, by name."`
}

type createAttributeBody struct {
	Name  string        `json:"name" doc:"Name in rows and macros: small Latin letters, digits and underscores."`
	Type  profiles.Type `json:"type" enum:"string,number,money,bool,date,time" doc:"What its values are."`
	Title string        `json:"title" doc:"Name for people, which macros and headings of CSV may use too, such as Бонусы."`
}

func (a *API) registerAttributes() {
	const tag = "Profiles"
	list := operation("list-attributes", http.MethodGet, "/attributes", tag, "Attributes of profiles",
		"What is declared besides the fields that every profile has.", ScopeProfilesRead)
	huma.Register(a.huma, list, func(ctx context.Context, _ *struct{}) (*answer[attributeList], error) {
		schema, err := a.cfg.Profiles.Schema(ctx)
		if err != nil {
			return nil, a.failed(ctx, "list-attributes", err)
		}
		return &answer[attributeList]{attributeList{schema.Attributes()}}, nil
	})
	create := operation("create-attribute", http.MethodPost, "/attributes", tag, "Declare an attribute",
		"It never changes; declaring it again just so is harmless. A name or title that people could take for that of another "+
			"field is refused with 409: upper and lower case, ё and е, spaces and underscores are the same.", ScopeProfilesWrite)
	create.DefaultStatus = http.StatusCreated
	create.Errors = append(create.Errors, http.StatusBadRequest, http.StatusConflict)
	huma.Register(a.huma, create, func(ctx context.Context, in *struct{ Body createAttributeBody }) (*answer[profiles.Attribute], error) {
		attribute := profiles.Attribute{Name: in.Body.Name, Type: in.Body.Type, Title: in.Body.Title, CreatedAt: a.cfg.Now()}
		if faults := attribute.Faults(); len(faults) > 0 {
			return nil, unprocessable(faults)
		}
		return given(a.cfg.Profiles.CreateAttribute(ctx, attribute)).answer(ctx, a, "create-attribute")
	})
}

// profileItem is a profile as the API shows it.
type profileItem struct{ *profiles.Profile }

const profileSchemaName = "Profile"

// Schema describes the form that profiles.Profile writes.
func (profileItem) Schema(r huma.Registry) *huma.Schema {
	s := profileFields(false)
	s.Description = "A client. What is not known is left out."
	s.Required = append(s.Required, "profile_id", "attributes", "created_at", "updated_at")
	s.Properties["profile_id"] = &huma.Schema{Type: "string", Description: "Number by which events and lists name the profile."}
	for name, text := range map[string]string{
		"created_at": "When it was made.", "updated_at": "When something of it changed last, by an update.",
	} {
		s.Properties[name] = &huma.Schema{Type: "string", Format: "date-time", Description: text}
	}
	r.Map()[profileSchemaName] = s
	return &huma.Schema{Ref: "#/components/schemas/" + profileSchemaName}
}

// profileFields describes a row as profiles.Decoder reads it, in which a field may be null, or what is common to it and to
// a profile.
func profileFields(nullable bool) *huma.Schema {
	s := &huma.Schema{
		Type: "object", AdditionalProperties: false, Required: []string{"id"},
		Description: "What is to be changed of a client. A field that is left out stays, null clears it. So does null for an attribute.",
		Properties: map[string]*huma.Schema{
			"id": {Type: "string", Description: "Id by which jobs and the shop's systems name the client.", MaxLength: new(256)},
			"attributes": {
				Type: "object", AdditionalProperties: &huma.Schema{},
				Description: "Declared attributes by name: text, number, true or false, a day as 1990-02-28, a moment as " +
					"2026-11-22T10:00:00+03:00, money as {\"amount\":1250.50,\"currency\":\"RUB\"}.",
			},
		},
	}
	for _, f := range profiles.Fields() {
		property := &huma.Schema{Type: "string", Description: f.Doc()}
		if f == profiles.Push {
			property = &huma.Schema{Type: "array", Items: &huma.Schema{Type: "string"}, Description: f.Doc()}
		}
		property.Nullable = nullable
		s.Properties[f.Name()] = property
	}
	return s
}

// profilesBody describes the body of POST /profiles, whose rows are read by profiles.Decoder: they have the same faults
// here and in files.
func profilesBody(r huma.Registry) *huma.RequestBody {
	const name = "ProfileUpdate"
	r.Map()[name] = profileFields(true)
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{
		Type: "object", AdditionalProperties: false, Required: []string{"profiles"},
		Properties: map[string]*huma.Schema{"profiles": {
			Type: "array", Items: &huma.Schema{Ref: "#/components/schemas/" + name}, MinItems: new(1), MaxItems: new(MaxBatch),
		}},
	}}}}
}

func importBody() *huma.RequestBody {
	media := func(text string) *huma.MediaType {
		return &huma.MediaType{Schema: &huma.Schema{Type: "string", Description: text}}
	}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/x-ndjson": media("One ProfileUpdate a line."), "text/csv": media("A heading, and one profile a line."),
	}}
}
