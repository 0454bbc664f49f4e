package bench

import (
	"context"
	"os"
	"path/filepath"
)

// profile takes a CPU profile of the gateway under load, and then one of its heap.
func (r *rig) profile(ctx context.Context, g *gateway) error {
	if r.opts.Profile == "" {
		return nil
	}
	if err := os.MkdirAll(r.opts.Profile, 0o755); err != nil { //nolint:gosec // profiles are no secret
		return err
	}
	for _, p := range []struct{ file, path string }{
		{"cpu.pprof", "/debug/pprof/profile?seconds=8"},
		{"heap.pprof", "/debug/pprof/heap"},
		{"allocs.pprof", "/debug/pprof/allocs"},
	} {
		b, err := g.get(ctx, p.path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.opts.Profile, p.file), b, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}
