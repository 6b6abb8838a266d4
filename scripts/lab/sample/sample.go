// Package sample reads the sample events of the folder events: an event, the
// environment of the function, and the result that is wanted. It also simulates
// the mirrors of that environment, so that the result is the same with and
// without a network.
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

// The ends of the names of files next to an event.
const (
	ending     = ".json"
	envEnding  = ".env.json"
	wantEnding = ".want.json"
)

// Event is a sample event.
type Event struct {
	// Name is the name of the event's file without its ending.
	Name    string
	Payload []byte
	// Env is the environment of the function.
	Env map[string]string

	dir string // of env.json and mirrors.txt
}

// Read reads an event and the environment next to it: env.json of the folder,
// overlaid with NAME.env.json, both in the format of sam local invoke --env-vars.
// If the folder has no env.json, that of the folder fallback is read.
func Read(file, fallback string) (*Event, error) {
	payload, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	base := strings.TrimSuffix(file, ending)
	e := &Event{
		Name:    filepath.Base(base),
		Payload: payload,
		Env:     map[string]string{"AWS_REGION": "us-east-1"}, // the default of sam local
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
	own, err := readEnv(base + envEnding)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	maps.Copy(e.Env, own)
	return e, nil
}

// Override replaces every configuration variable that lookup finds, also by an
// empty value.
func (e *Event) Override(lookup func(string) (string, bool)) {
	for _, v := range config.Variables {
		if value, ok := lookup(v.Name); ok {
			e.Env[v.Name] = value
		}
	}
}

// MirrorAddress returns the loopback address, HOST:PORT, at which the
// environment expects its mirrors or its upstream. It is empty if they are not
// those of env.json: an overridden URL is not simulated.
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
		return nil, fmt.Errorf(`reading the environment: %q: want {"Parameters": {"NAME": "value"}}: %w`, file, err)
	}
	return env.Parameters, nil
}
