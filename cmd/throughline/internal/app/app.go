// Package app is the application that `throughline dev TEMPLATE` runs on this machine:
// its flags, its report, its part of the page, and the commands that send requests to it.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/throughline/throughline/cmd/throughline/internal/app/faults"
	"github.com/throughline/throughline/cmd/throughline/internal/app/gateway"
	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/cmd/throughline/internal/app/stage"
	"github.com/throughline/throughline/cmd/throughline/internal/phrase"
	"github.com/throughline/throughline/cmd/throughline/internal/system"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/clock"
	"github.com/throughline/throughline/local/lambdalocal"
)

// Flags are the flags of an application.
type Flags struct {
	set, env     map[string]string
	allow        []string
	python, node string
	extension    string
	moto         string
	concurrency  int
	quiet        bool
	aws          string // local or real
	faults       []string
	speed        float64
	check        []string
	record       func(lambdalocal.LogLine) // a check sets it to record every line of the log
}

// Bind adds the flags to a command.
func (f *Flags) Bind(flags *pflag.FlagSet) {
	flags.StringToStringVar(&f.set, "set", nil, "set a parameter of the template: `NAME=VALUE`; repeat for more")
	flags.StringToStringVar(&f.env, "env", nil, "set an environment variable of every function: `NAME=VALUE`; repeat for more")
	flags.StringSliceVar(&f.allow, "allow", nil, "let functions call `HOST`, or *.DOMAIN for all hosts below it; repeat for more")
	flags.StringVar(&f.python, "python", "", "the Python `INTERPRETER`; empty means the version of the function's runtime if it is on the PATH, or else python3")
	flags.StringVar(&f.node, "node", "", "the Node.js `INTERPRETER`; empty means node on the PATH")
	flags.StringVar(&f.moto, "moto", "moto_server", "the `SERVER` of moto, which emulates DynamoDB and S3")
	flags.StringVar(&f.extension, "extension", "", "the extension's `BINARY`; empty means throughline-extension beside this command")
	flags.StringVar(&f.aws, "aws", "local", "which AWS functions call: local or real; real gives functions your credentials, and sends their calls to your account for AWS services that dev does not play")
	flags.StringArrayVar(&f.faults, "fault", nil, "inject the fault `KIND[=VALUE][:SHARE%][@NAME]`, such as duplicate:10% or http=503@api.example.com; repeat for more")
	flags.StringArrayVar(&f.check, "check", nil, "publish the events in `FILE` with faults, run the checklist of throughline check, and exit; if FILE is the word samples, dev makes one event of each type that a rule names; repeat for more")
	flags.Float64Var(&f.speed, "speed", 1, "run the clock of schedules, visibility time-outs and delays `N` times as fast")
	flags.IntVar(&f.concurrency, "concurrency", 4, "the maximum `NUMBER` of environments of a function")
	flags.BoolVar(&f.quiet, "quiet", false, "do not print the functions' log")
}

// Names returns the flags' names. The flags need a template.
func (f *Flags) Names() []string {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&Flags{}).Bind(set)
	var names []string
	set.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	return names
}

// App is an application that runs. Use [Start], and close it.
type App struct {
	stage        *stage.Stage
	plan         *plan.Plan
	control      *control
	log          *log
	faults       *faults.Set
	path         string // the template's path
	files        templates
	environments int // the maximum of a function
	// permissions are those of the template; nil if they cannot be read.
	permissions *system.Permissions
}

// Places are the addresses, the folder and the output that an application uses.
type Places struct {
	Page, OTLP string // URLs
	Dir        string // for files that the application writes
	Out        io.Writer
}

// Start starts the application of a template.
func (f Flags) Start(ctx context.Context, path string, at Places) (*App, error) {
	d, err := f.draft(path, at.Out)
	if err != nil {
		return nil, err
	}
	a := d.app
	a.environments = max(1, f.concurrency)
	dir, err := filepath.Abs(filepath.Join(at.Dir, "application"))
	if err != nil {
		return nil, err
	}
	var fast *clock.Clock
	if f.speed != 1 {
		fast = clock.New(time.Now(), f.speed)
	}
	real, region, err := f.credentials(ctx)
	if err != nil {
		return nil, err
	}
	if real != nil {
		fmt.Fprintln(at.Out, terminal.Painter(at.Out).Red("REAL AWS: functions have your credentials ("+real.AccessKeyID+"), and calls to AWS services that are not played go to your account, in "+region+"."))
	}
	a.stage, err = stage.Open(stage.Options{
		Credentials: real, Region: region, Faults: a.faults, Clock: fast,
		Dir: dir, Template: d.folder, OTLP: at.OTLP, Extension: f.extension, Python: f.python, Node: f.node, Moto: cmp.Or(f.moto, "moto_server"), Allow: f.allow, Env: f.env,
		Concurrency: a.environments, OnLog: f.onLog(a.log), OnRefused: a.log.refused, OnEvent: f.onEvent(at.Dir, a.log), Record: f.record != nil, Retry: f.retry(), Attempts: f.attempts(),
	})
	if err != nil {
		return nil, err
	}
	if err := a.play(ctx, d, f.set); err != nil {
		a.stage.Close()
		return nil, err
	}
	a.faults.Put(d.given)
	if f.record != nil {
		return a, nil
	}
	if a.control, err = newControl(at.Dir, at.Page, path, a.stage.URL("EVENTBRIDGE")); err != nil {
		a.stage.Close()
		return nil, err
	}
	a.files.watch()
	return a, nil
}

