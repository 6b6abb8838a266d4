package main

import (
	"context"
	"fmt"
	"os"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// fill invokes the function that fills the mirrors, in a system of its own.
func (i *invocation) fill(ctx context.Context) (result []byte, err error) {
	payload, err := os.ReadFile(i.file)
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	if i.bootstrap == "" {
		i.progress("building the function")
		if i.bootstrap, err = build.Bootstrap(ctx, "mirror"); err != nil {
			return nil, err
		}
	}
	s, err := system.Start(ctx, system.Options{Progress: i.progress})
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	f, err := s.PrepareFiller(ctx)
	if err != nil {
		return nil, err
	}
	i.progress("pushing an image to the registry")
	if err := s.PrepareSample(ctx); err != nil {
		return nil, err
	}
	for _, v := range config.FillVariables {
		if value, ok := os.LookupEnv(v.Name); ok {
			f.Env[v.Name] = value
		}
	}
	i.done()
	return runtimeapi.InvokeOnce(ctx, i.bootstrap, f.Env, payload, i.output)
}
