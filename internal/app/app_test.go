package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/configs"
)

func TestStack_StopsInReverseAndWaitsForNobodyTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stack{log: slog.New(slog.DiscardHandler)}
		var order []string
		add := func(name string, err error) {
			s.push(name, time.Second, func(context.Context) error { order = append(order, name); return err })
		}
		add("first", nil)
		s.push("hangs", time.Second, func(context.Context) error { <-t.Context().Done(); return nil })
		add("fails", errors.New("no"))
		s.run("loop", time.Second, func(ctx context.Context) { <-ctx.Done(); order = append(order, "loop") })
		began := time.Now()
		err := s.unwind(t.Context())
		require.ErrorContains(t, err, "stop fails: no")
		require.ErrorContains(t, err, "stop hangs: context deadline exceeded")
		require.Equal(t, []string{"loop", "fails", "first"}, order)
		require.Equal(t, time.Second, time.Since(began))
		require.NoError(t, s.unwind(t.Context()), "a second stop has nothing to do")
	})
}

func TestFindRun(t *testing.T) {
	t.Setenv("HERALD_API_KEY", "")
	dir := t.TempDir()
	_, _, err := FindRun(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, dir)

	want := RunInfo{PID: 7, Private: "http://127.0.0.1:1", Kafka: "127.0.0.1:2"}
	require.NoError(t, writeRunInfo(dir, want))
	_, _, err = FindRun(dir)
	require.ErrorContains(t, err, "no API key")

	require.NoError(t, replaceFile(filepath.Join(dir, keyFile), []byte("hk_1\n"), 0o600))
	info, key, err := FindRun(dir)
	require.NoError(t, err)
	require.Equal(t, want, info)
	require.Equal(t, "hk_1", key)
	t.Setenv("HERALD_API_KEY", "hk_2")
	_, key, err = FindRun(dir)
	require.NoError(t, err)
	require.Equal(t, "hk_2", key)

	require.NoError(t, os.WriteFile(filepath.Join(dir, runFile), []byte("{"), 0o600))
	_, _, err = FindRun(dir)
	require.Error(t, err)
}

func TestCheckProviders_NamesEveryFault(t *testing.T) {
	t.Parallel()
	cfg := configs.Default()
	cfg.Providers = []configs.Provider{{Name: "a", Type: "pigeon", Channel: "sms"}, {Name: "b", Type: "smpp", Channel: "air"}}
	err := CheckProviders(cfg)
	require.ErrorContains(t, err, `providers[0].type: "pigeon" is no type of provider`)
	require.ErrorContains(t, err, "providers[1].channel")
}
