// Package pseudoterminal opens pseudo-terminals, pty(7), for programs that behave
// differently on a terminal and on a pipe.
package pseudoterminal

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Open returns the two ends of a pseudo-terminal with these columns and rows: seen is the
// end of the user, given the end for a process. The caller must close both. Reads of seen
// return EIO after the last process with the other end has exited.
func Open(columns, rows uint16) (seen, given *os.File, err error) {
	seen, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	var number, unlock int32
	size := struct{ rows, columns, width, height uint16 }{rows: rows, columns: columns} // winsize of ioctl_tty(2)
	for _, call := range []struct {
		request uintptr
		with    unsafe.Pointer
	}{
		{syscall.TIOCGPTN, unsafe.Pointer(&number)}, {syscall.TIOCSPTLCK, unsafe.Pointer(&unlock)}, {syscall.TIOCSWINSZ, unsafe.Pointer(&size)},
	} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, seen.Fd(), call.request, uintptr(call.with)); errno != 0 {
			_ = seen.Close()
			return nil, nil, fmt.Errorf("open a pseudo-terminal: %w", errno)
		}
	}
	given, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		_ = seen.Close()
		return nil, nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	return seen, given, nil
}
