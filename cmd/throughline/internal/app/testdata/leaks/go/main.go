// Command go makes a call over HTTP, which its proxy refuses, and, if asked, over a
// connection of its own, which the proxy cannot refuse.
package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			os.Exit(1)
		}
		var event struct{ Dial string }
		_ = json.NewDecoder(resp.Body).Decode(&event)
		resp.Body.Close()
		got := map[string]string{}
		for _, url := range []string{"http://files.example/", "https://files.example/", "https://secretsmanager.us-east-1.amazonaws.com/"} {
			answer, err := http.Get(url)
			got[url] = "refused"
			if err == nil {
				if answer.StatusCode != http.StatusForbidden {
					got[url] = "it got through"
				}
				answer.Body.Close()
			}
		}
		if event.Dial != "" {
			_, _ = net.DialTimeout("tcp", event.Dial, 200*time.Millisecond)
		}
		body, _ := json.Marshal(got)
		answer, err := http.Post(base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(body))
		if err != nil {
			os.Exit(1)
		}
		answer.Body.Close()
	}
}
