package app

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/throughline/throughline/peertest"
)

// inside says that the test runs in a network of its own.
const inside = "THROUGHLINE_TEST_NETWORK"

// TestNothingLeaves watches the only way out of a network of its own, a device that takes
// packets and drops them, while functions try to leave this machine in every way they have.
// In the end it is seen that the watch sees: a Go function that dials by itself gets out.
func TestNothingLeaves(t *testing.T) {
	if os.Getenv(inside) == "" {
		peertest.Command(t, "ip")
		extension(t) // its modules may have to be fetched
		cmd := exec.Command(os.Args[0], "-test.run=^TestNothingLeaves$", "-test.v", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), inside+"="+built.path)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		switch {
		case err != nil && len(out) == 0:
			peertest.Missing(t, "a kernel that lets users make networks ("+err.Error()+")")
		case err != nil:
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	built.once.Do(func() { built.path = os.Getenv(inside) })
	for _, command := range []string{
		"echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6", // a device would greet its neighbours
		"ip link set lo up", "ip link add name out type dummy || { ip link add name out type veth peer name far && ip link set far up; }", "ip addr add 198.51.100.1/24 dev out", "ip link set out up", "ip route add default dev out",
	} {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	s := playing(t, "testdata/leaks/template.yaml", Flags{concurrency: 1})
	before := sent(t)
	for _, function := range []string{"Py", "Js", "Go"} {
		var got map[string]string
		if out := s.must("", "invoke", function); json.Unmarshal([]byte(out), &got) != nil || len(got) < 3 {
			t.Fatalf("%s: %s\n%s", function, out, s.out)
		}
		for attempt, outcome := range got {
			if !strings.HasPrefix(outcome, "refused") {
				t.Errorf("%s by %s: %s", function, attempt, outcome)
			}
		}
		t.Logf("%s: %v", function, got)
	}
	if after := sent(t); after != before {
		t.Errorf("%d packets left this machine\n%s", after-before, s.out)
	}
	s.says("a call to files.example was refused", "--allow files.example")
	s.must(`{"Dial": "198.51.100.7:80"}`, "invoke", "Go", "-")
	if after := sent(t); after == before {
		t.Error("the watch does not see what leaves")
	}
}

// sent is how many packets the way out took.
func sent(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if name, counters, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "out" {
			n, err := strconv.Atoi(strings.Fields(counters)[9])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("there is no way out")
	return 0
}
