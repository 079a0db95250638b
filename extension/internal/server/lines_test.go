package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A head of many fields is refused before net/http holds them, also in pieces, in a long
// head, and as a later request of a connection. Lines of a body do not count.
func TestManyLines(t *testing.T) {
	s := serving(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	head := func(fields int, more string, length int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s", s.Address, length, more)
		for i := range fields {
			fmt.Fprintf(&b, "a%d: b\r\n", i)
		}
		return b.String() + "\r\n"
	}
	lines := strings.Repeat("\n", 3000)
	long := "Cause: " + strings.Repeat("x", 2*maxHead) + "\r\n"
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"some":                    {head(200, "", 0), 200},
		"many":                    {head(300, "", 0), 400},
		"very many":               {head(50_000, "", 0), 400},
		"some in a long head":     {head(200, long, 0), 200},
		"many in a long head":     {head(300, long, 0), 400},
		"a body of lines":         {head(10, "", len(lines)) + lines, 200},
		"a long head and a body":  {head(10, long, len(lines)) + lines, 200},
		"nearly too many, a body": {head(240, "", len(lines)) + lines, 200},
	} {
		for _, piece := range []int{1 << 20, 1000} {
			c := dial(t, s)
			in := bufio.NewReader(c)
			for n := range 2 { // of a connection
				go func() {
					for rest := tt.request; rest != ""; rest = rest[min(piece, len(rest)):] {
						_, _ = io.WriteString(c, rest[:min(piece, len(rest))]) // fails where the server refuses
					}
				}()
				resp, err := http.ReadResponse(in, nil)
				if err != nil && tt.status != 200 && piece > 1000 { // the answer is lost with what was not read
					break
				}
				if err != nil || resp.StatusCode != tt.status {
					t.Errorf("%s, request %d in pieces of %d: %v, %v", name, n, piece, resp, err)
					break
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				if tt.status != 200 {
					break
				}
			}
		}
	}
}
