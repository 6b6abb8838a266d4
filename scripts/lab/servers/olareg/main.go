// Command olareg is the registry olareg, which has the referrers API and accepts
// digests of sha512, with everything in memory.
//
//	olareg -listen 127.0.0.1:5000 -realm URL -keys FILE
//
// With a realm, GET and HEAD requests need a token of the server tokens, and blobs are
// redirected to signed URLs, see protect.
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
	realm := flag.String("realm", "", "`URL` of the token server; without it, no token is required")
	keys := flag.String("keys", "", "`FILE` with the public keys of the token server")
	flag.Parse()
	enabled := true
	var h http.Handler = olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreMem},
		API: config.ConfigAPI{
			DeleteEnabled: &enabled,
			Blob:          config.ConfigAPIBlob{DeleteEnabled: &enabled},
		},
	})
	var err error
	if *realm != "" {
		h, err = protect(h, *realm, *keys)
	}
	if err == nil {
		err = http.ListenAndServe(*listen, h)
	}
	fmt.Fprintln(os.Stderr, "olareg:", err)
	os.Exit(1)
}
