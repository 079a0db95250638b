//go:build unix

package devcmd

import (
	"os"
	"syscall"
)

// lock locks a file for this process until the file is closed.
func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
