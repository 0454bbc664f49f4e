package archtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestTree_FollowsTheRule(t *testing.T) {
	t.Parallel()
	faults, err := check(os.DirFS(root))
	require.NoError(t, err)
	require.Empty(t, faults, "see docs/adr/0009-import-rule.md")
}

// Each planted file breaks the rule in one way, and the check says so; the others are as they should be.
func TestCheck_PlantedViolations(t *testing.T) {
	t.Parallel()
	const ours = `import _ "` + module + `/`
	for _, tc := range []struct{ name, file, body, want string }{
		{"template reaches a provider", "templates/a.go", ours + `providers"`, "may not import providers"},
		{"feature reaches its store", "campaigns/a.go", ours + `campaigns/postgres"`, "may not import campaigns/postgres"},
		{"store reaches another feature", "campaigns/postgres/a.go", ours + `profiles"`, "may not import profiles"},
		{"feature reaches another", "tracking/recorder/a.go", ours + `campaigns"`, "may not import campaigns"},
		{"provider reaches another", "providers/smpp/a.go", ours + `providers/email"`, "may not import providers/email"},
		{"provider reaches another's simulator", "providers/smpp/sim/a.go", ours + `providers/push/sim"`, "may not import"},
		{"contract reaches an implementation", "providers/a.go", ours + `providers/smpp"`, "may not import providers/smpp"},
		{"plan reaches its loop", "cascade/a.go", ours + `cascade/scheduler"`, "may not import cascade/scheduler"},
		{"leaf reaches up", "internal/backoff/a.go", ours + `delivery"`, "may not import delivery"},
		{"test helper in the product", "internal/app/a.go", ours + `internal/postgres/pgtest"`, "is for tests only"},
		{"app reaches the command", "internal/app/a.go", ours + `cmd/herald"`, "may not import cmd/herald"},
		{"command reaches a feature", "cmd/herald/a.go", ours + `dispatcher"`, "may not import dispatcher"},
		{"command reaches a store", "cmd/herald/a.go", ours + `internal/postgres"`, "may not import internal/postgres"},
		{"scenario as a library", "delivery/a_test.go", ours + `test/e2e"`, "nothing may import test/e2e"},
		{"folder without a row", "newthing/a.go", ``, "has no row"},
		{"folder without a row below internal", "internal/util/a.go", ``, "has no row"},
		{"import without a row", "internal/app/a.go", ours + `internal/util"`, "has no row"},
		{"Kafka client away from home", "dispatcher/a.go", `import _ "github.com/segmentio/kafka-go"`, "has its home in"},
		{"broker away from home", "internal/app/a.go", `import _ "github.com/twmb/franz-go/pkg/kfake"`, "has its home in"},
		{"SQL in a feature", "tracking/a.go", `import _ "github.com/jackc/pgx/v5"`, "has its home in"},
		{"HTTP framework in a feature", "profiles/a.go", `import _ "github.com/danielgtaylor/huma/v2"`, "has its home in"},
		{"testify in the product", "internal/app/a.go", `import _ "github.com/stretchr/testify/require"`, "is for tests only"},
		{"testing in the product", "providers/smpp/sim/a.go", `import _ "testing"`, "is for tests only"},
		{"module in a leaf", "delivery/a.go", `import _ "golang.org/x/time/rate"`, "standard library only"},
		{"network in a pure package", "templates/a.go", `import _ "net/http"`, "is pure"},
		{"database in a pure package", "dispatcher/caps/a.go", `import _ "database/sql"`, "is pure"},
		{"clock in a pure package", "cascade/a.go", "import \"time\"\nvar at = time.Now()", "time.Now in a pure package"},
		{"clock by another name", "cascade/a.go", "import t \"time\"\nvar _ = t.After", "time.After in a pure package"},

		{"own subfolder", "tracking/a.go", ours + `tracking/recorder"`, ""},
		{"own simulator", "providers/smpp/a.go", ours + `providers/smpp/sim"`, ""},
		{"store and its feature", "tracking/postgres/a.go", ours + `tracking/recorder"`, ""},
		{"SQL at home", "dispatcher/postgres/a.go", `import _ "github.com/jackc/pgx/v5"`, ""},
		{"dispatcher joins", "dispatcher/a.go", ours + `templates"`, ""},
		{"app joins", "internal/app/a.go", ours + `providers/smpp"`, ""},
		{"command speaks the API's types", "cmd/herald/a.go", ours + `api"`, ""},
		{"command sends jobs", "cmd/herald/a.go", ours + `delivery"`, ""},
		{"test joins", "dispatcher/a_test.go", ours + `providers/providertest"`, ""},
		{"suite uses testify", "providers/providertest/a.go", `import _ "github.com/stretchr/testify/require"`, ""},
		{"clock outside pure packages", "cascade/scheduler/a.go", "import \"time\"\nvar at = time.Now()", ""},
		{"addresses in a pure package", "templates/a.go", `import _ "net/url"`, ""},
		{"another Now", "cascade/a.go", "type c struct{}\nfunc (c) Now() {}\nfunc f(time c) { time.Now() }", ""},
		{"npm's Go files", "web/node_modules/flatted/a.go", ours + `internal/app"`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			faults, err := check(fstest.MapFS{tc.file: {Data: []byte("package p\n" + tc.body)}})
			require.NoError(t, err)
			if tc.want == "" {
				require.Empty(t, faults)
				return
			}
			require.Len(t, faults, 1)
			require.Contains(t, faults[0], tc.want)
		})
	}
}

func TestBinary_HoldsNoTestPackages(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/herald")
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	for pkg := range strings.Lines(string(out)) {
		pkg = strings.TrimSpace(pkg)
		ours, isOurs := strings.CutPrefix(pkg, module+"/")
		require.False(t, isOurs && forTests(ours), "%s is linked into the binary", pkg)
		require.NotEqual(t, "testing", pkg)
		require.NotContains(t, pkg, "testify")
	}
}

// Every module that we require by name stands in docs/dependencies.md with its reason.
func TestDependencies_AreExplained(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(root + "/go.mod")
	require.NoError(t, err)
	doc, err := os.ReadFile(root + "/docs/dependencies.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(mod)) {
		name, rest, required := strings.Cut(strings.TrimSpace(line), " v")
		if line[0] == '\t' && required && !strings.Contains(rest, "// indirect") {
			require.Contains(t, string(doc), "`"+name+"`", "docs/dependencies.md does not explain it")
		}
	}
}
