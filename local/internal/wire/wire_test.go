package wire_test

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/throughline/throughline/local/internal/wire"
)

func FuzzParseForm(f *testing.F) {
	for _, body := range []string{"A=1&B.1.C.member.2=x", "A.entry.1.key=k&A.entry.1.value=v", "%", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o=1", "1=1&.=2&..=3"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := wire.ParseForm([]byte(body))
		if err != nil {
			return
		}
		for _, name := range form.Names() {
			for _, child := range form.Get(name).List() {
				_, _ = child.Value, child.Names()
			}
		}
		if form.Get("no", "such").Has() {
			t.Error("a node that is not there holds something")
		}
	})
}

func TestForm(t *testing.T) {
	form, err := wire.ParseForm([]byte("E.10.V=c&E.2.V=b&E.1.V=a&L.member.1=x&L.member.2=y&Empty="))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, child := range form.Get("E").List() {
		got += child.Get("V").Value
	}
	for _, child := range form.Get("L").List() {
		got += child.Value
	}
	if got != "abcxy" {
		t.Errorf("%q", got)
	}
}

func TestXMLIsWellFormed(t *testing.T) {
	for name, write := range map[string]func(*httptest.ResponseRecorder){
		"nothing": func(w *httptest.ResponseRecorder) { wire.WriteXML(w, "Do", "urn:x", nil) },
		"result":  func(w *httptest.ResponseRecorder) { wire.WriteXML(w, "Do", "urn:x", struct{ A string }{"<&>"}) },
		"error":   func(w *httptest.ResponseRecorder) { wire.WriteXMLError(w, 400, "urn:x", "Sender", "Code", "a < b") },
	} {
		w := httptest.NewRecorder()
		write(w)
		var answer struct {
			XMLName  xml.Name
			Result   struct{ A string }             `xml:"DoResult"`
			Metadata struct{ RequestID string }     `xml:"ResponseMetadata"`
			Error    struct{ Code, Message string } `xml:"Error"`
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Header().Get(wire.RequestID) == "" {
			t.Errorf("%s: %v in %s", name, err, w.Body)
		}
		if name == "result" && answer.Result.A != "<&>" || name == "error" && answer.Error.Message != "a < b" {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

// TestNoPages: what a browser sends for a page is refused; SDKs and people are served.
func TestNoPages(t *testing.T) {
	var s, open wire.Server
	served := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	url, err := s.Start(served)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	forAll, err := open.StartOpen(served)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for header, want := range map[string]int{"": 200, "Sec-Fetch-Site: none": 200, "Sec-Fetch-Site: cross-site": 403, "Sec-Fetch-Site: same-site": 403, "Sec-Fetch-Site: same-origin": 403, "Origin: null": 403, "Origin: http://evil.example": 403} {
		for at, status := range map[string]int{url: want, forAll: 200} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			if name, value, ok := strings.Cut(header, ": "); ok {
				req.Header.Set(name, value)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != status {
				t.Errorf("with %q: %s, not %d", header, resp.Status, status)
			}
		}
	}
}
