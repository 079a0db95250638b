//go:build darwin || linux

package terminal

import (
	"os"
	"syscall"
	"unsafe"
)

// columnsOf returns the width of a terminal, or 0 if unknown.
func columnsOf(file *os.File) int {
	var size struct{ rows, columns, width, height uint16 } // winsize of ioctl_tty(2)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return 0
	}
	return int(size.columns)
}
