package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
)

// fault sets the faults as the page does.
func (s *scene) fault(texts ...string) {
	s.t.Helper()
	body, _ := json.Marshal(texts)
	var done []faults.Done
	if err := (client{s.control.file}).ask(s.t.Context(), "faults", nil, body, &done); err != nil || len(done) != len(texts) {
		s.t.Fatalf("%v %+v", err, done)
	}
}

// struck is how often a fault struck.
func (s *scene) struck(rule string) int {
	for _, d := range s.faults.Rules() {
		if d.Rule == rule {
			return d.Count
		}
	}
	return -1
}

func TestFaults(t *testing.T) {
	s := playing(t, "testdata/faults/template.yaml", Flags{faults: []string{"duplicate@Say"}, concurrency: 1})
	const several = "marks its duplicate: with --concurrency 1, all are marked\n"
	if out := s.printed(); !strings.Contains(out, "fault: duplicate@Say") || strings.Contains(out, several) {
		t.Errorf("%s", out)
	}
	if s.environments = 2; !strings.Contains(s.printed(), several) {
		t.Errorf("with several environments:\n%s", s.printed())
	}
	said := func(text string) int { return strings.Count(s.out.String(), text) }
	send := func(typ, detail string) {
		t.Helper()
		s.must("", "send", s.file(fmt.Sprintf(`{"source":"x","detail-type":%q,"detail":%s}`, typ, detail)))
	}
	say := func(text string) { t.Helper(); send("Say", fmt.Sprintf(`{"text":%q}`, text)) }

	body, _ := json.Marshal([]string{"fail@Sayy"})
	var none []faults.Done
	if err := (client{s.control.file}).ask(t.Context(), "faults", nil, body, &none); err == nil || !strings.Contains(err.Error(), "fail@Sayy matches nothing: the names are ") || s.struck("duplicate@Say") < 0 {
		t.Errorf("a name of nothing: %v", err)
	}

	say("twice")
	s.settle()
	if said("said twice") != 2 || s.struck("duplicate@Say") != 1 {
		t.Errorf("duplicate: %s", s.out)
	}
	s.fault("fail@Say", "duplicate@Jobs", "fail:50%@Work")
	say("again")
	s.settle()
	if said("said again") != 1 || s.struck("fail@Say") != 1 {
		t.Errorf("fail: %s", s.out)
	}
	send("Job", `{"n":"one"}`)
	s.settle()
	if said(`worked "one"`) < 2 { // the bus delivers it twice
		t.Errorf("duplicate into a queue: %s", s.out)
	}
	s.fault("delay=1s@Say")
	begin := time.Now()
	say("late")
	s.settle()
	if said("said late") != 1 || time.Since(begin) < time.Second {
		t.Errorf("delay: %s", s.out)
	}
	s.fault("reorder=1s@Say")
	for n := range 12 {
		say(fmt.Sprintf("number %02d", n))
	}
	s.settle()
	var order []string
	for line := range strings.Lines(s.out.String()) {
		if _, text, ok := strings.Cut(line, "said number "); ok {
			order = append(order, text)
		}
	}
	if len(order) != 12 || slices.IsSorted(order) {
		t.Errorf("reorder: %q", order)
	}
	s.fault("kill@Who")
	// A function that answers at once may have answered before the kill, or be killed while it answers.
	var out string
	var err error
	for attempt := 0; attempt < 10 && err == nil; attempt++ {
		out, err = s.run("", "invoke", "Who")
	}
	if err == nil || !strings.Contains(out, "Runtime.ExitError") && !strings.Contains(out, "Runtime.TruncatedResponse") {
		t.Errorf("kill: %v %s", err, out)
	}
	s.fault("timeout@Brief")
	if out, err := s.run("", "invoke", "Brief"); err == nil || !strings.Contains(out, "Task timed out after 2.00 seconds") {
		t.Errorf("timeout: %v %s", err, out)
	}
	s.fault("freeze=500ms@Brief")
	begin = time.Now()
	if out := s.must("", "invoke", "Brief"); strings.TrimSpace(out) != `"in time"` || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("freeze: %s", out)
	}
	s.fault()
	first, second := s.must("", "invoke", "Who"), s.must("", "invoke", "Who")
	s.fault("cold@Who")
	third, fourth := s.must("", "invoke", "Who"), s.must("", "invoke", "Who")
	if first != second || third == fourth {
		t.Errorf("cold: processes %s %s %s %s", first, second, third, fourth)
	}
	s.fault("http=503@*.alpaca.markets", "http-delay=1500ms@paper-api.alpaca.markets")
	if out := s.must("", "invoke", "Order"); strings.TrimSpace(out) != "[503,true]" {
		t.Errorf("http: %s", out)
	}
	s.fault("throttle:50%@Say")
	for n := range 20 {
		say(fmt.Sprintf("throttled %02d", n))
	}
	s.settle()
	if said("said throttled") != 20 || s.struck("throttle:50%@Say") < 1 {
		t.Errorf("throttle: %s", s.out)
	}
	s.fault("throttle@PutEvents")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.stage.URL("EVENTBRIDGE"), strings.NewReader(`{"Entries":[{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Header.Get("X-Amzn-Errortype") != "ThrottlingException" {
		t.Errorf("throttle: %v", resp.Header)
	}
	if err := (client{s.control.file}).ask(t.Context(), "faults", nil, []byte(`["explode"]`), nil); err == nil || !strings.Contains(err.Error(), "is not a kind of fault") {
		t.Errorf("%v", err)
	}
}
