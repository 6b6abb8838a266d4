package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"archeio/lambda/build"
)

// docker is a Docker daemon.
type docker struct {
	host string // as in DOCKER_HOST
	stop func() // stops it if it was started here
}

// startDocker returns the running daemon, or starts one with its files in dir.
func (o options) startDocker(ctx context.Context, dir string) (*docker, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errors.New(`running SAM: there is no "docker" in PATH: install Docker` + instead)
	}
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	d := &docker{host: host, stop: func() {}}
	if d.command(ctx, "version").Run() == nil {
		return d, nil
	}
	path, err := exec.LookPath("dockerd")
	if err != nil {
		return nil, fmt.Errorf(`running SAM: no Docker daemon at %s, and there is no "dockerd" in PATH: start Docker%s`, host, instead)
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("running SAM: no Docker daemon at %s, and only root can start one: start Docker%s", host, instead)
	}
	d.host = "unix://" + filepath.Join(dir, "docker.sock")
	daemon := exec.Command(path, "--host", d.host, "--data-root", filepath.Join(dir, "docker"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "docker.pid"))
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	if o.verbose {
		daemon.Stdout, daemon.Stderr = o.stderr, o.stderr
	}
	daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := daemon.Start(); err != nil {
		return nil, fmt.Errorf("starting dockerd: %w: start Docker%s", err, instead)
	}
	exited := make(chan struct{})
	go func() {
		daemon.Wait()
		close(exited)
	}()
	d.stop = func() {
		daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			daemon.Process.Kill()
			<-exited
		}
	}
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for d.command(ctx, "version").Run() != nil {
		select {
		case <-retry.C:
		case <-exited:
			return nil, fmt.Errorf("starting dockerd: it exited: %s: start Docker%s", lastLine(log.String()), instead)
		case <-timeout.C:
			d.stop()
			return nil, errors.New("starting dockerd: no response within 30 s: start Docker" + instead)
		case <-ctx.Done():
			d.stop()
			return nil, context.Cause(ctx)
		}
	}
	return d, nil
}

func (d *docker) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	return cmd
}

// baseImage makes the base image available that SAM builds its own image on. If
// the image cannot be pulled, it is made of busybox: the function is static, and
// SAM's own steps need only a shell.
func (o options) baseImage(ctx context.Context, d *docker) error {
	image := "public.ecr.aws/lambda/provided:al2023-" + build.Architecture(runtime.GOARCH)
	if d.command(ctx, "image", "inspect", image).Run() == nil {
		return nil
	}
	pull, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if d.command(pull, "pull", "--quiet", image).Run() == nil {
		return nil
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf(`pulling %s: failed, and there is no "busybox" in PATH to make a substitute of: install a static busybox%s`, image, instead)
	}
	binary, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stderr, "sam: %s cannot be pulled; using a substitute made of busybox\n", image)
	load := d.command(ctx, "import", "-", image)
	load.Stdin = bytes.NewReader(fileSystem(binary))
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("importing %s: %w: %s", image, err, lastLine(string(out)))
	}
	return nil
}

// fileSystem returns the file system of an image, as a tar, with a shell and
// nothing else.
func fileSystem(busybox []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, data string) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			panic(err) // a buffer does not fail
		}
		if _, err := io.WriteString(w, data); err != nil {
			panic(err)
		}
	}
	for _, dir := range []string{"bin/", "etc/", "var/", "var/task/", "var/runtime/"} {
		put(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, "")
	}
	put(tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, string(busybox))
	for _, name := range []string{"sh", "mv", "chmod", "mkdir"} {
		put(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"}, "")
	}
	put(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, "root:x:0:0:root:/:/bin/sh\n")
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
