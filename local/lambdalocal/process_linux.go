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

// ownGroup gives the process a group of its own, so that what it starts is
// frozen and ended with it, and ends it when this process ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func signalGroup(pid int, signal sysSignal) error { return syscall.Kill(-pid, signal) }

// awaitExit blocks until the process has exited, without reaping it: until it
// is reaped its ID cannot be given to another process.
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
