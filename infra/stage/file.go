package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Read reads one stage of a cdk.json.
func Read(path, name string) (*Stage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Context struct{ Stages json.RawMessage }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	all, err := Load(file.Context.Stages)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("%s: there is no stage %q; the stages are %s", path, name, strings.Join(names, ", "))
}
