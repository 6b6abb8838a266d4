package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/system"
)

// emulator is an AWS on this machine, with a registry beside it.
type emulator struct {
	python   string // folder of programs
	root     string // of the repository
	dir      string // for everything that it writes
	port     string
	upstream string // base URL of the registry
	domains  string // address of what stands for the stage's own names
	proxy    string // address of one through which others reach the same hosts
	// certificates are for servers.
	certificates []tls.Certificate
	cdkCommand   string
	// network sends every host of AWS to the emulator.
	network *http.Transport
	log     io.Writer
	closers []func()
}

// start needs a Python environment with the emulator in it.
func start(ctx context.Context, python, cdk string, verbose bool) (_ *emulator, err error) {
	e := &emulator{log: io.Discard, cdkCommand: cdk}
	if verbose {
		e.log = os.Stderr
	}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	if e.root, err = build.Root(); err != nil {
		return nil, err
	}
	if e.python, err = filepath.Abs(python); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(e.python, "ministack")); err != nil {
		return nil, fmt.Errorf("looking for the emulator in %q: it is not there; make deploy-emulated installs it", python)
	}
	if _, err := exec.LookPath("npx"); err != nil {
		return nil, errors.New(`looking for the CDK: there is no "npx" on this machine; install Node.js 22 or newer`)
	}
	if e.dir, err = os.MkdirTemp("", "archeio-emulated-"); err != nil {
		return nil, err
	}
	e.closers = append(e.closers, func() { os.RemoveAll(e.dir) })
	if err := os.WriteFile(e.app(), []byte(synthesize), 0o700); err != nil {
		return nil, err
	}
	base, stop, err := system.StartRegistry(ctx, e.log, filepath.Join(e.dir, "registry"))
	if err != nil {
		return nil, err
	}
	// A name, not an address: go-containerregistry follows no redirect from a
	// name to a private address.
	e.upstream, e.closers = strings.Replace(base, "127.0.0.1", "localhost", 1), append(e.closers, stop)
	if err := e.startMinistack(ctx); err != nil {
		return nil, err
	}
	return e, e.serveProxy()
}

func (e *emulator) stop() {
	for i := len(e.closers) - 1; i >= 0; i-- {
		e.closers[i]()
	}
	e.closers = nil
}

// certificateNames are the hosts that the emulator answers for.
func certificateNames() []string {
	names := []string{"localhost", "*.localhost", "*.cloudfront.net", "queue.amazonaws.com", domain, "*." + domain}
	for _, region := range regions {
		names = append(names, "*."+region+".amazonaws.com", "*.lambda-url."+region+".on.aws", "*."+region+".elb.amazonaws.com",
			"*.s3."+region+".amazonaws.com", "*.s3.dualstack."+region+".amazonaws.com")
	}
	return names
}

// certificate makes one that is good for a day and signs itself.
func (e *emulator) certificate() (pool *x509.CertPool, certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", "", err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "an AWS on this machine"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              certificateNames(),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, "", "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", "", err
	}
	certFile, keyFile = filepath.Join(e.dir, "certificate.pem"), filepath.Join(e.dir, "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certFile, text, 0o600); err != nil {
		return nil, "", "", err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return nil, "", "", err
	}
	e.certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool, certFile, keyFile, nil
}

func (e *emulator) startMinistack(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, e.port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	pool, certFile, keyFile, err := e.certificate()
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	e.network = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext:     e.dial,
	}
	e.closers = append(e.closers, e.network.CloseIdleConnections)
	data := filepath.Join(e.dir, "ministack")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	// Its ECR takes what begins with /v2/ from every host, the distribution's
	// too. Nothing here uses it. And a stack that is to have a bucket that is there
	// is refused before it is made, although its change set imports the bucket;
	// without that look ahead, making a bucket that is there still fails.
	cmd := exec.Command(filepath.Join(e.python, "python"), "-c", `import ministack.app as app
from ministack.services.cloudformation import provisioners
app._is_ecr_registry_path = lambda path: False
provisioners.s3_bucket_name_conflict = lambda name: None
app.main()`)
	cmd.Dir = data
	cmd.Env = append(e.environment(regions[0]),
		"BIND_HOST=127.0.0.1", "GATEWAY_PORT="+e.port, "AUTH=true",
		"USE_SSL=1", "MINISTACK_SSL_CERT="+certFile, "MINISTACK_SSL_KEY="+keyFile,
		"MINISTACK_ACCOUNT_ID="+account, "TMPDIR="+data, "S3_DATA_DIR="+filepath.Join(data, "s3"),
		// The function runs as a child of the emulator and trusts what it does.
		"SSL_CERT_FILE="+certFile)
	cmd.Stdout, cmd.Stderr = e.log, e.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	e.closers = append(e.closers, func() {
		// The group has the functions in it too.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
	})
	client := &http.Client{Transport: e.network, Timeout: 5 * time.Second}
	return wait(ctx, time.Minute, "the emulator answers", func() (bool, error) {
		select {
		case <-exited:
			return false, errors.New("starting the emulator: it ended at once; -v shows what it wrote")
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

// wait asks again and again whether something has become true.
func wait(ctx context.Context, patience time.Duration, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waiting until %s: it did not come true in %s", what, patience))
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if ok, err := is(); ok || err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// environment points AWS's own programs at the emulator.
func (e *emulator) environment(region string) []string {
	env := []string{}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "CDK_") {
			env = append(env, v)
		}
	}
	certFile := filepath.Join(e.dir, "certificate.pem")
	return append(env,
		"AWS_ENDPOINT_URL=https://localhost:"+e.port, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=",
		"AWS_CA_BUNDLE="+certFile, "NODE_EXTRA_CA_CERTS="+certFile)
}

// command runs a program in a group of its own, so that Ctrl-C reaches only
// the one who stops all, and answers what it wrote.
func (e *emulator) command(ctx context.Context, region, program string, args ...string) (stdout []byte, all string, err error) {
	return e.commandIn(ctx, e.root, e.environment(region), program, args...)
}

// commandIn runs it in another folder, or with another environment.
func (e *emulator) commandIn(ctx context.Context, dir string, env []string, program string, args ...string) (stdout []byte, all string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var out, both bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &both, e.log), io.MultiWriter(&both, e.log)
	err = cmd.Run()
	return out.Bytes(), both.String(), err
}

// aws calls AWS's command line and reads the JSON that it prints into into,
// which may be nil.
func (e *emulator) aws(ctx context.Context, region string, into any, args ...string) error {
	// Its SQS looks at no environment for its endpoint.
	out, all, err := e.command(ctx, region, filepath.Join(e.python, "aws"), append(args, "--output", "json", "--endpoint-url", "https://localhost:"+e.port)...)
	if err != nil {
		return fmt.Errorf("aws %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(all))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("aws %s: reading its answer: %w", strings.Join(args[:2], " "), err)
	}
	return nil
}
