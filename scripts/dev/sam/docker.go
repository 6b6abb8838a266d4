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
	"syscall"
	"time"

	"archeio/lambda/build"
)

// docker is a Docker daemon.
type docker struct {
	host string // as DOCKER_HOST
	stop func()
}

// startDocker answers the daemon that runs, or one of its own.
func startDocker(ctx context.Context, dir string, verbose bool) (*docker, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, errors.New("there is no Docker on this machine" + instead)
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
		return nil, errors.New("no Docker daemon answers, and there is none on this machine to start" + instead)
	}
	if os.Getuid() != 0 {
		return nil, errors.New("no Docker daemon answers, and only root can start one; start Docker" + instead)
	}
	d.host = "unix://" + filepath.Join(dir, "docker.sock")
	daemon := exec.Command(path, "--host", d.host, "--data-root", filepath.Join(dir, "docker"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "docker.pid"))
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	if verbose {
		daemon.Stdout, daemon.Stderr = os.Stderr, os.Stderr
	}
	daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := daemon.Start(); err != nil {
		return nil, fmt.Errorf("starting dockerd: %w%s", err, instead)
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
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for d.command(ctx, "version").Run() != nil {
		select {
		case <-again.C:
		case <-exited:
			return nil, fmt.Errorf("starting dockerd: it ended: %s%s", lastLine(log.String()), instead)
		case <-patience.C:
			d.stop()
			return nil, errors.New("starting dockerd: it does not answer" + instead)
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

// baseImage sees to it that SAM finds the image that it builds its own on.
// Where it cannot be pulled, one is made of busybox: the function is static
// and needs no more than a shell for SAM's own steps.
func (d *docker) baseImage(ctx context.Context, goarch string) error {
	image := "public.ecr.aws/lambda/provided:al2023-" + build.Architecture(goarch)
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
		return fmt.Errorf("the image %s cannot be pulled, and there is no static busybox to make one of%s", image, instead)
	}
	binary, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "sam: %s cannot be pulled; one is made of busybox\n", image)
	load := d.command(ctx, "import", "-", image)
	load.Stdin = bytes.NewReader(root(binary))
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("making the image %s: %w: %s", image, err, bytes.TrimSpace(out))
	}
	return nil
}

// root is the file system of an image with a shell and nothing else.
func root(busybox []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, data string) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			panic(err) // into memory
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
