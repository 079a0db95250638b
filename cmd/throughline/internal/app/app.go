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
	"os"
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
	stage   *stage.Stage
	plan    *plan.Plan
	control *control
	log     *log
	faults  *faults.Set
	path    string // the template's path
	files   templates
}

// Places are the addresses, the folder and the output that an application uses.
type Places struct {
	Page, OTLP string // URLs
	Dir        string // for files that the application writes
	Out        io.Writer
}

// Start starts the application of a template.
func (f Flags) Start(ctx context.Context, path string, at Places) (*App, error) {
	given, err := parseFaults(f.faults)
	if err != nil {
		return nil, err
	}
	if f.speed == 0 {
		f.speed = 1
	}
	if f.speed < 0 || f.speed > 10_000 {
		return nil, terminal.Misuse("--speed must be above 0 and at most 10000")
	}
	a := &App{path: path, log: newLog(at.Out, f.quiet), faults: new(faults.Set), files: templates{played: map[string][]byte{}}}
	a.files.told = a.log.tell
	data, err := a.files.read(path)
	if err != nil {
		return nil, terminal.Misuse("read the template: %v: name a SAM or CloudFormation template", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if f.extension, err = f.findExtension(); err != nil {
		return nil, err
	}
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
		Dir: dir, Template: folder, OTLP: at.OTLP, Extension: f.extension, Python: f.python, Node: f.node, Moto: cmp.Or(f.moto, "moto_server"), Allow: f.allow, Env: f.env,
		Concurrency: max(1, f.concurrency), OnLog: f.onLog(a.log), OnRefused: a.log.refused, Record: f.record != nil, Retry: f.retry(), Attempts: f.attempts(),
	})
	if err != nil {
		return nil, err
	}
	if err := a.play(ctx, data, folder, f.set); err != nil {
		a.stage.Close()
		return nil, err
	}
	if err := a.strike(given); err != nil {
		a.stage.Close()
		return nil, err
	}
	if f.record != nil {
		return a, nil
	}
	if a.control, err = newControl(at.Dir, at.Page, path); err != nil {
		a.stage.Close()
		return nil, err
	}
	a.files.watch()
	return a, nil
}

func (a *App) play(ctx context.Context, data []byte, folder string, values map[string]string) error {
	queues, api := a.stage.Endpoints()
	var err error
	a.plan, err = plan.Build(data, plan.Options{Values: values, Queues: queues, API: api, Open: func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return a.files.read(name)
		}
		return a.files.read(filepath.Join(folder, filepath.FromSlash(name)))
	}})
	if err != nil {
		return terminal.Misuse("%s: %v", a.path, err)
	}
	if len(a.plan.Functions) == 0 {
		return terminal.Misuse("%s has no function that can be played\n%s", a.path, strings.Join(notPlayed(a.plan), "\n"))
	}
	if err := a.stage.Play(ctx, a.plan); err != nil {
		return terminal.As(terminal.CouldNot, err)
	}
	return nil
}

// strike puts faults in the place of those of now, where the names are of something.
func (a *App) strike(rules []faults.Rule) error {
	for _, r := range rules {
		if names := a.strikable(r.Kind); r.Of != "" && names != nil && !slices.ContainsFunc(names, func(name string) bool { return name == r.Of || gateway.Matches(name, []string{r.Of}) }) {
			return terminal.Misuse("--fault %s matches nothing: the names are %s", r, join(names))
		}
	}
	a.faults.Put(rules)
	return nil
}

// strikable are the names that faults of a kind can have, nil where it is of hosts.
func (a *App) strikable(kind faults.Kind) []string {
	var names []string
	for _, f := range a.plan.Functions {
		names = append(names, f.Name)
	}
	switch kind {
	case faults.HTTP, faults.HTTPDelay:
		return nil
	case faults.Throttle:
		return append(names, "PutEvents")
	case faults.Freeze, faults.Kill, faults.Timeout, faults.Cold:
		return names
	}
	for _, q := range a.plan.Queues {
		names = append(names, q.Name)
	}
	for _, t := range a.plan.Topics {
		names = append(names, t.Name)
	}
	for _, r := range a.plan.Rules {
		names = append(names, r.Name)
	}
	for _, sub := range a.plan.Subscribers {
		names = append(names, sub.Name)
	}
	for _, b := range a.plan.NewBuses {
		names = append(names, b.Name)
	}
	return append(names, a.plan.Buses...)
}

func parseFaults(texts []string) ([]faults.Rule, error) {
	var rules []faults.Rule
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		r, err := faults.Parse(text)
		if err != nil {
			return nil, terminal.Misuse("--fault %v", err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// findExtension returns the path of the extension's binary.
func (f Flags) findExtension() (string, error) {
	if f.extension == "" {
		own, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find the extension: %w; name it with --extension", err)
		}
		f.extension = filepath.Join(filepath.Dir(own), "throughline-extension")
	}
	path, err := filepath.Abs(f.extension)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", terminal.As(terminal.CouldNot, fmt.Errorf("find the extension: %w; build it with `make build`, or name another one with --extension", err))
	}
	return path, nil
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
	for _, line := range slices.Concat(notPlayed(p), prefixed("note: ", p.Notes), prefixed("note: ", a.stage.Notes())) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, rule := range a.faults.Rules() {
		fmt.Fprintf(&b, "  fault: %s\n", rule.Rule)
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
