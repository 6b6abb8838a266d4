// Command infra is the CDK app. It reads the stages from the context of cdk.json
// and synthesizes the stacks of all stages, or of the one in the context key
// "stage":
//
//	npx aws-cdk synth -c stage=sandbox
//
// Other context keys:
//
//	architecture=x86_64  builds the functions of all stages for this architecture
//	plainAlarms=true     omits alarms on metric math, which the AWS emulator does not have
//	release=none         overrides the traffic shift of the stages, see stage.Release
//
// It builds the functions itself. The CDK CLI runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
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
	if err := run(); err != nil {
		// The error is the last line: closing jsii may print more.
		fmt.Fprintf(os.Stderr, "\n%v\n", err)
		os.Stderr.Close()
		jsii.Close()
		os.Exit(1)
	}
	jsii.Close()
}

func run() error {
	app := awscdk.NewApp(nil)
	stages, err := load(func(key string) any { return app.Node().TryGetContext(jsii.String(key)) })
	if err != nil {
		return err
	}
	built := map[string]string{}
	for _, s := range stages {
		code, err := buildFunctions(context.Background(), s, built)
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

// buildFunctions builds the functions of a stage. built holds the folders of what
// is built already.
func buildFunctions(ctx context.Context, s *stage.Stage, built map[string]string) (code stacks.Code, err error) {
	folder := func(name string) string {
		key := name + " " + s.Architecture
		if built[key] == "" && err == nil {
			built[key], err = build.Function(ctx, name, build.GOARCH(s.Architecture))
		}
		return built[key]
	}
	code.Redirector = folder("redirector")
	if s.Filler != nil {
		code.Mirror = folder("mirror")
	}
	if s.Refreshes() {
		code.Refresh = folder("refresh")
	}
	if s.Release != nil {
		code.Rollout = folder("rollout")
	}
	if s.Canary != nil {
		code.Canary = folder("canary")
	}
	return code, err
}

// load returns the stages to synthesize. context returns the value of a context
// key, nil if it is not set. A value from the command line is a string, even if it
// holds JSON.
func load(context func(key string) any) ([]*stage.Stage, error) {
	if context("stages") == nil {
		return nil, errors.New("no stages in the CDK context: run the app with the CDK CLI in the folder of cdk.json, for example npx aws-cdk synth")
	}
	text, ok := context("stages").(string)
	if !ok {
		data, err := json.Marshal(context("stages"))
		if err != nil {
			return nil, fmt.Errorf("context key stages: %w", err)
		}
		text = string(data)
	}
	all, err := stage.Load([]byte(text))
	if err != nil {
		return nil, err
	}
	if err := override(all, context); err != nil {
		return nil, err
	}
	name, _ := context("stage").(string)
	if name == "" {
		return all, nil
	}
	s, err := stage.Find(all, name)
	return []*stage.Stage{s}, err
}

// override applies the context keys that change all stages.
func override(all []*stage.Stage, context func(key string) any) error {
	architecture, _ := context("architecture").(string)
	if architecture != "" && build.GOARCH(architecture) == "" {
		return fmt.Errorf("context key architecture=%q: want %s", architecture, strings.Join(build.Architectures(), " or "))
	}
	release, _ := context("release").(string)
	for _, s := range all {
		if architecture != "" {
			s.Architecture = architecture
		}
		s.PlainAlarms = context("plainAlarms") == "true"
		if release != "" {
			if err := s.OverrideRelease(release); err != nil {
				return fmt.Errorf("context key %w", err)
			}
		}
	}
	return nil
}
