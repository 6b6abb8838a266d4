// Command mirrors simulates the mirrors of the sample events on an address of the
// loopback interface. Command sam runs it within the containers of the function:
//
//	mirrors FOLDER ADDRESS
//
// It prints a line as soon as it listens, and runs until it is killed.
package main

import (
	"context"
	"fmt"
	"os"

	"archeio/scripts/lab/sample"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "mirrors: want FOLDER and ADDRESS")
		os.Exit(2)
	}
	if _, err := sample.ServeMirrors(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "mirrors:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", os.Args[2])
	select {}
}
