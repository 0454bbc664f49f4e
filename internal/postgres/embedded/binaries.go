//go:build unix

package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minMajor is the oldest version that the schema and the settings are made for.
const minMajor = 15

const versionTimeout = 10 * time.Second

// binaries are the two programs that are needed, of one version.
type binaries struct {
	initdb, postgres string
	major            int
}

// errNoBinaries says what to do, because it is what a newcomer meets first.
var errNoBinaries = errors.New("no PostgreSQL server programs found (initdb and postgres, version 15 or newer); " +
	"install them (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; " +
	"macOS: brew install postgresql), name their folder in HERALD_PG_BIN, or set postgres.url to a server of your own")

// findBinaries picks the programs: those of the major version that wanted names, or the newest when wanted is 0. A
// folder that is named by the caller or by HERALD_PG_BIN is the only one that is looked at.
func findBinaries(ctx context.Context, named string, wanted int) (binaries, error) {
	named = cmp.Or(named, os.Getenv("HERALD_PG_BIN"))
	folders := candidates()
	if named != "" {
		folders = []string{named}
	}
	var found []binaries
	for _, folder := range folders {
		b, err := inspect(ctx, folder)
		switch {
		case err == nil:
			found = append(found, b)
		case named != "":
			return binaries{}, fmt.Errorf("PostgreSQL programs in %s: %w", named, err)
		}
	}
	return pick(found, wanted)
}

// pick chooses among what is installed, or says what to install.
func pick(found []binaries, wanted int) (binaries, error) {
	slices.SortStableFunc(found, func(a, b binaries) int { return cmp.Compare(b.major, a.major) })
	var majors []string
	for _, b := range found {
		if b.major == wanted || wanted == 0 && b.major >= minMajor {
			return b, nil
		}
		majors = append(majors, strconv.Itoa(b.major))
	}
	switch {
	case wanted != 0 && len(majors) > 0:
		return binaries{}, fmt.Errorf("the data directory is of PostgreSQL %d, and only version %s is installed: install "+
			"version %d, or dump the data with it and restore them into a new directory",
			wanted, strings.Join(majors, ", "), wanted)
	case wanted != 0:
		return binaries{}, fmt.Errorf("the data directory is of PostgreSQL %d: %w", wanted, errNoBinaries)
	case len(majors) > 0:
		return binaries{}, fmt.Errorf("only PostgreSQL %s is installed: %w", strings.Join(majors, ", "), errNoBinaries)
	}
	return binaries{}, errNoBinaries
}

// candidates are the folders where packages put the programs, and where PATH finds them.
func candidates() []string {
	var out []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/usr/local/pgsql/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		out = append(out, found...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			out = append(out, filepath.Dir(path))
		}
	}
	return out
}

// inspect looks for both programs in the folder and asks the server for its version.
func inspect(ctx context.Context, folder string) (binaries, error) {
	var b binaries
	for name, path := range map[string]*string{"initdb": &b.initdb, "postgres": &b.postgres} {
		full, err := filepath.EvalSymlinks(filepath.Join(folder, name))
		if err != nil {
			return b, err
		}
		*path = full
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.postgres, "-V").Output() //nolint:gosec // the program is what we look for
	if err != nil {
		return b, fmt.Errorf("%s -V: %w", b.postgres, err)
	}
	b.major, err = parseMajor(string(out))
	return b, err
}

// parseMajor reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", also "18beta1" and "19devel".
func parseMajor(out string) (int, error) {
	m := regexp.MustCompile(`\(PostgreSQL\) (\d+)`).FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no version in %q", strings.TrimSpace(out))
	}
	return strconv.Atoi(m[1])
}
