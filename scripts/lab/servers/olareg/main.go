// Command olareg is the registry olareg, which has the referrers API and accepts
// digests of sha512, with everything in memory.
//
//	olareg -listen 127.0.0.1:5000
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	flag.Parse()
	enabled := true
	err := http.ListenAndServe(*listen, olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreMem},
		API: config.ConfigAPI{
			DeleteEnabled: &enabled,
			Blob:          config.ConfigAPIBlob{DeleteEnabled: &enabled},
		},
	}))
	fmt.Fprintln(os.Stderr, "olareg:", err)
	os.Exit(1)
}
