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
