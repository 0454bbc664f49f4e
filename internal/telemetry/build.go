package telemetry

import (
	"runtime"
	"runtime/debug"
)

// Build says what this binary was made from.
type Build struct {
	Version  string `json:"version"`  // of Herald; dev when it was not released
	Revision string `json:"revision"` // of the source, with + when files were changed; empty when unknown
	Time     string `json:"time"`     // of the revision, RFC 3339; empty when unknown
	Go       string `json:"go"`       // version of Go
}

// ReadBuild takes the version that the linker was told, if any, and the rest from the binary.
func ReadBuild(version string) Build {
	b := Build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = "dev"
		if v := info.Main.Version; v != "" && v != "(devel)" {
			b.Version = v
		}
	}
	changed := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if changed && b.Revision != "" {
		b.Revision += "+"
	}
	return b
}
