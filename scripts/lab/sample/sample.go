// Package sample reads the sample events of the events folder: an event, the
// environment it is to be answered in, and the answer it must get. It also
// plays the mirrors of that environment, so that a sample is answered in the
// same way with and without a network.
package sample

import (
	"bytes"
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
// and NAME.env.json in the same form, laid over it. Where there is no env.json beside the event,
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
	common, err := readEnv(filepath.Join(e.dir, "env.json"))
	if err != nil {
		return nil, err
	}
	maps.Copy(e.Env, common)
	own, err := readEnv(strings.TrimSuffix(file, ".json") + ".env.json")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	maps.Copy(e.Env, own)
	return e, nil
}

// Override lays the shell's variables over the event's: each configuration
// variable that is set there wins, also where it is set to nothing.
func (e *Event) Override(lookup func(string) (string, bool)) {
	for _, v := range config.Variables {
		if value, ok := lookup(v.Name); ok {
			e.Env[v.Name] = value
		}
	}
}

// MirrorAddress is the address of this machine at which the environment's
// mirrors or upstream are, empty if they are elsewhere. Only the address that
// env.json itself names is played: what somebody sets by hand is theirs.
func (e *Event) MirrorAddress() string {
	common, err := readEnv(filepath.Join(e.dir, "env.json"))
	if err != nil {
		return ""
	}
	u, err := url.Parse(strings.ReplaceAll(common["MIRROR_URL_TEMPLATE"], "{region}", "x"))
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

func readEnv(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the environment: %w", err)
	}
	var env struct{ Parameters map[string]string }
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&env); err != nil {
		return nil, fmt.Errorf(`reading the environment: %q takes {"Parameters": {"NAME": "value"}}: %w`, file, err)
	}
	return env.Parameters, nil
}
