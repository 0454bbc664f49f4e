//go:build unix && !linux

package embedded

import "syscall"

// tiedToParent does nothing where the kernel has no such signal: the next start stops what was left running.
func tiedToParent(*syscall.SysProcAttr, syscall.Signal) {}
