package peertest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Browser is a headless Chromium, controlled with its DevTools protocol over a pipe.
// Safe for use by one test at a time.
type Browser struct {
	tb      testing.TB
	in      io.Writer
	replies chan reply
	session string
	mu      sync.Mutex
	id      int
	asked   []string // URLs that pages requested
	said    []string // what pages wrote to their console, including exceptions
}

type reply struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Chromium starts a browser with additional flags. It ends with the test. If there
// is no Chromium, the test is skipped, or fails with CI set.
func Chromium(tb testing.TB, flags ...string) *Browser {
	tb.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		Missing(tb, "chromium")
	}
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
		"--disable-background-networking", "--hide-scrollbars", "--user-data-dir=" + tb.TempDir(), "about:blank",
	}, flags...)...)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // descriptors 3 and 4, as Chromium expects
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		tb.Fatalf("run %s: %v", path, err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{tb: tb, in: ourOut, replies: make(chan reply, 1)}
	go b.read(ourIn)
	tb.Cleanup(func() {
		_, _ = b.call("", "Browser.close", nil)
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		ourOut.Close()
		ourIn.Close()
	})
	b.attach()
	return b
}

// read splits the input into messages: each ends with a zero byte.
func (b *Browser) read(r io.Reader) {
	defer close(b.replies)
	for reader := bufio.NewReader(r); ; {
		data, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m reply
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		if m.ID != 0 {
			b.replies <- m
			continue
		}
		b.note(m)
	}
}

func (b *Browser) note(m reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.Method {
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		_ = json.Unmarshal(m.Params, &p)
		b.asked = append(b.asked, p.Request.URL)
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded":
		b.said = append(b.said, string(m.Params))
	}
}

func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	b.id++
	message := map[string]any{"id": b.id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	data, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	if _, err := b.in.Write(append(data, 0)); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	for {
		select {
		case m, open := <-b.replies:
			switch {
			case !open:
				return nil, fmt.Errorf("%s: the browser ended", method)
			case m.ID != b.id:
				continue
			case m.Error != nil:
				return nil, fmt.Errorf("%s: %w", method, errors.New(m.Error.Message))
			}
			return m.Result, nil
		case <-time.After(time.Minute):
			return nil, fmt.Errorf("%s: no answer within a minute", method)
		}
	}
}

func (b *Browser) must(session, method string, params any) json.RawMessage {
	b.tb.Helper()
	result, err := b.call(session, method, params)
	if err != nil {
		b.tb.Fatal(err)
	}
	return result
}

func (b *Browser) attach() {
	var target struct{ TargetID string }
	if err := json.Unmarshal(b.must("", "Target.createTarget", map[string]any{"url": "about:blank"}), &target); err != nil {
		b.tb.Fatal(err)
	}
	var attached struct{ SessionID string }
	if err := json.Unmarshal(b.must("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}), &attached); err != nil {
		b.tb.Fatal(err)
	}
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.must(b.session, domain+".enable", nil)
	}
}

// Axe returns the violations that axe-core finds in the page: rules of WCAG 2.1 A and AA
// and of landmarks, each with the elements that violate it. root is the repository. If
// `make node` has not installed axe-core, the test is skipped, or fails with CI set.
func (b *Browser) Axe(root string) []string {
	b.tb.Helper()
	source, err := os.ReadFile(filepath.Join(root, "build/axe/node_modules/axe-core/axe.min.js"))
	if err != nil {
		Missing(b.tb, "axe-core, which `make node` installs")
	}
	b.Eval(string(source)+"; true", nil)
	var found []string
	b.Eval(`axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then((r) =>
	r.violations.map((v) => v.id + ': ' + v.help + ': ' + v.nodes.map((n) => n.html.slice(0, 200)).slice(0, 3).join(' | ')))`, &found)
	return found
}

// View sets the size of the window and whether the user prefers a dark colour scheme.
func (b *Browser) View(width, height int, dark bool) {
	b.tb.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.must(b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	b.must(b.session, "Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}})
}

// Open opens a URL, waits until the expression ready is true in the page, and
// returns how long that took.
func (b *Browser) Open(url, ready string) time.Duration {
	b.tb.Helper()
	b.mu.Lock()
	b.asked, b.said = nil, nil
	b.mu.Unlock()
	start := time.Now()
	b.must(b.session, "Page.navigate", map[string]any{"url": url})
	for deadline := start.Add(30 * time.Second); ; {
		var done bool
		if b.evaluate("Boolean("+ready+")", &done) == nil && done {
			return time.Since(start)
		}
		if time.Now().After(deadline) {
			b.tb.Fatalf("%s: not %s within 30 s; it said %v", url, ready, b.Said())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Eval stores the value of a JavaScript expression, or of the promise that it
// returns, in a pointer; nil discards it. An exception fails the test.
func (b *Browser) Eval(expression string, into any) {
	b.tb.Helper()
	if err := b.evaluate(expression, into); err != nil {
		b.tb.Fatalf("%s: %v", expression, err)
	}
}

func (b *Browser) evaluate(expression string, into any) error {
	result, err := b.call(b.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return err
	}
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(result, &answer); err != nil {
		return err
	}
	if e := answer.ExceptionDetails; e != nil {
		return fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	if into == nil || len(answer.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, into)
}

// keyCodes are the Windows virtual-key codes of keys that a browser itself handles.
var keyCodes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

// Key presses a key, named as KeyboardEvent.key, in the page.
func (b *Browser) Key(key string) {
	b.tb.Helper()
	event := map[string]any{"type": "keyDown", "key": key, "code": key}
	switch code, known := keyCodes[key]; {
	case known: // without its code the browser itself does not handle it
		event["windowsVirtualKeyCode"] = code
		if key == "Enter" {
			event["text"] = "\r"
		}
	case len(key) == 1:
		event["text"] = key
	}
	b.must(b.session, "Input.dispatchKeyEvent", event)
	event["type"] = "keyUp"
	delete(event, "text")
	b.must(b.session, "Input.dispatchKeyEvent", event)
}

// Screenshot returns the content of the window as PNG.
func (b *Browser) Screenshot() []byte {
	b.tb.Helper()
	var shot struct{ Data string }
	if err := json.Unmarshal(b.must(b.session, "Page.captureScreenshot", map[string]any{"format": "png"}), &shot); err != nil {
		b.tb.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.tb.Fatal(err)
	}
	return data
}

// Asked returns the URLs that were requested since the page was opened, the page's first.
func (b *Browser) Asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.asked...)
}

// Said returns what the page wrote to its console since it was opened, including
// exceptions and violations of its policy.
func (b *Browser) Said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.said...)
}
