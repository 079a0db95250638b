package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// client is a running application that commands send requests to.
type client struct{ devfolder.Application }

// find returns the running application: that in dir or, if dir is empty, the first of
// [devfolder.Running]. If there are several, notes gets the choice.
func find(dir string, notes io.Writer) (client, error) {
	var running []devfolder.Application
	var err error
	if dir == "" {
		running, err = devfolder.Running()
	} else if one, ok, wrong := devfolder.Read(dir); ok {
		running = append(running, one)
	} else {
		err = wrong
	}
	if err != nil {
		return client{}, err
	}
	if len(running) == 0 {
		return client{}, terminal.As(terminal.CouldNot, errNoApp)
	}
	if len(running) > 1 {
		fmt.Fprintf(notes, "note: %d applications are running: using %s; name another one with --dir\n", len(running), running[0].Template)
	}
	return client{running[0]}, nil
}

// ask posts a request to the running application and decodes the response into out.
func (s client) ask(ctx context.Context, path string, query url.Values, body []byte, out any) error {
	target := s.Page + "/app/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(TokenHeader, s.Token)
	resp, err := local.Do(req)
	if err != nil {
		return terminal.As(terminal.CouldNot, fmt.Errorf("%w: is throughline dev still running?", err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var problem struct{ Error string }
		if json.Unmarshal(data, &problem) != nil || problem.Error == "" {
			problem.Error = resp.Status
		}
		return terminal.Misuse("%s", problem.Error)
	}
	return json.Unmarshal(data, out)
}

// local calls this machine without a proxy.
var local = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
