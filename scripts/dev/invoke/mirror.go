package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// mirror sends an event to the functions that fill the mirrors.
func mirror(ctx context.Context, file, bootstrap string) ([]byte, error) {
	payload, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	if bootstrap == "" {
		if bootstrap, err = build.Bootstrap(ctx, "mirror"); err != nil {
			return nil, err
		}
	}
	s, err := system.Start(ctx, system.Options{Log: io.Discard})
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	f, err := s.PrepareFiller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.PrepareSample(ctx); err != nil {
		return nil, err
	}
	for _, v := range config.FillVariables {
		if value, ok := os.LookupEnv(v.Name); ok {
			f.Env[v.Name] = value
		}
	}
	return runtimeapi.InvokeOnce(ctx, bootstrap, f.Env, payload, os.Stderr)
}
