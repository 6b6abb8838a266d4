package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// InvalidError is what is wrong in a cdk.json that was read. Its text has a line for
// each problem, which begins with the path.
type InvalidError struct {
	Path     string
	Problems []error
}

// Error implements error.
func (e *InvalidError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, e.Path+": "+p.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e *InvalidError) Unwrap() []error { return e.Problems }

// Read returns one stage of a cdk.json. What is wrong with its other stages does not
// matter. The error is an [InvalidError] if the stage or the file is invalid, and
// another one if the file cannot be read or has no such stage.
func Read(path, name string) (*Stage, error) {
	all, names, err := stagesOf(path)
	if err != nil {
		return nil, err
	}
	text, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, unknown(name, names))
	}
	s, problems := read(name, names, text)
	if len(problems) > 0 {
		return nil, &InvalidError{path, problems}
	}
	return s, nil
}

// Names returns the names of the stages of a cdk.json, sorted.
func Names(path string) ([]string, error) {
	_, names, err := stagesOf(path)
	return names, err
}

func stagesOf(path string) (all map[string]json.RawMessage, names []string, err error) {
	context, err := contextOf(path)
	if err != nil {
		return nil, nil, err
	}
	if all, names, err = byName(context["stages"]); err != nil {
		return nil, nil, &InvalidError{path, []error{err}}
	}
	return all, names, nil
}

// contextOf returns the context of a cdk.json.
func contextOf(path string) (context map[string]json.RawMessage, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file map[string]json.RawMessage
	if err := decodeObject(text, &file); err != nil {
		return nil, &InvalidError{path, []error{err}}
	}
	if err := decodeObject(file["context"], &context); err != nil {
		return nil, &InvalidError{path, []error{fmt.Errorf("context: %w", err)}}
	}
	return context, nil
}

// DefaultQualifier is that of a bootstrap stack of the CDK.
// https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html
const DefaultQualifier = "hnb659fds"

// Qualifier returns the qualifier of the CDK's bootstrap stacks that a cdk.json sets, or
// the default.
func Qualifier(path string) (string, error) {
	context, err := contextOf(path)
	if err != nil {
		return "", err
	}
	qualifier := DefaultQualifier
	if raw := context["@aws-cdk/core:bootstrapQualifier"]; raw != nil {
		if err := json.Unmarshal(raw, &qualifier); err != nil || qualifier == "" {
			return "", fmt.Errorf("%s: context: @aws-cdk/core:bootstrapQualifier: want a text", path)
		}
	}
	return qualifier, nil
}

// decodeObject decodes a JSON object. Its error has the line and the column of
// invalid JSON, counted in bytes from 1.
func decodeObject(text []byte, into *map[string]json.RawMessage) error {
	err := json.Unmarshal(text, into)
	var syntax *json.SyntaxError
	switch {
	case len(text) == 0:
		return errors.New("missing: want a JSON object")
	case errors.As(err, &syntax):
		before := text[:max(syntax.Offset-1, 0)] // the offset is after the invalid byte
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	case err != nil || *into == nil:
		return errors.New("want a JSON object")
	}
	return nil
}
