// Package devcmd is the command "throughline dev": it receives spans, stores them on this
// machine, and serves a page that shows their workflows as they arrive.
package devcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/throughline/internal/app"
	"github.com/throughline/throughline/cmd/throughline/internal/devfolder"
	"github.com/throughline/throughline/cmd/throughline/internal/otlpserver"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/internal/loopback"
)

// options are the flags of the command.
type options struct {
	otlp, page string
	dir        string
	limit      int64 // in MB
	open, json bool
	app        app.Flags
}

// New returns the command.
func New() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "dev [TEMPLATE]",
		Short: "See workflows live in a browser, and run an application locally",
		Long: `dev receives spans over OTLP/HTTP, keeps them on this machine, and serves a page that
shows workflows as they arrive. It runs until Ctrl-C. dev keeps spans between runs; above
--limit, it deletes the oldest. The page lists a trace without a workflow by its first
span. examples/otlp has services in Flask, Express and Go that send spans.

With a SAM or CloudFormation template, dev also plays the application of the template,
which means that it runs it on this machine. Functions in Python, Node.js and Go run in
local Lambda environments with the layer attached, between local queues, topics, buses,
rules, schedules and HTTP APIs. dev lists what it cannot play. Changed code takes effect
at the next invocation. Functions get fake credentials. They can connect only to this
machine, a stand-in for Alpaca, and the hosts of --allow. Use the page or the commands
below to send events and to invoke functions.

If a port is taken, dev uses the next free one and prints it. dev listens only on
127.0.0.1, and its page refuses requests from other sites.`,
		Example: `  throughline dev
  throughline dev template.yaml --set Stage=dev
  throughline dev template.yaml --check events.json
  throughline dev send OrderPlaced
  throughline dev --open --limit 500
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 make demo`,
		Args: cobra.MaximumNArgs(1),
		// Beside the commands, which cobra adds, it is a file.
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return terminal.In("dev", o.run(cmd, args))
		},
	}
	cmd.AddCommand(app.Commands()...)
	flags := cmd.Flags()
	o.app.Bind(flags)
	flags.StringVar(&o.otlp, "otlp-addr", "127.0.0.1:4318", "receive spans at this loopback `ADDRESS`")
	flags.StringVar(&o.page, "addr", "127.0.0.1:"+devfolder.DefaultPort, "serve the page at this loopback `ADDRESS`")
	flags.StringVar(&o.dir, "dir", "", "keep spans in `FOLDER`; empty means a folder in the user's cache, with one folder for each page port")
	flags.Int64Var(&o.limit, "limit", 200, "keep at most this many `MB` of spans")
	flags.BoolVar(&o.open, "open", false, "open the page in the browser")
	flags.BoolVar(&o.json, "json", false, "print the addresses as JSON")
	return cmd
}

// started is what --json prints once it answers.
type started struct {
	Page string `json:"page"`
	OTLP string `json:"otlp"`
	Dir  string `json:"dir"`
	App  string `json:"application,omitempty"` // the application's page, with its token

	named bool // the user chose Dir
}

func (o options) run(cmd *cobra.Command, args []string) error {
	if o.limit < 1 {
		return terminal.Misuse("--limit must be above zero")
	}
	for _, name := range o.app.Names() {
		if len(args) == 0 && cmd.Flags().Changed(name) {
			return terminal.Misuse("--%s needs an application: name its template", name)
		}
	}
	if len(args) > 0 { // before a folder is made for it
		if err := o.app.Validate(args[0]); err != nil {
			return err
		}
	}
	if o.app.Checks() {
		return o.check(cmd, args)
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	live, err := listen(o.page)
	if err != nil {
		return err
	}
	defer live.Close()
	receiver, err := listen(o.otlp)
	if err != nil {
		return err
	}
	defer receiver.Close()
	named := o.dir != ""
	if !named {
		if o.dir, err = devfolder.Of(strconv.Itoa(live.Addr().(*net.TCPAddr).Port)); err != nil {
			return err
		}
	}
	spans, err := openStore(o.dir, o.limit*1e6)
	if err != nil {
		return err
	}
	defer func() { _ = spans.Close() }()
	s := started{Page: "http://" + live.Addr().String(), OTLP: "http://" + receiver.Addr().String(), Dir: o.dir, named: named}
	ended := make(chan error, 2)
	servers := []*http.Server{serve(receiver, otlpserver.Handler(func(r otlpserver.Request) error { return spans.Add(r.Line) }), ended)}
	played, end, err := o.play(cmd, args, &s)
	defer end()
	if err != nil {
		return errors.Join(err, servers[0].Close())
	}
	servers = append(servers, serve(live, pages(ctx, spans, s, played), ended))
	if err := o.print(cmd, s); err != nil {
		return err
	}
	if o.open {
		if err := browse(ctx, cmp.Or(s.App, s.Page)); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: the browser was not opened: %v\n", err)
		}
	}
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	end()  // ends the application, after its last spans have arrived
	stop() // ends requests that wait for changes
	const patience = time.Second
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for _, server := range servers {
		if server.Shutdown(last) != nil { // browsers keep idle connections open
			err = errors.Join(err, server.Close())
		}
	}
	return err
}

