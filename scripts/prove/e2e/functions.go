package main

import (
	"context"
	"maps"

	"archeio/scripts/lab/runtimeapi"
)

// functions are processes of the function under a Runtime API of their own.
type functions struct {
	api       *runtimeapi.API
	processes []*runtimeapi.Process
}

// startFunctions starts n processes with env laid over the environment of the
// local system's function, and waits until one asks for an event.
func (s *testSystem) startFunctions(ctx context.Context, n int, env map[string]string) (_ *functions, err error) {
	f := &functions{}
	if f.api, err = runtimeapi.Listen(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	all := maps.Clone(s.local.Env)
	maps.Copy(all, env)
	for range n {
		p, err := f.api.Start(s.function, all, s.log)
		if err != nil {
			return nil, err
		}
		f.processes = append(f.processes, p)
	}
	select {
	case <-f.api.Ready():
		return f, nil
	case <-f.processes[0].Exited():
		return nil, f.processes[0].Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (f *functions) stop() {
	for _, p := range f.processes {
		p.Stop()
	}
	f.api.Close()
}
