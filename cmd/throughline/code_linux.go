package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// forgetCode releases the memory of the program's code and constants. Most of what was
// read to start, above all tables of AWS's services, is not needed again. The kernel
// reads the rest from the file again, page by page.
func forgetCode() {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var start, end uint64 // a mapping of the program that is not writable
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 4 && strings.Contains(fields[0], "-"): // range, permissions, offset, device, inode, path
			start, end = 0, 0
			if len(fields) == 6 && fields[5] == own && strings.HasPrefix(fields[1], "r-") {
				first, last, _ := strings.Cut(fields[0], "-")
				start, _ = strconv.ParseUint(first, 16, 64)
				end, _ = strconv.ParseUint(last, 16, 64)
			}
		case end > start && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0":
			// The mapping has no private pages, such as those in which a loader changes addresses.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(start), uintptr(end-start), syscall.MADV_DONTNEED) // if the call fails, the memory stays
		}
	}
}
