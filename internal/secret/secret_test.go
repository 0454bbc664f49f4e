package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/internal/secret"
)

const value = "hunter2"

func TestString_NeverPrints(t *testing.T) {
	t.Parallel()
	type exported struct{ P secret.String }
	type hidden struct{ p secret.String }
	s := secret.New(value)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).InfoContext(t.Context(), "x", "p", s, "e", exported{s}, "h", &hidden{s})
	j, err := json.Marshal(exported{s})
	require.NoError(t, err)
	y, err := yaml.Marshal(exported{s})
	require.NoError(t, err)
	require.Contains(t, string(y), secret.Hidden)
	all := log.String() + string(j) + string(y)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		all += fmt.Sprintf(verb+verb+verb+verb, s, &s, exported{s}, hidden{s})
	}
	require.NotContains(t, all, value)
	require.NotContains(t, all, fmt.Sprintf("%x", value))
	require.Equal(t, value, s.Reveal())
	require.Empty(t, fmt.Sprint(secret.String{}))
	require.True(t, s.Equal(secret.New(value)))
	require.False(t, s.Equal(secret.New("other")))
}

func TestString_ReadsTextButNotItsPlaceholder(t *testing.T) {
	t.Parallel()
	var s secret.String
	require.NoError(t, json.Unmarshal([]byte(`"hunter2"`), &s))
	require.Equal(t, value, s.Reveal())
	require.ErrorContains(t, s.UnmarshalText([]byte(secret.Hidden)), "placeholder")
	require.NoError(t, s.UnmarshalText(nil))
	require.True(t, s.IsZero())
}

func TestResolve(t *testing.T) {
	t.Parallel()
	type settings struct {
		Password     secret.String `yaml:"password"`
		PasswordFile string        `yaml:"password_file"`
		Key          secret.String `yaml:"key"`
		KeyFile      string        `yaml:"key_file"`
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	good, empty := write("good", value+"\r\n"), write("empty", "\n")
	large := write("large", strings.Repeat("x", 64<<10+1))

	s := settings{PasswordFile: good, Key: secret.New("k")}
	require.NoError(t, secret.Resolve(&s))
	require.Equal(t, value, s.Password.Reveal())
	require.Equal(t, "k", s.Key.Reveal())

	s = settings{PasswordFile: empty, Key: secret.New("k"), KeyFile: good}
	err := secret.Resolve(&s)
	require.ErrorContains(t, err, "password_file: "+empty+": empty")
	require.ErrorContains(t, err, "key_file: give the value or the file, not both")
	var file *secret.FileError
	require.ErrorAs(t, err, &file)

	require.ErrorIs(t, secret.Resolve(&settings{KeyFile: dir + "/none"}), os.ErrNotExist)
	require.ErrorContains(t, secret.Resolve(&settings{KeyFile: large}), "no secret")
	require.Error(t, secret.Resolve(settings{}))
}
