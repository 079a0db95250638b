package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// Shell renders the set as a script of AWS CLI calls for a POSIX shell. Its parameters
// are environment variables. `throughline alarms plan` recognizes the alarms of a
// resolved set as the spec's.
func Shell(s alarms.Set) ([]File, error) {
	if len(s.Parameters) == 0 {
		resolved, err := s.Resolve(nil)
		if err != nil {
			return nil, err
		}
		s = resolved.Owned().Map(alarms.Literal)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#!/bin/sh\n# CloudWatch alarms of %s, rendered by throughline. Needs the AWS CLI.\nset -eu\n", oneLine(s.Name))
	if len(s.Parameters) > 0 {
		b.WriteString("\n# Escapes a value for a JSON string.\n_json() { printf '%s' \"$1\" | sed 's/\\\\/\\\\\\\\/g; s/\"/\\\\\"/g'; }\n")
	}
	for _, p := range s.Parameters {
		name := shellVariable(p.Name)
		if p.Description != "" {
			fmt.Fprintf(&b, "# %s: %s\n", name, oneLine(p.Description))
		}
		if p.HasDefault {
			// Shells differ in how they read a default within ${…:-…}.
			fmt.Fprintf(&b, "[ -n \"${%s:-}\" ] || %s=%s\n%s=$(_json \"$%s\")\n", name, name, quoted(p.Default), name, name)
		} else {
			fmt.Fprintf(&b, "%s=$(_json \"${%s:?give it a value in the environment}\")\n", name, name)
		}
	}
	b.WriteString(`
# put-metric-alarm sets tags only when it creates an alarm. ARNs
# differ only in the alarm's name, so one call finds their beginning.
_base=
_tag() {
  if [ -z "$_base" ]; then
    _base=$(aws cloudwatch describe-alarms --alarm-types MetricAlarm CompositeAlarm --alarm-names "$1" --query '[MetricAlarms,CompositeAlarms][][].AlarmArn' --output text)
    _base=${_base%"$1"}
  fi
  aws cloudwatch tag-resource --resource-arn "$_base$1" --tags "$2"
}
`)
	for _, a := range s.Alarms {
		if err := call(&b, "put-metric-alarm", a.Name, metricAlarm(a, marked), a.Tags); err != nil {
			return nil, err
		}
	}
	for _, c := range s.Composites {
		if err := call(&b, "put-composite-alarm", c.Name, compositeAlarm(c, marked), c.Tags); err != nil {
			return nil, err
		}
	}
	return []File{{"alarms.sh", b.Bytes()}}, nil
}

// call writes one command, and its tags if it has any.
func call(b *bytes.Buffer, verb, name string, input map[string]any, tags []alarms.Tag) error {
	document, err := argument(input)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(b, "\naws cloudwatch %s --cli-input-json %s\n", verb, document)
	if len(tags) == 0 {
		return nil
	}
	list, err := argument(input["Tags"])
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(b, "_tag %s %s\n", quoted(fmt.Sprint(marked(name))), list)
	return nil
}

// taken are variables that have a meaning to shells or to the programs that the script
// calls. Names of parameters have letters and digits only, so names with an underscore
// are free.
var taken = strings.Fields(`PATH IFS HOME PWD OLDPWD SHELL TERM LANG USER LOGNAME TMPDIR ENV PS1 PS2 PS3 PS4 MAIL MAILCHECK MAILPATH CDPATH FIGNORE FPATH
	OPTIND OPTARG OPTERR LINENO PPID UID EUID GID EGID RANDOM SECONDS HOSTNAME HOSTTYPE MACHTYPE OSTYPE COLUMNS LINES EDITOR VISUAL PAGER FCEDIT HISTFILE HISTSIZE
	SHELLOPTS BASHOPTS BASH GROUPS DIRSTACK FUNCNAME PIPESTATUS SHLVL REPLY COPROC TIMEFORMAT TMOUT POSIXLYCORRECT USERNAME ARGC
	BASHPID SRANDOM EPOCHSECONDS EPOCHREALTIME HISTCMD FUNCNEST CPUTYPE VENDOR ERRNO TTY TTYIDLE KEYTIMEOUT LISTMAX SAVEHIST HISTCHARS histchars
	argv status path cdpath fpath manpath mailpath options aliases functions commands dirstack history parameters prompt signals pipestatus module fignore psvar watch words`)

// shellVariable returns a parameter's name as a variable.
func shellVariable(name string) string {
	if slices.Contains(taken, name) {
		return name + "_"
	}
	return name
}

// Two private-use characters of Unicode mark a placeholder until the text around it is
// quoted.
const (
	begin = "\ue000"
	end   = "\ue001"
)

func marked(s string) any {
	parts, err := alarms.Parts(s)
	if err != nil {
		return s
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Placeholder {
			b.WriteString(begin + shellVariable(p.Text) + end)
		} else {
			b.WriteString(strings.NewReplacer(begin, "", end, "").Replace(p.Text))
		}
	}
	return b.String()
}

// argument returns a value as JSON on one line, quoted for the shell.
func argument(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("write JSON: %w", err)
	}
	return quoted(strings.TrimSuffix(b.String(), "\n")), nil
}

// quoted returns a text in single quotes, with its placeholders between them.
func quoted(s string) string {
	s = "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	return strings.NewReplacer(begin, `'"${`, end, `}"'`).Replace(s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
