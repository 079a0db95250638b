package server

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// waitsForAnswer says whether the client of a connection, from which the end of
// its data came, still has its socket open: it has closed its own direction and
// waits for the answer. A client that is gone has left its socket, if at all, to
// the kernel. Both ends are on this machine, so that the kernel's list tells it;
// where that cannot be read the client counts as gone.
func waitsForAnswer(c *net.TCPConn) bool {
	ours, ok := c.LocalAddr().(*net.TCPAddr)
	theirs, known := c.RemoteAddr().(*net.TCPAddr)
	if !ok || !known || ours.IP.To4() == nil || theirs.IP.To4() == nil {
		return false
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return false
	}
	defer f.Close()
	const longest = 4 << 20
	list, err := io.ReadAll(io.LimitReader(f, longest))
	return err == nil && hasSocket(string(list), theirs, ours)
}

// hasSocket says whether a process has a socket with these two ends, by the lines
// of /proc/net/tcp: "sl local remote st … uid timeout inode". The kernel's own
// sockets, which outlive their process, have inode 0.
func hasSocket(list string, local, remote *net.TCPAddr) bool {
	wanted := " " + asListed(local) + " " + asListed(remote) + " "
	for line := range strings.Lines(list) {
		if !strings.Contains(line, wanted) {
			continue
		}
		const inode = 9
		fields := strings.Fields(line)
		return len(fields) > inode && fields[inode] != "0"
	}
	return false
}

// asListed is an IPv4 address as /proc/net/tcp has it: in the order of a
// little-endian machine's bytes, as both of Lambda's architectures are.
func asListed(a *net.TCPAddr) string {
	ip := a.IP.To4()
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})), a.Port)
}
