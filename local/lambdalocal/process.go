package lambdalocal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one running command and its child processes.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed once it has exited and its output has been read

	mu     sync.Mutex
	reaped bool
	exit   string // why it ended; valid once done is closed
}

// launch starts argv. It calls line with each line of the output, and exited once,
// after the process and its output have ended.
func launch(name string, argv, env []string, dir string, line func(string), exited func(*process)) (*process, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, dir
	output := &lines{emit: line}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second // a grandchild that left the group may keep the pipe open
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		awaitExit(cmd.Process.Pid)
		p.mu.Lock()
		_ = signalGroup(cmd.Process.Pid, signalKill) // its remaining child processes
		p.reaped = true
		p.mu.Unlock()
		err := cmd.Wait()
		output.close()
		p.exit = exitReason(err)
		close(p.done)
		exited(p)
	}()
	return p, nil
}

// exitReason describes an exit as Lambda's error messages do.
func exitReason(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return "exit status 0"
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return "signal: " + status.Signal().String()
		}
		return "exit status " + strconv.Itoa(exit.ExitCode())
	default:
		return err.Error()
	}
}

// signal sends a signal to the process and its children, unless it has ended.
func (p *process) signal(signal sysSignal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = signalGroup(p.cmd.Process.Pid, signal)
	}
}

// terminate sends SIGTERM to the process only.
func (p *process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = p.cmd.Process.Signal(signalTerm)
	}
}

// peakMemory returns the peak resident memory of the process in bytes, 0 if unknown.
func (p *process) peakMemory() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, _ := strconv.Atoi(fields[1])
			return kilobytes << 10
		}
	}
	return 0
}

// lines is a writer that emits whole lines. Lambda's limit for a log line is 256 KB.
type lines struct {
	emit    func(string)
	mu      sync.Mutex
	partial []byte
}

const maxLine = 256 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		end := bytes.IndexByte(l.partial, '\n')
		next := end + 1
		if end < 0 || end > maxLine {
			if len(l.partial) < maxLine {
				break
			}
			end, next = maxLine, maxLine
		}
		l.emit(string(l.partial[:end]))
		l.partial = l.partial[next:]
	}
	return len(p), nil
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.emit(string(l.partial))
		l.partial = nil
	}
}
