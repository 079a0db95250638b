package alarmparse

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/throughline/throughline/alarms"
)

// splitter splits a script into commands and words as a shell does, as far as calls need
// it: quotes, backslashes, variables, comments.
type splitter struct {
	text     string
	at, line int
	word     strings.Builder
	inWord   bool
	current  command
	commands []command
	redirect bool     // the next word is the file of a redirection
	here     []string // the ends of the here-documents that begin after this line
}

func split(text string) ([]command, error) {
	s := splitter{text: text, line: 1}
	for s.at < len(s.text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.endCommand()
	return s.commands, nil
}

func (s *splitter) endWord() {
	if !s.inWord {
		return
	}
	if !s.redirect {
		s.current.words = append(s.current.words, s.word.String())
	}
	s.word.Reset()
	s.inWord, s.redirect = false, false
}

func (s *splitter) endCommand() {
	s.endWord()
	s.redirect = false
	if len(s.current.words) > 0 {
		s.commands = append(s.commands, s.current)
	}
	s.current = command{line: s.line}
}

func (s *splitter) add(text string) {
	if !s.inWord && len(s.current.words) == 0 {
		s.current.line = s.line
	}
	s.word.WriteString(text)
	s.inWord = true
}

func (s *splitter) step() error {
	c := s.text[s.at]
	s.at++
	switch c {
	case '\n':
		s.endCommand()
		s.line++
		s.skipHere()
	case '<':
		if !s.beginHere() {
			s.redirected("<>&")
		}
	case '>':
		s.redirected(">&|")
	case ';', '&', '|', '(', ')':
		s.endCommand()
	case ' ', '\t', '\r':
		s.endWord()
	case '#':
		if s.inWord {
			s.add("#")
			break
		}
		for s.at < len(s.text) && s.text[s.at] != '\n' {
			s.at++
		}
	case '\\':
		s.escaped()
	case '\'':
		end := strings.IndexByte(s.text[s.at:], '\'')
		if end < 0 {
			return fmt.Errorf("line %d: a quote is not closed", s.line)
		}
		s.add(alarms.Literal(s.text[s.at : s.at+end]))
		s.line += strings.Count(s.text[s.at:s.at+end], "\n")
		s.at += end + 1
	case '"':
		return s.doubleQuoted()
	case '$':
		s.add(s.expansion())
	default:
		s.add(string(c))
	}
	return nil
}

func (s *splitter) escaped() {
	if s.at == len(s.text) {
		return
	}
	if s.text[s.at] == '\n' {
		s.line++
	} else {
		s.add(s.text[s.at : s.at+1])
	}
	s.at++
}

func (s *splitter) doubleQuoted() error {
	first := s.line
	s.add("")
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return nil
		case c == '\\' && s.at < len(s.text) && strings.IndexByte("$`\"\\\n", s.text[s.at]) >= 0:
			s.escaped()
		case c == '$':
			s.add(s.expansion())
		default:
			if c == '\n' {
				s.line++
			}
			s.word.WriteByte(c)
		}
	}
	return fmt.Errorf("line %d: a quote is not closed", first)
}

// outputOf is the placeholder of the output of a command.
const outputOf = "${Output}"

// expansion reads what follows a $. A variable becomes a placeholder. A command's output
// becomes a placeholder that is not declared.
func (s *splitter) expansion() string {
	rest := s.text[s.at:]
	if strings.HasPrefix(rest, "(") {
		depth := 0
		for i, c := range rest {
			switch c {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				s.at += i + 1
				return outputOf
			}
		}
		s.at = len(s.text)
		return outputOf
	}
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		end := strings.IndexByte(inner, '}')
		if end < 0 {
			return "$"
		}
		s.at += end + 2
		name, _, _ := strings.Cut(inner[:end], ":")
		return "${" + identifier(name) + "}"
	}
	end := 0
	for end < len(rest) && (rest[end] == '_' || identifier(rest[end:end+1]) != "") {
		end++
	}
	if end == 0 {
		return "$"
	}
	s.at += end
	return "${" + identifier(rest[:end]) + "}"
}

// redirected reads a redirection's operator, to whose first character the others can be
// added, and drops the number of a file descriptor before it.
func (s *splitter) redirected(more string) {
	if strings.Trim(s.word.String(), "0123456789") == "" {
		s.word.Reset()
		s.inWord = false
	}
	s.endWord()
	for s.at < len(s.text) && strings.IndexByte(more, s.text[s.at]) >= 0 {
		s.at++
	}
	s.redirect = true
}

var hereDocument = regexp.MustCompile(`^<(-?)[ \t]*(?:'(\w+)'|"(\w+)"|\\?(\w+))`)

// beginHere reads what follows the first < of a here-document. It returns false for
// anything else, also if no line ends such a document.
func (s *splitter) beginHere() bool {
	rest := s.text[s.at:]
	m := hereDocument.FindStringSubmatch(rest)
	if m == nil {
		return false
	}
	end := m[2] + m[3] + m[4]
	for line := range strings.Lines(rest) {
		if strings.TrimSpace(line) == end {
			s.at += len(m[0])
			s.here = append(s.here, end)
			s.endWord()
			return true
		}
	}
	return false
}

func (s *splitter) skipHere() {
	for _, end := range s.here {
		for line := range strings.Lines(s.text[s.at:]) {
			s.at += len(line)
			s.line++
			if strings.TrimSpace(line) == end {
				break
			}
		}
	}
	s.here = nil
}

// variables are the values that a script assigns. A variable that is assigned in a branch,
// a loop or a function, or to the output of a command, has no known value.
type variables struct {
	values map[string]string // by the name of the placeholder
	depth  int
}

var assignment = regexp.MustCompile(`^([A-Za-z_]\w*)\+?=`)

// read reads the assignments of a command.
func (v *variables) read(words []string) {
	switch words[0] {
	case "if", "case", "for", "while", "until", "select", "{":
		v.depth++
	case "fi", "esac", "done", "}":
		v.depth = max(0, v.depth-1)
	}
	given := words
	if slices.Contains([]string{"export", "readonly", "local", "declare", "typeset"}, words[0]) {
		given = slices.DeleteFunc(slices.Clone(words[1:]), func(w string) bool { return strings.HasPrefix(w, "-") })
	}
	plain := v.depth == 0 && !slices.ContainsFunc(given, func(w string) bool { return !assignment.MatchString(w) })
	for _, w := range given {
		m := assignment.FindStringSubmatch(w)
		if m == nil {
			if len(words) > 1 && (words[0] == "for" || words[0] == "read" || words[0] == "select") {
				delete(v.values, identifier(w))
			}
			continue
		}
		name := identifier(m[1])
		const longest = 4096 // values can contain others, and double with each line
		if value := v.filled(w[len(m[0]):]); plain && !strings.HasSuffix(m[0], "+=") && len(value) <= longest && !strings.Contains(value, outputOf) {
			v.values[name] = value
		} else {
			delete(v.values, name)
		}
	}
}

func (v *variables) fill(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = v.filled(w)
	}
	return out
}

// filled replaces the placeholders of variables with a known value.
func (v *variables) filled(text string) string {
	parts, err := alarms.Parts(text)
	if err != nil {
		return text
	}
	var b strings.Builder
	for _, p := range parts {
		value, known := v.values[p.Text]
		switch {
		case !p.Placeholder:
			b.WriteString(alarms.Literal(p.Text))
		case known:
			b.WriteString(value)
		default:
			b.WriteString("${" + p.Text + "}")
		}
	}
	return b.String()
}
