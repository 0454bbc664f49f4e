// Package archtest holds the import rule as a test: which folder may import which, which third-party module has its home
// where, and which packages decide without a clock and without I/O. The table stands in rules_test.go; a folder that it
// does not name fails, so that a new folder is a decision. docs/adr/0009-import-rule.md says why.
package archtest