func (a *App) play(ctx context.Context, d draft, values map[string]string) error {
	queues, api := a.stage.Endpoints()
	if err := a.build(d, values, plan.Options{Queues: queues, API: api}); err != nil {
		return err
	}
	return terminal.As(terminal.CouldNot, a.stage.Play(ctx, a.plan))
}

// Close ends the application, after the functions have exported their spans.
func (a *App) Close() {
	a.files.close()
	if a.control != nil {
		a.control.close()
	}
	a.stage.Close()
}

// notPlayed returns a line for each part of the template that is not played.
func notPlayed(p *plan.Plan) []string {
	lines := []string{}
	for _, n := range p.NotPlayed {
		lines = append(lines, fmt.Sprintf("not played: %s, %s: %s", n.ID, n.Type, n.Why))
	}
	return lines
}

// Print prints what is played, and what is not.
func (a *App) Print(out io.Writer) error {
	p := a.plan
	counts := []string{phrase.Count(len(p.Functions), "function")}
	for _, c := range []struct {
		n    int
		what string
	}{{len(p.Rules), "rule"}, {len(p.Subscribers), "subscriber"}, {len(p.Queues), "queue"}, {len(p.Topics), "topic"}, {len(p.Schedules), "schedule"}} {
		if c.n > 0 {
			counts = append(counts, phrase.Count(c.n, c.what))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s plays: %s\n", a.path, strings.Join(counts, ", "))
	for _, line := range slices.Concat(notPlayed(p), prefixed("note: ", p.Notes), prefixed("note: ", a.stage.Notes()), prefixed("note: ", a.refused())) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, rule := range a.faults.Rules() {
		fmt.Fprintf(&b, "  fault: %s\n", rule.Rule)
		if strings.HasPrefix(rule.Rule, string(faults.Duplicate)) && a.environments > 1 && a.control != nil {
			b.WriteString("    as in Lambda, only the environment that handled an event before marks its duplicate: with --concurrency 1, all are marked\n")
		}
	}
	_, api := a.stage.Endpoints()
	for _, of := range apis(p) {
		fmt.Fprintf(&b, "%s answers at %s/%s\n", of, api, of)
	}
	if a.control == nil { // a check has no page
		_, err := io.WriteString(out, b.String())
		return err
	}
	fmt.Fprintf(&b, "\nthe application is at %s; to send it an event:\n  throughline dev send %s%s\n", a.Link(), a.example(), a.control.flag())
	if len(p.Schedules) > 0 {
		fmt.Fprintf(&b, "to fire a schedule:\n  throughline dev fire %s%s\n", p.Schedules[0].Name, a.control.flag())
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// Link returns the address of the page, with this process's token.
func (a *App) Link() string { return a.control.link() }

func prefixed(prefix string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = prefix + line
	}
	return out
}

// apis returns the IDs of the APIs and function URLs of a plan.
func apis(p *plan.Plan) []string {
	known := map[string]bool{}
	for _, r := range p.Routes {
		known[r.API] = true
	}
	return slices.Sorted(maps.Keys(known))
}

// example returns an argument for dev send: a detail-type that a rule names.
func (a *App) example() string {
	if types := a.types(); len(types) > 0 {
		return types[0]
	}
	return "EVENT.json"
}

// log keeps the last lines of the functions' log and prints them.
type log struct {
	out     io.Writer
	quiet   bool
	lines   ring
	advised sync.Map // function and advice, which is given once
}

func newLog(out io.Writer, quiet bool) *log { return &log{out: out, quiet: quiet} }

// add adds a line. It skips Throughline's own metric and log lines, which are for
// CloudWatch.
func (l *log) add(line lambdalocal.LogLine) {
	if line.Source == "platform" || strings.HasPrefix(line.Text, "{") && strings.Contains(line.Text, `"_aws"`) || strings.HasPrefix(line.Text, `{"throughline"`) {
		return
	}
	l.lines.add(logged{line.Time.UTC(), line.Function, line.Source, line.Text})
	if !l.quiet {
		fmt.Fprintf(l.out, "%s %s: %s\n", line.Time.Format("15:04:05.000"), line.Function, terminal.Line(line.Text))
	}
	if text := advice(line.Text); text != "" && line.Source != "dev" {
		if _, told := l.advised.LoadOrStore(line.Function+" "+text, true); !told {
			l.add(lambdalocal.LogLine{Time: line.Time, Function: line.Function, Source: "dev", Text: text})
		}
	}
}

func (l *log) refused(host string) {
	l.tell("a call to " + host + " was refused: " + gateway.Advice(host))
}

// tell writes a line of dev's own.
func (l *log) tell(text string) {
	l.lines.add(logged{Text: text, Source: "dev"})
	fmt.Fprintln(l.out, terminal.Line(text))
}

var errNoApp = errors.New("no application is running: start one with throughline dev TEMPLATE; if you started it with --dir, give the same --dir here")

// Handler serves /app/: the application's page, and requests of the page and commands.
func (a *App) Handler() http.Handler { return a.routes() }
