// Package sample reads the sample events of the events folder: an event, the
// environment it is to be answered in, and the answer it must get. It also
// plays the mirrors of that environment, so that a sample is answered in the
// same way with and without a network.
package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"archeio/lambda/config"
)

// Event is a sample event.
type Event struct {
	// Name is the file's name without its ending.
	Name    string
	Payload []byte
	// Env is the environment of the function.
	Env map[string]string

	dir string
}

// Read reads an event's file, and the environment from the files beside it:
// env.json of the folder, in the form that sam local invoke --env-vars takes,
// and NAME.env.json laid over it. Where there is no env.json beside the event,
// that of fallback counts.
func Read(file, fallback string) (*Event, error) {
	payload, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	e := &Event{
		Name:    strings.TrimSuffix(filepath.Base(file), ".json"),
		Payload: payload,
		Env:     map[string]string{"AWS_REGION": "us-east-1"}, // as SAM has it
		dir:     filepath.Dir(file),
	}
	if _, err := os.Stat(filepath.Join(e.dir, "env.json")); err != nil {
		e.dir = fallback
	}
	var parameters struct{ Parameters map[string]string }
	if err := readJSON(filepath.Join(e.dir, "env.json"), &parameters); err != nil {
		return nil, err
	}
	maps.Copy(e.Env, parameters.Parameters)
	own := map[string]string{}
	switch err := readJSON(strings.TrimSuffix(file, ".json")+".env.json", &own); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	}
	maps.Copy(e.Env, own)
	return e, nil
}

// Override lays the shell's variables over the event's: each configuration
// variable that is set there wins, also where it is set to nothing.
func (e *Event) Override(lookup func(string) (string, bool)) {
	names := []string{"AWS_REGION"}
	for _, v := range config.Variables {
		names = append(names, v.Name)
	}
	for _, name := range names {
		if value, ok := lookup(name); ok {
			e.Env[name] = value
		}
	}
}

// MirrorAddress is the address of this machine at which the environment's
// mirrors or upstream are, empty if they are elsewhere. Only the address that
// env.json itself names is played: what somebody sets by hand is theirs.
func (e *Event) MirrorAddress() string {
	var parameters struct{ Parameters map[string]string }
	if err := readJSON(filepath.Join(e.dir, "env.json"), &parameters); err != nil {
		return ""
	}
	u, err := url.Parse(strings.ReplaceAll(parameters.Parameters["MIRROR_URL_TEMPLATE"], "{region}", "x"))
	if err != nil || u.Scheme != "http" {
		return ""
	}
	for _, value := range e.Env {
		if strings.Contains(value, "//"+u.Host) {
			return u.Host
		}
	}
	return ""
}

func readJSON(file string, into any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the environment: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading the environment: %q: %w", file, err)
	}
	return nil
}
