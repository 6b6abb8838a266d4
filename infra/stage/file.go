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
	context, err := contextOf(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
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

func contextOf(text []byte) (map[string]json.RawMessage, error) {
	var file, context map[string]json.RawMessage
	if err := decodeObject(text, &file); err != nil {
		return nil, err
	}
	if err := decodeObject(file["context"], &context); err != nil {
		return nil, fmt.Errorf("context: %w", err)
	}
	return context, nil
}

// DefaultQualifier is that of a bootstrap stack of the CDK.
// https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html
const DefaultQualifier = "hnb659fds"

// Qualifier returns the qualifier of the CDK's bootstrap stacks that a cdk.json sets, or
// the default.
func Qualifier(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	context, err := contextOf(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
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
