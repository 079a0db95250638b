package server

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// waitsForAnswer reports whether a client that has sent the end of its data still
// has its socket open: it has then closed only its own direction and waits for the
// answer. After a client has exited, its socket belongs to the kernel, if it still
// exists. Both ends are on this machine, so the kernel's list of sockets contains the
// client's. If the list cannot be read, the client counts as gone.
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

// hasSocket reports whether a process has a socket with these two addresses. list is
// /proc/net/tcp, with lines "sl local remote st … uid timeout inode". A socket that
// has outlived its process has inode 0.
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

// asListed formats an IPv4 address as /proc/net/tcp does on a little-endian machine,
// which both of Lambda's architectures are.
func asListed(a *net.TCPAddr) string {
	ip := a.IP.To4()
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})), a.Port)
}
