// Command whisper is a Lambda function of its own runtime: it needs nothing but the Runtime API.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			os.Exit(1)
		}
		var event struct{ Detail struct{ Text string } }
		err = json.NewDecoder(resp.Body).Decode(&event)
		resp.Body.Close()
		if err != nil {
			os.Exit(1)
		}
		fmt.Println("whispered", strings.ToLower(event.Detail.Text))
		answer, err := http.Post(base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader([]byte(`"done"`)))
		if err != nil {
			os.Exit(1)
		}
		answer.Body.Close()
	}
}
