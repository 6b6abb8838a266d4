// Command registry is the registry of the distribution project with one storage
// driver and none of its other commands, so that it builds in seconds.
//
//	registry -listen 127.0.0.1:5000 -root FOLDER
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	root := flag.String("root", "", "`FOLDER` to store everything in")
	flag.Parse()
	logrus.SetOutput(io.Discard)
	c := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem":  {"rootdirectory": *root},
			"delete":      {"enabled": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
		Catalog: configuration.Catalog{MaxEntries: 1000},
	}
	c.HTTP.Addr = *listen
	c.HTTP.Secret = "for this machine only"
	l, err := net.Listen("tcp", *listen)
	if err == nil {
		err = http.Serve(l, handlers.NewApp(context.Background(), c))
	}
	fmt.Fprintln(os.Stderr, "registry:", err)
	os.Exit(1)
}
