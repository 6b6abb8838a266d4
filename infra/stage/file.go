package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Read returns one stage of a cdk.json. It is an error if any stage of the file
// is invalid.
func Read(path, name string) (*Stage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file, context map[string]json.RawMessage
	if err := decodeObject(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := decodeObject(file["context"], &context); err != nil {
		return nil, fmt.Errorf("%s: context: %w", path, err)
	}
	stages, err := Load(context["stages"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s, err := Find(stages, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// decodeObject decodes a JSON object. Its error has the line and the column of
// invalid JSON, counted in bytes from 1.
func decodeObject(text []byte, into *map[string]json.RawMessage) error {
	err := json.Unmarshal(text, into)
	var syntax *json.SyntaxError
	switch {
	case len(text) == 0:
		return errors.New("missing: want an object")
	case errors.As(err, &syntax):
		before := text[:max(syntax.Offset-1, 0)] // the offset is after the invalid byte
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	case err != nil || *into == nil:
		return errors.New("not an object: want an object")
	}
	return nil
}
