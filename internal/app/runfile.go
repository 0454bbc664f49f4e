package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RunInfo is what a running process with an embedded database tells the tools of the same machine, in run.json of its
// data directory.
type RunInfo struct {
	PID     int    `json:"pid"`
	Private string `json:"private"` // URL of the private listener
	Kafka   string `json:"kafka"`   // brokers, separated by commas
	// Database is the connection string of the embedded database; it goes through a socket that others cannot open.
	Database string `json:"database,omitempty"`
	SMSC     string `json:"smsc,omitempty"` // URL of the SMSC simulator's counts
}

const (
	runFile = "run.json"
	keyFile = "api.key"
)

func writeRunInfo(dir string, info RunInfo) error {
	b, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, runFile), append(b, '\n'), 0o644)
}

// removeRunInfo removes the file when it is still this process's.
func removeRunInfo(dir string) error {
	info, err := readRunInfo(dir)
	if err != nil || info.PID != os.Getpid() {
		return nil //nolint:nilerr // somebody else's, or none
	}
	return os.Remove(filepath.Join(dir, runFile))
}

// replaceFile writes a file so that no reader sees a part of it.
func replaceFile(path string, b []byte, mode os.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// FindRun finds the process that the tools talk to: in the given data directory, else in ./.data and /var/lib/herald.
// The key comes from HERALD_API_KEY, else from the directory's api.key.
func FindRun(dir string) (RunInfo, string, error) {
	dirs := []string{dir}
	if dir == "" {
		dirs = []string{".data", "/var/lib/herald"}
	}
	var faults []error
	for _, d := range dirs {
		info, err := readRunInfo(d)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		key := os.Getenv("HERALD_API_KEY")
		if key != "" {
			return info, key, nil
		}
		k, err := os.ReadFile(filepath.Join(d, keyFile))
		if err != nil {
			return info, "", fmt.Errorf("no API key: HERALD_API_KEY is not set, and %w (whoever started Herald can read it)", err)
		}
		return info, strings.TrimSpace(string(k)), nil
	}
	return RunInfo{}, "", fmt.Errorf("no running Herald found: %w", errors.Join(faults...))
}

func readRunInfo(dir string) (info RunInfo, err error) {
	path := filepath.Join(dir, runFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(b, &info); err != nil {
		return info, fmt.Errorf("%s: %w", path, err)
	}
	return info, nil
}
