package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// ministack starts the emulator with three changes. Its ECR serves paths below /v2/ of
// every host, the distribution's too; nothing here uses it. It rejects a stack with a
// bucket that exists before it looks whether the change set imports the bucket; creating
// a bucket that exists still fails. And it looks for the output of another stack in the
// region of the stack that refers to it only.
const ministack = `import sys
import ministack.app as app
from ministack.core.responses import get_region, set_request_region
from ministack.services.cloudformation import engine, provisioners
app._is_ecr_registry_path = lambda path: False
provisioners.s3_bucket_name_conflict = lambda name: None
resolve = engine._resolve_refs
def resolve_in_region(value, *args, **kwargs):
    output = value.get("Fn::GetStackOutput") if isinstance(value, dict) else None
    if not isinstance(output, dict) or not isinstance(output.get("Region"), str):
        return resolve(value, *args, **kwargs)
    before = get_region()
    set_request_region(output["Region"])
    try:
        return resolve(value, *args, **kwargs)
    finally:
        set_request_region(before)
for module in list(sys.modules.values()):
    if getattr(module, "_resolve_refs", None) is resolve:
        module._resolve_refs = resolve_in_region
app.main()`

// startMinistack starts the emulator on a free port and waits until it is healthy.
func (e *emulator) startMinistack(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, e.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	pool, err := e.makeCertificate()
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	e.network = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext:     e.dial,
	}
	e.closers = append(e.closers, e.network.CloseIdleConnections)
	exited, err := e.runMinistack()
	if err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	client := &http.Client{Transport: e.network, Timeout: 5 * time.Second}
	return waitUntil(ctx, time.Minute, "the emulator is healthy", func() (bool, error) {
		select {
		case <-exited:
			return false, errors.New("starting the emulator: it exited; see its output with -v")
		default:
		}
		resp, err := client.Get("https://localhost:" + e.port + "/_ministack/health")
		if err != nil {
			return false, nil
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

// runMinistack starts the process, in a process group with the functions that it
// runs. The channel is closed when it has exited.
func (e *emulator) runMinistack() (<-chan struct{}, error) {
	data := filepath.Join(e.dir, "ministack")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(e.python, "python"), "-c", ministack)
	cmd.Dir = data
	cmd.Env = append(e.environment(regions[0]),
		"BIND_HOST=127.0.0.1", "GATEWAY_PORT="+e.port, "AUTH=true",
		"USE_SSL=1", "MINISTACK_SSL_CERT="+e.certificateFile(), "MINISTACK_SSL_KEY="+e.keyFile(),
		"MINISTACK_ACCOUNT_ID="+account, "TMPDIR="+data, "S3_DATA_DIR="+filepath.Join(data, "s3"),
		// The functions are its child processes: they must trust the certificate, and the
		// canary reaches the entry points through the proxy.
		"SSL_CERT_FILE="+e.certificateFile(), "HTTPS_PROXY=http://"+e.proxy, "NO_PROXY=localhost,127.0.0.1")
	cmd.Stdout, cmd.Stderr = e.log, e.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	e.closers = append(e.closers, func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
	})
	return exited, nil
}
