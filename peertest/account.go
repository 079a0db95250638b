package peertest

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// Account is the ID of an AWS account that nobody else uses. Moto keeps the state
// of each account for as long as the process of the tests runs, so a test that
// makes what it names needs an account of its own in each of its runs.
func Account() string {
	const first, most = 100_000_000_000, 900_000_000_000
	return fmt.Sprint(first + rand.Int64N(most))
}

// MotoAccount is the URL of moto as an account of its own, see [Account]. It
// skips the test as [Moto] does.
func MotoAccount(tb testing.TB) string {
	tb.Helper()
	moto, err := url.Parse(Moto(tb))
	if err != nil {
		tb.Fatal(err)
	}
	account := Account()
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(moto)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("x-moto-account-id", account)
	}})
	tb.Cleanup(server.Close)
	return server.URL
}
