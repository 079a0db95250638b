//go:build !linux

package lambdalocal

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// Freezing needs Linux's signals: on other systems, stopping and continuing do nothing.
type sysSignal = syscall.Signal

const (
	signalStop = syscall.Signal(0)
	signalCont = syscall.Signal(0)
	signalTerm = syscall.SIGTERM
	signalKill = syscall.SIGKILL
)

func ownGroup(*exec.Cmd) {}

func signalGroup(pid int, signal sysSignal) error {
	if signal == 0 {
		return errors.ErrUnsupported
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Kill()
}

func awaitExit(int) {}
