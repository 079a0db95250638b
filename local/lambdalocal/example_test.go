package lambdalocal_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/throughline/throughline/local/lambdalocal"
)

// A function runs as a process. This one is the test binary, which plays a
// runtime that answers with the event itself.
func Example() {
	dir, err := os.MkdirTemp("", "lambdalocal")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}

	svc := lambdalocal.New(lambdalocal.Options{Dir: dir})
	fn, err := svc.Create(lambdalocal.Function{Name: "echo", Runtime: []string{self}, Memory: 512})
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range []string{`{"n":1}`, `{"n":2}`} {
		result, err := fn.Invoke(context.Background(), []byte(event), lambdalocal.InvokeOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", result.Payload)
		if err := svc.Wait(context.Background()); err != nil { // the environment is idle again
			log.Fatal(err)
		}
	}
	for _, truth := range fn.Invocations() {
		fmt.Println(truth.Status, "cold start:", truth.ColdStart)
	}
	if err := svc.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"n":1}
	// {"n":2}
	// success cold start: true
	// success cold start: false
}
