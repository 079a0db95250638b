package peertest

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end the peer together with the test process, which
// may be killed before its cleanup runs.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
