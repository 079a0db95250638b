package invokelocal

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/lambdalocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHandOn(t *testing.T) {
	for _, c := range []struct{ header, root, sampled, lineage string }{
		{"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a:0", "Root=1-5759e988-bd862e3fe1be46a994272793;", ";Sampled=1", ";Lineage=1:a:0"},
		{"Root=1-5759e988-bd862e3fe1be46a994272793", "Root=1-5759e988-bd862e3fe1be46a994272793;", ";Sampled=0", ""},
	} {
		got := handOn(c.header)
		if !strings.HasPrefix(got, c.root) || !strings.HasSuffix(got, c.sampled+c.lineage) || strings.Contains(got, "53995c3f42cd8ad8") || !strings.Contains(got, "Parent=") {
			t.Errorf("%s became %s", c.header, got)
		}
	}
	if got := handOn("no header"); got != "" {
		t.Errorf("made up %q", got)
	}
}

// FuzzInvoke calls by any path, type and context: what does not exist is not found.
func FuzzInvoke(f *testing.F) {
	f.Add("/2015-03-31/functions/f/invocations", "Event", "", "{}")
	f.Add("/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations?Qualifier=1", "", "e30=", "x")
	f.Fuzz(func(t *testing.T, path, kind, clientContext, body string) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://lambda.local"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("X-Amz-Invocation-Type", kind)
		r.Header.Set("X-Amz-Client-Context", clientContext)
		w := httptest.NewRecorder()
		New(lambdalocal.New(lambdalocal.Options{Dir: t.TempDir()})).ServeHTTP(w, r)
		if w.Code != http.StatusNotFound && w.Code != http.StatusBadRequest {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