// check plays the application of a template with the given events and runs the checklist
// of throughline check.
func (o options) check(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return terminal.Misuse("--check needs an application: name its template")
	}
	if o.dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find the user's cache: %w; name a folder with --dir", err)
		}
		o.dir = filepath.Join(cache, "throughline", "check")
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	taken, err := take(o.dir) // what is played there clears what lies there
	if err != nil {
		return err
	}
	defer func() { _ = taken.Close() }()
	return o.app.Check(cmd, args[0], o.dir, o.json)
}

// play starts the application of a template, if one is named. It returns the handler of
// the application's part of the page, or nil, and a function that ends the application.
func (o options) play(cmd *cobra.Command, args []string, s *started) (played http.Handler, end func(), err error) {
	if len(args) == 0 {
		return nil, func() {}, nil
	}
	a, err := o.app.Start(cmd.Context(), args[0], app.Places{Page: s.Page, OTLP: s.OTLP, Dir: o.dir, Out: cmd.ErrOrStderr()})
	if err != nil {
		return nil, func() {}, err
	}
	end = sync.OnceFunc(a.Close)
	s.App = a.Link()
	if !o.json {
		err = a.Print(cmd.OutOrStdout())
	}
	return a.Handler(), end, err
}

func (o options) print(cmd *cobra.Command, s started) error {
	out := cmd.OutOrStdout()
	if o.json {
		return terminal.PrintJSON(out, s)
	}
	_, err := fmt.Fprintf(out, "workflows appear at %s, and this prints the newest:\n  throughline trace --last %s\nspans are kept in %s\n\nfor services that you start yourself:\nexport %s\n", s.Page, s.flag(), s.Dir, strings.Join(s.variables(), "\nexport "))
	return err
}

// flag returns the flag with which other commands read the spans of this process.
func (s started) flag() string {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.Page, "http://"))
	switch {
	case s.named:
		return "--dev=" + s.Dir
	case port == devfolder.DefaultPort && s.App != "": // without a value, the flag prefers applications
		return "--dev"
	}
	return "--dev=" + port
}

// variables returns the environment variables that make a program export its spans here.
// Without them, SDKs keep spans for five seconds.
func (s started) variables() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + s.OTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=500"}
}

// listen listens on a loopback address, or on the next free port if it is in use.
func listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	first, bad := strconv.Atoi(port)
	if err != nil || bad != nil || !loopback.Is(host) {
		return nil, terminal.Misuse("%q is not a loopback address with a port, such as 127.0.0.1:4400 or localhost:4400", address)
	}
	const tries = 20
	for n := range tries {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(first+n)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
	return nil, fmt.Errorf("%s and the next %d ports are in use: give another address", address, tries-1)
}

func serve(listener net.Listener, handler http.Handler, ended chan<- error) *http.Server {
	const header = 10 * time.Second
	server := &http.Server{Handler: handler, ReadHeaderTimeout: header}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			ended <- err
		}
	}()
	return server
}

// browse opens a URL in the browser.
func browse(ctx context.Context, url string) error {
	command := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if command == nil {
		command = []string{"xdg-open"}
	}
	opener := exec.CommandContext(ctx, command[0], append(command[1:], url)...)
	if err := opener.Start(); err != nil {
		return err
	}
	go func() { _ = opener.Wait() }() // the process can be the browser itself
	return nil
}
