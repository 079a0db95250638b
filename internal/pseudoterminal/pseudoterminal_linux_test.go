package pseudoterminal

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/throughline/throughline/peertest"
)

func TestOpen(t *testing.T) {
	stty := peertest.Command(t, "stty")
	seen, given, err := Open(101, 37)
	if err != nil {
		peertest.Missing(t, "a pseudo-terminal: "+err.Error())
	}
	defer seen.Close()
	cmd := exec.CommandContext(t.Context(), stty, "size")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = given, given, given
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	if err := given.Close(); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	_, _ = out.ReadFrom(seen) // which ends with EIO
	if out.String() != "37 101\r\n" {
		t.Errorf("its size is %q", out.String())
	}
}
