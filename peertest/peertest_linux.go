package peertest

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end the peer with the test process, which
// may be killed before any cleanup of its own runs.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
