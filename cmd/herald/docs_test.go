package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/configs"
)

func TestConfigReference_IsFresh(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/config.md")
	require.NoError(t, err)
	require.Equal(t, configs.Doc(), string(doc), "run make generate")
}

var (
	// shown finds a command line: in a block or between backquotes, up to what a shell takes away.
	shown = regexp.MustCompile("(?m)(?:^|`|bin/)herald ([a-z][^`#|\n>]*)")
	block = regexp.MustCompile("(?s)```sh\n.*?```|`[^`\n]+`")
)

// The documents show only commands and flags that there are.
func TestDocs_ShowCommandsThatExist(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	count := 0
	for _, file := range append(files, "../../README.md", "../../CHANGELOG.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, code := range block.FindAllString(string(text), -1) {
			for _, m := range shown.FindAllStringSubmatch(code, -1) {
				requireCommand(t, file, strings.Fields(m[1]))
				count++
			}
		}
	}
	require.Greater(t, count, 20)
}

func requireCommand(t *testing.T, file string, line []string) {
	t.Helper()
	cmd, rest, err := root().Find(line)
	require.NoError(t, err, "%s: herald %s", file, strings.Join(line, " "))
	require.True(t, cmd.HasParent(), "%s: herald %s", file, strings.Join(line, " "))
	if len(rest) > 0 && cmd.HasSubCommands() {
		for name := range strings.SplitSeq(rest[0], "|") { // "dead list|replay"
			sub, _, err := cmd.Find([]string{name})
			require.NoError(t, err)
			require.NotEqual(t, cmd, sub, "%s: herald %s", file, strings.Join(line, " "))
		}
		return
	}
	for _, word := range rest {
		if name, isFlag := strings.CutPrefix(word, "--"); isFlag && name != "help" {
			name, _, _ = strings.Cut(name, "=")
			found := cmd.Flags().Lookup(name) != nil || cmd.InheritedFlags().Lookup(name) != nil
			require.True(t, found, "%s: herald %s", file, strings.Join(line, " "))
		}
	}
}
