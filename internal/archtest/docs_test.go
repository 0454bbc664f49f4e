package archtest

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

// The documents lead a reader into the code; a file that moves takes its links with it.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	tree := os.DirFS(root)
	count := 0
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			count++
			_, err := fs.Stat(tree, path.Join(path.Dir(name), m[1]))
			require.NoError(t, err, "%s links to %s", name, m[1])
		}
		return nil
	}))
	require.Greater(t, count, 50)
}

var (
	metric  = regexp.MustCompile("`(herald_[a-z_]+)`")
	setting = regexp.MustCompile("`([a-z]+\\.[a-z_.*]+)`")
)

// Every queue in the table of queues says by which metrics it is seen. Every metric that the document names is in the code,
// and every setting in the reference. That a running process serves the metrics is a test in test/e2e.
func TestDocs_QueuesHaveMetrics(t *testing.T) {
	t.Parallel()
	doc, reference, code := read(t, "docs/architecture.md"), read(t, "docs/config.md"), sources(t)
	for _, m := range metric.FindAllStringSubmatch(doc, -1) {
		require.Contains(t, code, `"`+m[1]+`"`, "docs/architecture.md names a metric that is not there: %s", m[1])
	}
	_, section, found := strings.Cut(doc, "\n## Queues")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range setting.FindAllStringSubmatch(section, -1) {
		require.Contains(t, reference, "`"+strings.ReplaceAll(m[1], "*", "bulk")+"`", "%s is no setting", m[1])
	}
	queues := regexp.MustCompile(`(?m)^\| .* \|$`).FindAllString(section, -1)[1:] // the first is the heading
	require.Greater(t, len(queues), 20)
	for _, row := range queues {
		cells := strings.Split(row, " | ")
		require.Len(t, cells, 4, row)
		require.Regexp(t, metric, cells[3], row)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(os.DirFS(root), name)
	require.NoError(t, err)
	return string(text)
}

// sources is the text of all Go files but tests.
func sources(t *testing.T) string {
	t.Helper()
	tree := os.DirFS(root)
	var all strings.Builder
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		all.WriteString(read(t, name))
		return nil
	}))
	return all.String()
}
