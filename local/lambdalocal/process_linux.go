package lambdalocal

import (
	"os/exec"
	"syscall"
	"unsafe"
)

type sysSignal = syscall.Signal

const (
	signalStop = syscall.SIGSTOP
	signalCont = syscall.SIGCONT
	signalTerm = syscall.SIGTERM
	signalKill = syscall.SIGKILL
)

// ownGroup gives the process a process group of its own, so that its children are
// frozen and ended with it. It also ends the process when this process ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func signalGroup(pid int, signal sysSignal) error { return syscall.Kill(-pid, signal) }

// awaitExit blocks until the process has exited, and does not reap it: until then,
// no other process can get its ID.
func awaitExit(pid int) {
	const pPID, wNOWAIT = 1, 0x01000000
	var info [128]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), uintptr(unsafe.Pointer(&info)), syscall.WEXITED|wNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
