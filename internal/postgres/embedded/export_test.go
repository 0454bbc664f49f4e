//go:build unix

package embedded

// Pick is pick over the major versions that are installed; it returns the one that is chosen.
func Pick(wanted int, installed ...int) (int, error) {
	var found []binaries
	for _, major := range installed {
		found = append(found, binaries{major: major})
	}
	b, err := pick(found, wanted)
	return b.major, err
}

// ParseMajor is parseMajor.
func ParseMajor(out string) (int, error) { return parseMajor(out) }
