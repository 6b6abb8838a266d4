package sample

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"archeio/lambda/spelling"
)

// Find returns the file of an event: file itself, or file with .json added if
// only that exists. The error for a file that does not exist suggests the closest
// event in the folder events, which has one folder per entry point.
func Find(file, events string) (string, error) {
	for _, f := range []string{file, file + ending} {
		info, err := os.Stat(f)
		switch {
		case err == nil && info.IsDir():
			continue
		case err == nil:
			return f, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("reading the event: %w", err)
		}
	}
	what := "no such file"
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		what = "is a folder"
	}
	names, err := list(events)
	if err != nil {
		return "", err
	}
	if name := closest(file, names); name != "" {
		return "", fmt.Errorf("reading the event: %q: %s (did you mean %q?)", file, what, shortest(filepath.Join(events, name+ending)))
	}
	return "", fmt.Errorf("reading the event: %q: %s: want an event such as %q", file, what, shortest(filepath.Join(events, "alb", "ping.json")))
}

// list returns the names of all events in the folder events, as "alb/ping".
func list(events string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(events, "*", "*"+ending))
	if err != nil {
		return nil, fmt.Errorf("listing the events: %w", err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, envEnding) || strings.HasSuffix(file, wantEnding) {
			continue
		}
		dir, base := filepath.Split(strings.TrimSuffix(file, ending))
		names = append(names, path.Join(filepath.Base(dir), base))
	}
	return names, nil
}

// closest returns the name that is spelled most like file, empty if none is. If
// no folder and name together is close enough, the name alone is compared.
func closest(file string, names []string) string {
	file = filepath.ToSlash(file)
	for _, e := range []string{envEnding, wantEnding, ending} {
		file = strings.TrimSuffix(file, e)
	}
	if _, below, ok := cutLast(file, "events/"); ok {
		file = below
	}
	if name := spelling.Suggest(file, slices.Values(names)); name != "" {
		return name
	}
	byBase := map[string]string{} // the first name with a base
	for _, name := range slices.Backward(names) {
		byBase[path.Base(name)] = name
	}
	bases := func(yield func(string) bool) {
		for base := range byBase {
			if !yield(base) {
				return
			}
		}
	}
	return byBase[spelling.Suggest(path.Base(file), bases)]
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// shortest returns a file relative to the working directory if it is below it.
func shortest(file string) string {
	dir, err := os.Getwd()
	if err != nil {
		return file
	}
	relative, err := filepath.Rel(dir, file)
	if err != nil || strings.HasPrefix(relative, "..") {
		return file
	}
	return relative
}
