package sigv4

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// signed is a request that AWS's own signer signed.
func signed(t *testing.T, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://events.eu-west-1.amazonaws.com/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Amz-Sdk-Request", "attempt=1;   max=3 ")
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: "session"}
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, Hash([]byte(body)), "events", "eu-west-1", at); err != nil {
		t.Fatal(err)
	}
	return r
}

func over(r *http.Request, body string) Request {
	return Request{Method: r.Method, Path: "/", PayloadHash: Hash([]byte(body)), Header: func(name string) []string {
		switch name {
		case "host":
			return []string{r.URL.Host}
		case "content-length":
			return []string{"14"}
		}
		return r.Header.Values(name)
	}}
}

// What AWS's signer signed verifies, and what is signed here is what it signs.
func TestAgainstAWSsSigner(t *testing.T) {
	const body = `{"Entries":[]}`
	r := signed(t, body)
	a, err := Parse(r.Header.Get("Authorization"))
	if err != nil {
		t.Fatal(err)
	}
	if a.AccessKeyID != "AKIDEXAMPLE" || a.Region != "eu-west-1" || a.Service != "events" || !a.Signs("x-amz-target") || a.Signs("x-amz-other") {
		t.Errorf("%+v", a)
	}
	if !a.Verify(secret, over(r, body)) {
		t.Error("AWS's own signature does not verify")
	}
	again := signed(t, `{"Entries":{}}`)
	want := again.Header.Get("Authorization")
	if got, ok := a.Sign(secret, over(again, `{"Entries":{}}`)); !ok || got != want {
		t.Errorf("signed\n%s\nAWS's signer\n%s", got, want)
	}
}

func TestWhatDoesNotVerify(t *testing.T) {
	const body = `{"Entries":[]}`
	for name, change := range map[string]func(*http.Request, *Authorization, *Request){
		"Forged":    func(_ *http.Request, a *Authorization, _ *Request) { a.Signature = strings.Repeat("0", 64) },
		"OtherBody": func(_ *http.Request, _ *Authorization, over *Request) { over.PayloadHash = Hash([]byte("{}")) },
		"OtherAction": func(r *http.Request, _ *Authorization, _ *Request) {
			r.Header.Set("X-Amz-Target", "AWSEvents.PutPermission")
		},
		"OtherHost":   func(r *http.Request, _ *Authorization, _ *Request) { r.URL.Host = "evil.example" },
		"OtherMethod": func(_ *http.Request, _ *Authorization, over *Request) { over.Method = http.MethodGet },
		"OtherRegion": func(_ *http.Request, a *Authorization, _ *Request) { a.Region = "us-east-1" },
		"OtherDay":    func(r *http.Request, _ *Authorization, _ *Request) { r.Header.Set("X-Amz-Date", "20261128T120000Z") },
		"NoDate":      func(r *http.Request, _ *Authorization, _ *Request) { r.Header.Del("X-Amz-Date") },
		"LessSigned":  func(_ *http.Request, a *Authorization, _ *Request) { a.SignedHeaders = []string{"host", "x-amz-date"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := signed(t, body)
			a, err := Parse(r.Header.Get("Authorization"))
			if err != nil {
				t.Fatal(err)
			}
			covers := over(r, body)
			if change(r, &a, &covers); a.Verify(secret, covers) {
				t.Error("it verifies")
			}
		})
	}
	r := signed(t, body)
	if a, _ := Parse(r.Header.Get("Authorization")); a.Verify("another secret", over(r, body)) {
		t.Error("it verifies with another secret")
	}
}

func TestParseRefuses(t *testing.T) {
	const scope = "Credential=A/20261129/eu-west-1/events/aws4_request"
	signature := "Signature=" + strings.Repeat("0", 64)
	for name, tt := range map[string]struct {
		header string
		want   error
	}{
		"Empty":        {"", ErrAlgorithm},
		"SigV4a":       {"AWS4-ECDSA-P256-SHA256 Credential=A/20261129/events/aws4_request, SignedHeaders=host, " + signature, ErrAlgorithm},
		"Bearer":       {"Bearer token", ErrAlgorithm},
		"NoScope":      {Algorithm + " SignedHeaders=host, " + signature, ErrScope},
		"ShortScope":   {Algorithm + " Credential=A/20261129/events/aws4_request, SignedHeaders=host, " + signature, ErrScope},
		"Region":       {Algorithm + " Credential=A/20261129/evil.example:1/events/aws4_request, SignedHeaders=host, " + signature, ErrScope},
		"Twice":        {Algorithm + " " + scope + ", " + scope + ", SignedHeaders=host, " + signature, ErrScope},
		"HostUnsigned": {Algorithm + " " + scope + ", SignedHeaders=x-amz-date, " + signature, ErrScope},
		"Unsorted":     {Algorithm + " " + scope + ", SignedHeaders=x-amz-date;host, " + signature, ErrScope},
		"UpperCase":    {Algorithm + " " + scope + ", SignedHeaders=Host;host, " + signature, ErrScope},
		"Signature":    {Algorithm + " " + scope + ", SignedHeaders=host, Signature=00", ErrScope},
		"Unknown":      {Algorithm + " " + scope + ", SignedHeaders=host, " + signature + ", More=1", ErrScope},
		"Long":         {Algorithm + " " + scope + ", SignedHeaders=host" + strings.Repeat(";x", 8<<10) + ", " + signature, ErrScope},
	} {
		if _, err := Parse(tt.header); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Algorithm + " Credential=A/20261129/eu-west-1/events/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, header string) {
		a, err := Parse(header)
		if err != nil {
			return
		}
		written, _ := a.Sign(secret, Request{Method: "POST", Path: "/", Header: func(name string) []string { return []string{a.Date + "T000000Z"} }})
		again, err := Parse(written)
		again.Signature = a.Signature
		if err != nil || again.AccessKeyID != a.AccessKeyID || again.scope() != a.scope() || !slices.Equal(again.SignedHeaders, a.SignedHeaders) {
			t.Fatalf("%q gave %+v, then %+v, %v", header, a, again, err)
		}
		if strings.ContainsAny(a.Region, "/.:?#@ ") {
			t.Fatalf("region %q", a.Region)
		}
	})
}
