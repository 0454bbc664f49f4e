package embedded

import "syscall"

// tiedToParent makes the kernel send sig to the child when the thread that started it ends, and so when the process is
// killed. The caller must hold that thread (runtime.LockOSThread) until the child has ended.
func tiedToParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
