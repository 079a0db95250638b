// Command proxy is what any process between a client and a server costs, for
// benchmarks to compare with. It prints where it listens.
//
//	proxy relay HOST:PORT   copies bytes
//	proxy http HOST:PORT    is Go's own reverse proxy
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: proxy relay|http HOST:PORT")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	if os.Args[1] == "relay" {
		log.Fatal(relay(listener, os.Args[2]))
	}
	upstream := &url.URL{Scheme: "http", Host: os.Args[2]}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }}
	log.Fatal((&http.Server{Handler: proxy}).Serve(listener))
}

func relay(listener net.Listener, upstream string) error {
	for {
		client, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		go relayed(server, client)
		go relayed(client, server)
	}
}

// relayed reads and writes: by splice, as io.Copy would, it takes more calls of the kernel.
func relayed(to io.Writer, from io.Reader) {
	_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
}
