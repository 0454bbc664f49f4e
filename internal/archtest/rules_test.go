package archtest

// module is the path of this module.
const module = "github.com/herald-gateway/herald"

// area is one row of the import rule. The area of a folder is the row with the longest path that is a prefix of it; a
// star stands for one path element. Packages of one area may import each other, except that areas of a star are
// as many as there are folders.
type area struct {
	path string
	// may lists the areas that it may import besides itself; everything stands for all but tests, benchmarks and commands.
	may []string
	// std: nothing but the standard library, as far as third-party modules go.
	std bool
	// pure: it decides by its arguments alone, without clock, network and database.
	pure bool
}

const everything = "*"

// leaves are small packages that import nothing of ours.
var leaves = []string{"internal/batch", "internal/backoff", "internal/spool", "internal/secret", "internal/signedref", "internal/fold"}

// areas is the rule. Test files may import more: they join what they test with fakes and servers.
var areas = []area{
	{path: "delivery", std: true, pure: true},
	{path: "delivery/internal", may: list("delivery"), std: true}, // generators
	{path: "configs", may: list("internal/secret")},
	{path: "web"},

	{path: "templates", may: list("delivery", "internal/smstext", "internal/signedref", "internal/fold"), pure: true},
	{path: "cascade", may: list("delivery"), pure: true},
	{path: "dispatcher/caps", may: list("delivery"), pure: true},

	{path: "campaigns", may: list("delivery", leaves...)},
	{path: "profiles", may: list("delivery", leaves...)},
	{path: "tracking", may: list("delivery", leaves...)},
	{path: "cascade/scheduler", may: list("cascade", append(leaves, "delivery")...)},
	{path: "providers", may: list("delivery", leaves...)},
	{path: "providers/*", may: list("providers", append(leaves, "delivery", "internal/smstext")...)},
	{path: "providers/providertest", may: list("providers", append(leaves, "delivery")...)},
	{path: "dispatcher", may: list("delivery", append(leaves, "templates", "cascade", "providers", "dispatcher/caps")...)},

	{path: "campaigns/postgres", may: list("campaigns", "delivery", "internal/postgres")},
	{path: "profiles/postgres", may: list("profiles", "delivery", "internal/postgres")},
	{path: "templates/postgres", may: list("templates", "delivery", "internal/postgres")},
	{path: "tracking/postgres", may: list("tracking", "delivery", "internal/postgres")},
	{path: "cascade/postgres", may: list("cascade", "cascade/scheduler", "delivery", "internal/postgres")},
	{path: "dispatcher/postgres", may: list("dispatcher", "dispatcher/caps", "delivery", "internal/postgres")},
	{path: "api/postgres", may: list("api", "delivery", "internal/postgres")},

	{path: "api", may: list("delivery", "campaigns", "profiles", "templates", "tracking", "internal/httpx")},

	{path: "internal/kafka", may: list("delivery")},
	{path: "internal/kafka/kafkatest", may: list("internal/kafka", "delivery", "internal/subcommand")},
	{path: "internal/postgres"},
	{path: "internal/postgres/pgtest", may: list("internal/postgres", "internal/subcommand")},
	{path: "internal/httpx"},
	{path: "internal/telemetry"},
	{path: "internal/smstext"},
	{path: "internal/batch"},
	{path: "internal/backoff"},
	{path: "internal/spool"},
	{path: "internal/secret"},
	{path: "internal/signedref"},
	{path: "internal/fold"},
	{path: "internal/subcommand"},
	{path: "internal/archtest"},

	{path: "internal/app", may: list(everything)},
	// The tools are clients of the API: they speak its types and the words of delivery, and reach nothing behind them.
	{path: "cmd", may: list("internal/app", "configs", "bench", "api", "delivery", "examples")},
	{path: "bench", may: list(everything)},
	{path: "test/e2e", may: list(everything)},
	{path: "examples"},
	{path: "examples/generate", may: list("delivery")},
}

// homes names the only areas, with what lies below them, that may import a package; none stands for test files and test
// helpers. A star stands for one path element.
var homes = map[string][]string{
	"github.com/segmentio/kafka-go": {"internal/kafka"},
	"github.com/twmb/franz-go":      {"internal/kafka"},
	"github.com/jackc/pgx":          {"internal/postgres", "*/postgres"},
	"github.com/pressly/goose":      {"internal/postgres"},
	"firebase.google.com/go":        {"providers/push"},
	"github.com/fiorix/go-smpp":     {"providers/smpp"},
	"github.com/wneessen/go-mail":   {"providers/email"},
	"github.com/danielgtaylor/huma": {"api"},
	"github.com/spf13/cobra":        {"cmd"},
	"github.com/goccy/go-yaml":      {"configs"},
	"golang.org/x/text":             {"templates", "profiles", "internal/fold"},
	"github.com/osteele/liquid":     {},
	"github.com/stretchr/testify":   {},
	"github.com/google/go-cmp":      {},
	"go.uber.org/goleak":            {},
	"pgregory.net/rapid":            {},
	"testing":                       {},
}

// impure are the packages that a pure area keeps out of, with what lies below them.
var impure = []string{
	"net", "os", "database/sql", "github.com/jackc/pgx", "github.com/segmentio/kafka-go",
}

// pureNet are packages below net that only compute.
var pureNet = []string{"net/url", "net/netip", "net/mail", "net/textproto"}

// clock are the functions of package time that read the clock or wait for it.
var clock = []string{
	"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
}

func list(first string, more ...string) []string { return append([]string{first}, more...) }
