// Command infra is the CDK app. It reads the stages from the context of
// cdk.json and synthesizes the stacks of the stage that the context key "stage"
// names, or of all:
//
//	npx aws-cdk synth -c stage=sandbox
//
// It builds the functions itself. Nobody but the CDK runs it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stacks"
	"archeio/infra/stage"
	"archeio/lambda/build"
)

func main() {
	err := run()
	jsii.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	app := awscdk.NewApp(nil)
	stages, err := stagesOf(func(key string) any { return app.Node().TryGetContext(jsii.String(key)) })
	if err != nil {
		return err
	}
	for _, s := range stages {
		code, err := codeOf(context.Background(), s)
		if err != nil {
			return err
		}
		if err := stacks.Add(app, s, code); err != nil {
			return err
		}
	}
	app.Synth(nil)
	return nil
}

// codeOf builds the functions of a stage.
func codeOf(ctx context.Context, s *stage.Stage) (code stacks.Code, err error) {
	if code.Redirector, err = build.Function(ctx, "redirector", build.GOARCH(s.Architecture)); err != nil {
		return code, err
	}
	if s.Filler != nil {
		if code.Mirror, err = build.Function(ctx, "mirror", build.GOARCH(s.Architecture)); err != nil {
			return code, err
		}
	}
	if s.Release != nil {
		code.Release, err = build.Function(ctx, "rollout", build.GOARCH(s.Architecture))
	}
	return code, err
}

// stagesOf answers the stages that the context asks for. A context key of the
// command line is text, also where it holds JSON.
func stagesOf(context func(string) any) ([]*stage.Stage, error) {
	data, ok := context("stages").(string)
	if !ok {
		text, err := json.Marshal(context("stages"))
		if err != nil {
			return nil, fmt.Errorf("cdk.json: reading the stages: %w", err)
		}
		data = string(text)
	}
	all, err := stage.Load([]byte(data))
	if err != nil {
		return nil, err
	}
	// sam local invoke needs a function for the machine that it runs on.
	if architecture, ok := context("architecture").(string); ok && build.GOARCH(architecture) != "" {
		for _, s := range all {
			s.Architecture = architecture
		}
	}
	if plain, _ := context("plainAlarms").(string); plain == "true" {
		for _, s := range all {
			s.PlainAlarms = true
		}
	}
	if shift, _ := context("release").(string); shift != "" {
		for _, s := range all {
			if err := s.Hasten(shift); err != nil {
				return nil, err
			}
		}
	}
	wanted, _ := context("stage").(string)
	if wanted == "" {
		return all, nil
	}
	var names []string
	for _, s := range all {
		if s.Name == wanted {
			return []*stage.Stage{s}, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("cdk.json: there is no stage %q; the stages are %s", wanted, strings.Join(names, ", "))
}
