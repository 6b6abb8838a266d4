package runtimeapi

import (
	"context"
	"io"
)

// InvokeOnce starts a function, invokes it once and stops it. The function's
// output goes to output. The error is a [*FunctionError] if the function
// reported one, and an [*ExitError] if its process ended.
func InvokeOnce(ctx context.Context, bootstrap string, env map[string]string, payload []byte, output io.Writer) ([]byte, error) {
	api, err := Listen()
	if err != nil {
		return nil, err
	}
	defer api.Close()
	p, err := api.Start(bootstrap, env, output)
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-p.Exited()
		cancel(p.Err())
	}()
	result, err := api.Invoke(ctx, payload)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	return result, err
}
