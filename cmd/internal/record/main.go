// Command record runs a command and draws its output as a terminal recording: an SVG that
// plays by itself, in light and dark themes. `make recording` draws the README's
// recording of the demo with it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/throughline/throughline/internal/pseudoterminal"
)

func main() {
	out := flag.String("o", "", "the SVG to write")
	typed := flag.String("typed", "", "the command as the recording shows it; empty means the command itself")
	flag.Parse()
	if err := run(context.Background(), *out, *typed, flag.Args()); err != nil {
		log.Fatalf("record: %v", err)
	}
}

func run(ctx context.Context, path, typed string, command []string) error {
	if path == "" || len(command) == 0 {
		return errors.New("usage: record -o FILE [-typed COMMAND] -- COMMAND [ARGUMENT…]")
	}
	lines, err := record(ctx, command)
	if err != nil {
		return err
	}
	if typed == "" {
		typed = fmt.Sprint(command)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := draw(file, typed, lines); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// line is a line of output, and when it was printed.
type line struct {
	at   time.Duration
	text string
}

// record runs the command on a terminal with the width of the drawing, and returns its
// output without colours and progress lines.
func record(ctx context.Context, command []string) ([]line, error) {
	seen, given, err := pseudoterminal.Open(columns, rows)
	if err != nil {
		return nil, err
	}
	defer seen.Close()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TERM=dumb") // no colours and no progress line
	cmd.Stdin, cmd.Stdout, cmd.Stderr = given, given, given
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, given.Close())
	}
	_ = given.Close() // the command has its own descriptor
	var lines []line
	for scanner := bufio.NewScanner(seen); scanner.Scan(); { // a read returns EIO when the command ends
		lines = append(lines, line{time.Since(start), strings.TrimRight(scanner.Text(), "\r")})
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w", command[0], err)
	}
	return lines, nil
}
