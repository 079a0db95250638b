//go:build !darwin && !linux

package terminal

import "os"

// columnsOf returns the width of a terminal, or 0 if unknown.
func columnsOf(*os.File) int { return 0 }
