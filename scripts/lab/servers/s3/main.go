// Command s3 is the S3 server of the versitygw project, storing in a folder.
//
//	s3 -listen 127.0.0.1:9000 -region eu-west-1 -root FOLDER
//
// The credentials are those in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. The
// metadata of an object is stored in separate files, not in extended attributes,
// so that any file system will do.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "`ADDRESS` to listen on")
	region := flag.String("region", "us-east-1", "`REGION` of the server")
	root := flag.String("root", "", "`FOLDER` to store everything in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *region, *root); err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

// largestCopy is the largest object in bytes that CopyObject copies.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
const largestCopy = 5_000_000_000

func serve(ctx context.Context, listen, region, root string) error {
	objects, sidecar, versions := filepath.Join(root, "objects"), filepath.Join(root, "metadata"), filepath.Join(root, "versions")
	for _, dir := range []string{objects, sidecar, versions} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	metadata, err := meta.NewSideCar(sidecar)
	if err != nil {
		return err
	}
	be, err := posix.New(objects, metadata, posix.PosixOpts{SideCarDir: sidecar, VersioningDir: versions, CopyObjectThreshold: largestCopy})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, be, &embedgw.Config{
		RootUserAccess:    os.Getenv("AWS_ACCESS_KEY_ID"),
		RootUserSecret:    os.Getenv("AWS_SECRET_ACCESS_KEY"),
		Region:            region,
		Ports:             []string{listen},
		MaxConnections:    10_000,
		MaxRequests:       10_000,
		MultipartMaxParts: 10_000,
		KeepAlive:         true,
		Quiet:             true,
	})
}
