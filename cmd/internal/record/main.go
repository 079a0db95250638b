// Command record runs a command and draws what it printed as a terminal
// recording: an SVG that plays by itself, in light and in dark. `make recording`
// draws the README's of the demo with it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"time"
)

func main() {
	out := flag.String("o", "", "the SVG to write")
	typed := flag.String("typed", "", "the command as a reader would type it; empty means as it is run")
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

// record runs the command and keeps its output, both streams in the order in
// which they came.
func record(ctx context.Context, command []string) ([]line, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	start := time.Now()
	var lines []line
	var reading sync.WaitGroup
	reading.Add(1)
	go func() {
		defer reading.Done()
		scanner := bufio.NewScanner(read)
		for scanner.Scan() {
			lines = append(lines, line{time.Since(start), shorten(scanner.Text())})
		}
	}()
	err := cmd.Run()
	_ = write.Close() // the reader sees the end
	reading.Wait()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command[0], err)
	}
	return lines, nil
}

var uuid = regexp.MustCompile(`([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// shorten abbreviates UUIDs, which would fill the screen.
func shorten(s string) string { return uuid.ReplaceAllString(s, "$1…") }
