// Command registry is the registry of the distribution project with two storage
// drivers and none of its other commands, so that it builds in seconds.
//
//	registry -listen 127.0.0.1:5000 -root FOLDER
//	registry -listen 127.0.0.1:5000 -s3 http://127.0.0.1:9000/BUCKET -region eu-west-1 -realm URL -keys FILE
//
// In a bucket, blobs are redirected to presigned URLs. With a realm, requests need a
// token of the server tokens. The credentials of the bucket are those in
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/sirupsen/logrus"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	root := flag.String("root", "", "`FOLDER` to store everything in")
	bucket := flag.String("s3", "", "`URL` of a bucket to store everything in, instead of a folder")
	region := flag.String("region", "us-east-1", "`REGION` of the bucket")
	realm := flag.String("realm", "", "`URL` of the token server; without it, no token is required")
	keys := flag.String("keys", "", "`FILE` with the public keys of the token server")
	flag.Parse()
	logrus.SetOutput(io.Discard)
	c := &configuration.Configuration{
		Storage: configuration.Storage{
			"delete":      {"enabled": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
		Catalog: configuration.Catalog{MaxEntries: 1000},
	}
	if *bucket == "" {
		c.Storage["filesystem"] = configuration.Parameters{"rootdirectory": *root}
	} else {
		u, err := url.Parse(*bucket)
		if err != nil {
			fail(err)
		}
		c.Storage["s3"] = configuration.Parameters{
			"regionendpoint": "http://" + u.Host, "bucket": strings.TrimPrefix(u.Path, "/"), "region": *region,
			"forcepathstyle": true, "secure": false,
			"accesskey": os.Getenv("AWS_ACCESS_KEY_ID"), "secretkey": os.Getenv("AWS_SECRET_ACCESS_KEY"),
		}
	}
	if *realm != "" {
		c.Auth = configuration.Auth{"token": {
			"realm": *realm, "service": "archeio-test-registry", "issuer": "archeio-test", "jwks": *keys,
		}}
	}
	c.HTTP.Addr = *listen
	c.HTTP.Secret = "for this machine only"
	l, err := net.Listen("tcp", *listen)
	if err == nil {
		err = http.Serve(l, handlers.NewApp(context.Background(), c))
	}
	fail(err)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "registry:", err)
	os.Exit(1)
}
